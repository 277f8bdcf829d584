//! Trainers that a distribution does not have: installed into a virtual environment over the Python that has torch, once, and kept
//! with the build.

use crate::job::torch_python;
use crate::support::skip;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A virtual environment with these packages and nothing that they require: that would replace the system's torch by one of some
/// gigabytes.
pub fn environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.join("complete").exists() {
        return Some(path);
    }
    let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = done(Command::new(torch_python()).args(["-m", "venv", "--clear", "--system-site-packages"]).arg(&path));
    let mut pip = Command::new(path.join("bin/python"));
    let packages = pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]).args(packages);
    if !made || !done(packages) {
        skip(&format!(
            "{name} cannot be installed into a virtual environment (python3-venv, and an index of packages)"
        ));
        return None;
    }
    std::fs::write(path.join("complete"), "").unwrap();
    Some(path)
}
