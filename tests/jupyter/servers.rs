//! The servers of docker/servers.yaml, each started as its entry stands there, and asked for its page.
//!
//! Their packages are large, so only `scripts/nightly servers` starts them all. Every run holds the file's own words about that.

use crate::lab::{self, Lab};
use crate::support::port::free_port;
use crate::support::{Running, skip};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server on a busy machine: MLflow makes its tables first.
const SLOW: Duration = Duration::from_secs(300);

/// A server that can be installed from an index.
struct Server {
    /// The entry in docker/servers.yaml.
    mode: &'static str,
    /// The name of the environment, and what is in it.
    package: (&'static str, &'static str),
    /// Words of its page.
    page: &'static str,
    /// The page's path, where `SECRET` is the secret that was told.
    path: &'static str,
    /// A program that the entry expects in the code directory.
    app: &'static str,
}

const SERVERS: [Server; 7] = [
    Server {
        mode: "reactive",
        package: ("server-marimo", "marimo>=0.14,<1"),
        page: "marimo",
        path: "?access_token=SECRET",
        app: "",
    },
    Server {
        mode: "board",
        package: ("server-tensorboard", "tensorboard>=2.18,<3"),
        page: "<title>TensorBoard",
        path: "",
        app: "",
    },
    Server {
        mode: "app",
        package: ("server-streamlit", "streamlit>=1.44,<2"),
        page: "<title>Streamlit",
        path: "",
        app: "import streamlit\nstreamlit.write('hello')\n",
    },
    Server {
        mode: "demo",
        package: ("server-gradio", "gradio>=6,<7"),
        page: "gradio",
        path: "",
        app: "import gradio\ngradio.Interface(lambda name: name, 'text', 'text').launch()\n",
    },
    Server {
        mode: "cluster",
        package: ("server-ray", "ray[default]>=2.50,<3"),
        page: "<title>Ray Dashboard",
        path: "",
        app: "",
    },
    Server { mode: "tracking", package: ("server-mlflow", "mlflow>=3.6,<4"), page: "<title>MLflow", path: "", app: "" },
    Server { mode: "runs", package: ("server-aim", "aim>=3.27,<4"), page: "<title>Aim", path: "", app: "" },
];

fn file() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docker/servers.yaml")).unwrap()
}

/// Each entry of the file with the line above it, and with its port.
fn entries() -> BTreeMap<String, (String, u16)> {
    let (text, mut found, mut above) = (file(), BTreeMap::new(), "");
    let mut name = String::new();
    for line in text.lines() {
        if let Some(port) = line.strip_prefix("    port: ") {
            found.insert(name.clone(), (above.trim().to_owned(), port.parse().unwrap()));
        } else if line.starts_with("  #") {
            above = line;
        } else if line.starts_with("  ") && !line.starts_with("   ") {
            name = line.trim().trim_end_matches(':').to_owned();
        }
    }
    found
}

#[test]
fn every_entry_says_whether_a_test_starts_it() {
    for (name, (said, _)) in entries() {
        let starts = SERVERS.iter().any(|server| server.mode == name);
        let right = if starts { said == "# started by a test" } else { said.starts_with("# not started by a test: ") };
        assert!(right, "{name}: {said}");
    }
    assert!(SERVERS.iter().all(|server| entries().contains_key(server.mode)));
}

/// A machine with the file as its policy; only what would not be free or writable here is named anew: the port, and /out.
fn lab_with(server: &Server, bin: &std::path::Path) -> Lab {
    let mut lab = Lab::with_programs(bin);
    let port = entries()[server.mode].1;
    lab.port = free_port();
    let out = lab.path("out");
    std::fs::create_dir(&out).unwrap();
    let text = file().replace(&port.to_string(), &lab.port.to_string()).replace("/out", out.to_str().unwrap());
    let policy = lab.path("trainit.yaml");
    std::fs::write(&policy, text).unwrap();
    if !server.app.is_empty() {
        std::fs::write(lab.path("code/app.py"), server.app).unwrap();
    }
    let policy = policy.to_str().unwrap().to_owned();
    // Ray would leave its session in /tmp.
    let temporary = lab.directory.path().to_str().unwrap().to_owned();
    lab.with("TRAINIT_CONFIG", &policy).with("TRAINIT_READY_TIMEOUT", "5m").with("RAY_TMPDIR", &temporary)
}

/// Waits until it is told that the server answers, and returns all lines.
fn ready(mode: &str, running: &mut Running) -> String {
    let (begun, mut lines) = (Instant::now(), String::new());
    while !lines.contains("ready after") {
        assert!(running.is_alive() && begun.elapsed() < SLOW, "{mode}: {lines}");
        running.errors_so_far().iter().for_each(|line| lines += &format!("{line}\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!lines.contains("not ready after"), "{mode}: {lines}");
    lines
}

fn page(lab: &Lab, path: &str) -> String {
    const GET: &str =
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())";
    let mut python = Command::new(lab.bin().join("python"));
    python.args(["-c", GET, &format!("http://127.0.0.1:{}/{path}", lab.port)]).stdin(Stdio::null());
    let output = python.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn starts(server: &Server) {
    let (name, package) = server.package;
    let Some(bin) = lab::environment(name, &[package]) else {
        return skip(&format!("{package} cannot be installed from an index here"));
    };
    let lab = lab_with(server, &bin);
    let mut running = lab.start(&[server.mode]);
    let begun = Instant::now();
    let lines = ready(server.mode, &mut running);
    assert!(lines.contains(&format!(" s: http://localhost:{}/", lab.port)), "{}: {lines}", server.mode);
    let secret =
        lines.lines().find_map(|line| line.split_once(": log in with ")).map_or("", |(_, secret)| secret.trim());
    let seen = page(&lab, &server.path.replace("SECRET", secret));
    assert!(seen.contains(server.page), "{}: {seen}", server.mode);
    let took = begun.elapsed().as_secs_f64();
    let _ = writeln!(std::io::stdout(), "{}: it answers after {took:.1} s", server.mode);
    running.signal(Signal::SIGTERM as i32);
    running.finish();
}

#[test]
fn every_server_that_an_index_has_starts_as_its_entry_stands_and_shows_its_page() {
    match std::env::var("SERVERS").as_deref() {
        Ok("all") => SERVERS.iter().for_each(starts),
        Ok(one) => SERVERS.iter().filter(|server| server.mode == one).for_each(starts),
        Err(_) => {}
    }
}
