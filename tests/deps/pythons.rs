//! Every Python that this machine has, with the pip that it brings, and pips of other years: the image's own stays with all of them.

use crate::bench::{self, Bench, Start};
use crate::possible;
use crate::protect::{image, there, with_image};
use crate::wheel::Wheel;
use std::path::{Path, PathBuf};
use std::process::Command;

/// pips of other years: what Python 3.10 brought, the first with its own plan, the last before its rewrite of metadata, the newest.
const PIPS: [&str; 6] = ["pip==21.2.4", "pip==22.2.2", "pip==23.3.2", "pip==24.0", "pip==25.3", "pip"];

/// One Python for each version from 3.10 on.
fn pythons() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let managed = home.and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let managed = managed.map(|entry| entry.path().join("bin"));
    let bins: Vec<_> = managed.chain(["/usr/local/bin", "/usr/bin"].map(PathBuf::from)).collect();
    let of = |minor: u32| {
        let paths = bins.iter().map(|bin| bin.join(format!("python3.{minor}")));
        paths.into_iter().find(|path| bench::makes_venvs(path, ""))
    };
    (10..20).filter_map(of).collect()
}

/// What this machine tells pip about its way to the registry of packages.
fn way_out(start: Start) -> Start {
    let named = |name: &str| ["PIP_", "SSL_", "REQUESTS_"].iter().any(|start| name.starts_with(start));
    let proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
    let own = std::env::vars().filter(|(name, _)| named(name) || proxy(name));
    let start = own.fold(start.without("PIP_NO_INDEX"), |start, (name, value)| start.with(&name, value));
    let home = std::env::var("HOME").map(|home| Path::new(&home).join(".config/pip/pip.conf"));
    match home.ok().filter(|file| file.exists()) {
        Some(file) => start.with("PIP_CONFIG_FILE", file.display().to_string()),
        None => start,
    }
}

#[test]
fn with_packages_of_the_real_world_the_images_own_stays() {
    if !possible(true) {
        return;
    }
    for installer in ["pip", "uv"] {
        let bench = Bench::with_venv();
        let words = ["-m", "pip", "install", "-q", "--retries", "0", "--only-binary", ":all:", "numpy<2"];
        if !Command::new(bench.python()).args(words).output().unwrap().status.success() {
            return crate::support::skip("no registry of packages gives numpy");
        }
        let numpy = there(&bench.site());
        let torch = Wheel::new("torch", "2.6.0a0+own").requires("numpy<2").write(&bench.path("own"));
        assert!(
            Command::new(bench.python())
                .args(["-m", "pip", "install", "-q", "--no-deps"])
                .arg(torch)
                .status()
                .unwrap()
                .success()
        );
        bench.code("requirements.txt", "numpy>=2\nrequests[socks]==2.32.3\ntqdm>=4,<5 ; python_version > '3'\ntorch\n");
        let report = way_out(bench.start().installer(installer)).run();
        assert_eq!(report.outcome, "installed", "{}", report.text());
        let now = there(&bench.site());
        assert!(
            [numpy.as_str(), "torch-2.6.0a0+own", "PySocks-", "requests-2.32.3", "tqdm-4"]
                .iter()
                .all(|name| now.contains(name)),
            "{now}"
        );
        assert!(report.text().contains("requirements.txt:1 asks for numpy>=2: the image's 1."), "{}", report.text());
        let imports = "import numpy, requests, socks, tqdm; print('all there')";
        assert_eq!(bench.say(&bench.python(), &["-c", imports], &report), "all there");
    }
}

fn stays(bench: &Bench, what: &str, installers: &[&str]) {
    image(bench);
    bench.code("requirements.txt", "torch==2.6.0\naccel\nflash-thing\n");
    for installer in installers {
        let report = bench.start().installer(installer).run();
        assert_eq!(there(&bench.site()), with_image("accel-1.0 flash_thing-1.0"), "{what}: {}", report.text());
        assert_eq!(report.lines.iter().filter(|line| line.contains("stays")).count(), 4, "{what}: {}", report.text());
        bench.take_away(&["accel", "flash_thing"]);
    }
}

#[test]
fn with_every_python_that_is_here_the_images_own_stays() {
    if !possible(true) {
        return;
    }
    for python in pythons() {
        stays(&Bench::with_venv_of(&python), &python.display().to_string(), &["pip", "uv"]);
        println!("{}", python.display());
    }
}

/// Puts a pip into the virtual environment; returns whether a registry had it.
fn upgrade(bench: &Bench, pip: &str) -> bool {
    let words = ["-m", "pip", "install", "-q", "--retries", "0", "--timeout", "20", "--upgrade", pip];
    let done = Command::new(bench.python()).args(words).output().unwrap().status.success();
    if !done {
        crate::support::skip(&format!("no registry of packages gives {pip}"));
    }
    done
}

#[test]
fn with_pips_of_other_years_the_images_own_stays_and_failures_have_their_class() {
    if !possible(true) {
        return;
    }
    for pip in PIPS {
        let bench = Bench::with_venv();
        if upgrade(&bench, pip) {
            stays(&bench, pip, &["pip"]);
            crate::network::every_answer("pip", &bench);
        }
    }
}

#[test]
fn the_newest_pip_builds_against_the_images_torch_too() {
    if !possible(false) {
        return;
    }
    let bench = Bench::with_venv();
    if upgrade(&bench, "pip") {
        crate::builds::builds_see_torch("pip", &bench);
    }
}
