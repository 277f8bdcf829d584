//! Mode jupyter with the real thing: its HTTP and websocket API, a browser, a hub's single-user server, and nothing secret where others
//! look.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod lab;
mod proxy;
mod ready;
mod servers;

use lab::{Lab, stand_ins};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::look::until_true;
use support::{Running, has};

/// The address that is told, and its token.
fn told(running: &Running) -> (String, Option<String>) {
    let line = running.error_with("Jupyter: http");
    let url = line.trim().trim_start_matches("Jupyter: ").to_owned();
    let token = url.split_once("?token=").map(|(_, token)| token.to_owned());
    (url, token)
}

const TELL: &str = r#"
import os
print(os.environ["DATASET"], os.environ["TRAINIT_RUN_MODE"], os.getcwd())
print([name for name in os.environ if name.startswith("JUPYTER") and ("TOKEN" in name or "PASSWORD" in name)])
"#;

/// Goes on for an hour, and saves when it is interrupted.
const TRAIN: &str = r#"
import time
print("goes on", flush=True)
try:
    time.sleep(3600)
except KeyboardInterrupt:
    open("saved", "w").write("checkpoint")
"#;

#[test]
fn a_cell_runs_with_the_containers_environment_nothing_secret_is_seen_and_a_stop_lets_it_save() {
    let Some(lab) = Lab::new() else { return };
    let lab = lab.with("JUPYTER_TOKEN", "").with("DATASET", "a \"b\" $c\nd");
    let mut running = lab.start(&["jupyter"]);
    let (url, token) = told(&running);
    let token = token.unwrap();
    assert_eq!(url, format!("http://localhost:{}/lab?token={token}", lab.port));
    assert!(token.len() == 48 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let ready = running.error_with("ready after");
    assert!(ready.ends_with(&format!(" s: http://localhost:{}/lab", lab.port)), "{ready}");
    assert!(lab.is_ready(&mut running).contains(&format!("(port {} answers)", lab.port)));

    let root = format!("http://127.0.0.1:{}/", lab.port);
    assert_eq!(lab.client(&[&root, "execute", ""]), serde_json::json!({"without": 403, "api": 200}));
    let out = lab.client(&[&root, "execute", TELL, &token])["out"].as_str().unwrap().to_owned();
    let code = lab.path("code").canonicalize().unwrap();
    assert_eq!(out, format!("a \"b\" $c\nd jupyter {}\n[]\n", code.display()));

    let status = lab.ask(&["status"]).1;
    assert!(status.contains(&format!("port       {}", lab.port)), "{status}");
    let (state, report) = (lab.run_dir().join("state.json"), lab.path("report.json"));
    let seen = [status, lab.ask(&["status", "--json"]).1, read(&state), read(&report), command_lines()].concat();
    assert!(!seen.contains(&token), "the token is seen by others");
    assert_eq!(modes_of_secrets(&lab.run_dir(), &token), [0o600, 0o600], "the files with the token");

    assert_eq!(lab.client(&[&root, "execute", TRAIN, &token])["out"], "goes on\n");
    running.signal(Signal::SIGTERM as i32);
    let finished = running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert!(finished.err.contains("Shutting down 2 kernels"), "{}", finished.err);
    assert!(!finished.err.contains(&token), "the token is told again");
    assert_eq!(read(&lab.path("code/saved")), "checkpoint");
}

#[test]
fn probes_of_a_platform_that_logs_in_for_its_users_are_answered_without_a_token_and_nothing_else_is() {
    let Some(lab) = Lab::new() else { return };
    let asked = |lab: &Lab| {
        let mut running = lab.start(&["jupyter"]);
        lab.is_ready(&mut running);
        let answers = lab.client(&[&format!("http://127.0.0.1:{}/notebook/team/jane/", lab.port), "ask"]);
        ended(running);
        answers
    };
    let kubeflow = lab.with("NB_PREFIX", "/notebook/team/jane");
    assert_eq!(asked(&kubeflow), serde_json::json!({"kernels": 403, "status": 403}));
    let open = kubeflow.with("TRAINIT_JUPYTER_AUTH", "proxy");
    assert_eq!(asked(&open), serde_json::json!({"kernels": 200, "status": 200}));
    let by_options = open.with("NOTEBOOK_ARGS", "--ServerApp.token='' --ServerApp.password=''");
    assert_eq!(asked(&by_options), serde_json::json!({"kernels": 200, "status": 200}));
}

#[test]
fn a_terminal_has_the_servers_path_and_the_shell_that_a_person_has_chosen() {
    let Some(lab) = Lab::new() else { return };
    let lab = lab.with("DATASET", "digits").with("JUPYTER_TOKEN", "given");
    let told_in_terminal = |lab: &Lab| {
        let mut running = lab.start(&["jupyter"]);
        lab.is_ready(&mut running);
        let root = format!("http://127.0.0.1:{}/", lab.port);
        let line = "echo \"[$0 $PATH $DATASET]\"; echo e''nd";
        let out = lab.client(&[&root, "terminal", line, "given"])["out"].as_str().unwrap().to_owned();
        ended(running);
        out
    };
    let bin = lab.launch(&[]).command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
    let out = told_in_terminal(&lab);
    assert!(out.contains(&format!("bash {} digits]", bin.display())), "{out}");

    let own = lab.path("home/.jupyter");
    std::fs::create_dir(&own).unwrap();
    let text = "c.ServerApp.terminado_settings = {'shell_command': ['sh']}\n";
    std::fs::write(own.join("jupyter_server_config.py"), text).unwrap();
    let out = told_in_terminal(&lab);
    assert!(out.contains(&format!("/sh {} digits]", bin.display())), "{out}");
}

/// Ends a server, so that the next one finds its port free.
fn ended(running: Running) {
    running.signal(Signal::SIGTERM as i32);
    running.finish();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every command line that `ps` shows.
fn command_lines() -> String {
    let entries = Path::new("/proc").read_dir().unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect()
}

/// Permissions of the files below a directory that hold a text.
fn modes_of_secrets(directory: &Path, text: &str) -> Vec<u32> {
    let mut modes = Vec::new();
    for entry in directory.read_dir().unwrap().flatten() {
        match entry.metadata().unwrap() {
            found if found.is_dir() => modes.extend(modes_of_secrets(&entry.path(), text)),
            found if read(&entry.path()).contains(text) => modes.push(found.permissions().mode() & 0o777),
            _ => {}
        }
    }
    modes
}

/// The picture stays in the cache, for people.
#[test]
fn a_browser_opens_the_address_that_was_told_and_a_terminal_in_it_has_the_right_python() {
    let Some(lab) = Lab::new().filter(|_| has("chromium")) else { return };
    let mut running = lab.start(&["jupyter"]);
    let (url, _) = told(&running);
    lab.is_ready(&mut running);
    let picture = lab::cache().join("jupyterlab-terminal.png");
    let _ = std::fs::remove_file(&picture);
    let python = lab.bin().join("python");
    let mut browser = Command::new(&python);
    browser.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jupyter/browser.py")).arg(&url).arg(lab.path("home"));
    browser.args(["which python", "/bin/python\n"]).arg(&picture).stdin(Stdio::null());
    let output = browser.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = format!("# which python\\n{}\\n", python.display());
    assert!(shown.contains(&line), "{line}: {shown}{}", String::from_utf8_lossy(&output.stderr));
    let picture = std::fs::read(&picture).unwrap();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{} bytes", picture.len());
}

#[test]
fn behind_a_prefix_with_a_certificate_the_password_opens_and_nothing_else_does() {
    let Some(lab) = Lab::new().filter(|_| has("openssl")) else { return };
    let lab =
        lab.with("JUPYTER_PASSWORD", "pass wörd").with("NB_PREFIX", "/notebook/team/jane").with("GEN_CERT", "yes");
    let lab = lab.with("DOCKER_STACKS_JUPYTER_CMD", "notebook");
    let mut running = lab.start(&["jupyter"]);
    let (url, token) = told(&running);
    assert_eq!((url, token), (format!("https://localhost:{}/notebook/team/jane/tree", lab.port), None));
    running.error_with("log in with the password of JUPYTER_PASSWORD");
    lab.is_ready(&mut running);
    let root = format!("https://127.0.0.1:{}/notebook/team/jane/", lab.port);
    assert_eq!(lab.client(&[&root, "execute", ""])["without"], 403);
    assert_eq!(lab.client(&[&root, "login", "wrong"])["kernels"], 403);
    assert_eq!(lab.client(&[&root, "login", "pass wörd"])["kernels"], 200);
    let certificate = lab.path("home/.local/share/jupyter/notebook.pem");
    assert_eq!(certificate.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!command_lines().contains("pass wörd"));
}

#[test]
fn a_hubs_server_serves_whom_the_hub_lets_in_and_ends_when_the_hub_asks() {
    let Some(lab) = Lab::new() else { return };
    let hub = lab::Hub::start(&lab);
    let found = hub.serves_jane(&lab);
    assert_eq!(found, serde_json::json!({"nobody": {"kernels": 403, "status": 403}, "jane": "42\n"}));
    let log = hub.log();
    for line in ["JupyterHub: at /user/jane/ of the hub", " s: /user/jane/ of the hub", "exit code 0; stopped by SIG"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("?token=0"), "a token is made: {log}");
}

#[test]
fn a_port_that_is_taken_is_told_with_who_has_it() {
    let programs = stand_ins(&["jupyter-lab"]);
    let lab = Lab::with_programs(programs.path());
    let _taken = TcpListener::bind(("127.0.0.1", lab.port)).unwrap();
    let finished = lab.launch(&["jupyter"]).finish();
    assert_eq!(finished.code, Some(214), "{}", finished.err);
    let who = format!("port {} is taken", lab.port);
    assert!(
        finished.err.contains(&who) && finished.err.contains(&format!("pid {}", std::process::id())),
        "{}",
        finished.err
    );
}

#[test]
fn without_jupyter_the_line_that_installs_it_is_told() {
    let programs = stand_ins(&[]);
    std::os::unix::fs::symlink("/bin/true", programs.path().join("python3")).unwrap();
    let finished = Lab::with_programs(programs.path()).launch(&["jupyter"]).finish();
    let python = programs.path().join("python3");
    assert_eq!(finished.code, Some(127), "{}", finished.err);
    for line in [&format!("RUN {} -m pip install jupyterlab", python.display()), "TRAINIT_JUPYTER_INSTALL=jupyterlab"] {
        assert!(finished.err.contains(line), "{line}: {}", finished.err);
    }
}

#[test]
fn a_typed_command_line_keeps_its_words() {
    let programs = stand_ins(&["jupyter"]);
    for words in [&["jupyter", "lab", "--port", "9999"][..], &["jupyter", "nbconvert", "x.ipynb"]] {
        let finished = Lab::with_programs(programs.path()).launch(words).finish();
        assert_eq!((finished.code, finished.out.trim()), (Some(0), words.join(" ").as_str()), "{}", finished.err);
        let mode = if words.contains(&"lab") { "· jupyter ·" } else { "· train ·" };
        assert!(finished.err.contains(mode), "{}", finished.err);
    }
}

#[test]
fn an_empty_token_among_the_options_ends_the_start() {
    let programs = stand_ins(&["jupyter-lab"]);
    let lab = Lab::with_programs(programs.path()).with("NOTEBOOK_ARGS", "--ServerApp.token=''");
    let finished = lab.launch(&["jupyter"]).finish();
    assert_eq!(finished.code, Some(78), "{}", finished.err);
    assert!(finished.err.contains("its token is empty") && finished.out.is_empty(), "{}", finished.err);
}

#[test]
fn what_is_to_be_installed_is_looked_for_like_requirements() {
    let Some(lab) = Lab::new() else { return };
    let lab = lab.with("TRAINIT_JUPYTER_INSTALL", "jupyterlab notebook");
    let mut running = lab.start(&["jupyter"]);
    let line = running.error_with("jupyter.txt");
    // The environment is kept from one run of the tests to the next.
    let answers = ["2 requirements, satisfied already", "unchanged since it was installed"];
    assert!(answers.iter().any(|answer| line.contains(answer)), "{line}");
    until_true("the end of the preparations", || running.errors_so_far().iter().any(|line| line.contains("start")));
    assert!(running.is_alive());
}

#[test]
fn a_server_of_the_images_own_is_asked_whether_it_answers_and_its_secret_goes_by_a_private_file() {
    if !has("python3") {
        return;
    }
    let lab = Lab::with_programs(Path::new("/usr/bin"));
    let (port, policy) = (lab.port, lab.path("trainit.yaml"));
    let server = "import http.server, sys; print(open(sys.argv[2]).read(), flush=True); \
                  http.server.HTTPServer((\"127.0.0.1\", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()";
    let mode = format!(
        "modes:\n  web:\n    command: [python3, -c, '{server}', '{{port}}', '{{secret_file}}']\n    kind: build\n    port: {port}\n    \
         ready: /\n    secret: WEB_PASSWORD\n    needs: {{'python:http.server': install Python}}\n"
    );
    std::fs::write(&policy, mode).unwrap();
    let lab = lab.with("TRAINIT_CONFIG", policy.to_str().unwrap());
    let mut running = lab.start(&["web"]);
    let line = running.error_with("web: log in with ");
    let secret = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(running.line(), secret);
    assert!(lab.is_ready(&mut running).contains(&format!("(port {port} answers)")));
    assert!(!command_lines().contains(&secret));
    assert_eq!(modes_of_secrets(&lab.run_dir(), &secret), [0o600]);
}
