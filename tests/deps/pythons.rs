//! Every Python that this machine has, with the pip that it brings, and pips of other years: the image's own stays with all of them.

use crate::bench::{self, Bench};
use crate::possible;
use crate::protect::{image, there, with_image};
use std::path::{Path, PathBuf};
use std::process::Command;

/// pips of other years: the first with its own plan, the last before its rewrite of metadata, the newest.
const PIPS: [&str; 3] = ["pip==22.2.2", "pip==24.0", "pip"];

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

fn stays(bench: &Bench, what: &str) {
    image(bench);
    bench.code("requirements.txt", "torch==2.6.0\naccel\nflash-thing\n");
    for installer in ["pip", "uv"] {
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
        stays(&Bench::with_venv_of(&python), &python.display().to_string());
        println!("{}", python.display());
    }
}

#[test]
fn with_pips_of_other_years_the_images_own_stays_and_failures_have_their_class() {
    if !possible(true) {
        return;
    }
    for pip in PIPS {
        let bench = Bench::with_venv();
        let words = ["-m", "pip", "install", "-q", "--retries", "0", "--timeout", "20", "--upgrade", pip];
        let output = Command::new(bench.python()).args(words).output().unwrap();
        if !output.status.success() {
            crate::support::skip(&format!("no registry of packages gives {pip}"));
            continue;
        }
        stays(&bench, pip);
        crate::network::every_answer("pip", &bench);
    }
}
