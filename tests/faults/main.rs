//! Every system call of PID 1, prepare and the probes, made to fail once, with each of five errors: no crash, no hang, no silent loss of the
//! workload's exit code, and no code that says "do not try again" for an error that passes. docs/faults.md shows the outcome.
//!
//! `cargo test --test faults` tries a part; `FAULTS=all` tries all; `FAULTS=write` writes docs/faults.md. `FAULTS_ONLY` holds
//! words of a case (`First mmap ENOMEM stopping`) and tries those that have them all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod run;
mod scenario;
mod set;
mod table;
mod trace;

#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "wheels of other tests have more")]
#[path = "../support/wheel.rs"]
mod wheel;

use run::{Class, Tools};

#[test]
fn every_call_may_fail_once() {
    let Some((directory, tools)) = tools() else { return };
    let extent = set::Extent::asked();
    let results = set::run_all(&tools, extent);
    drop(directory);
    let wrong: Vec<String> = results
        .iter()
        .filter(|result| matches!(result.class, Class::Wrong(_)))
        .filter(|result| !set::is_known(result))
        .map(ToString::to_string)
        .collect();
    println!("{} faults met, {} with an outcome that must not be", results.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    table::hold(&results, extent);
}

/// The programs, made in a directory of this test's own.
fn tools() -> Option<(tempfile::TempDir, Tools)> {
    if !support::has("strace") || !support::has("gcc") || !support::can_unshare() {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let launcher = directory.path().join("launcher");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/launcher.c");
    let words = ["-O1", "-static", "-nostdlib", "-fno-stack-protector", "-o"];
    let made =
        std::process::Command::new("gcc").args(words).args([launcher.to_str().unwrap(), source]).status().unwrap();
    assert!(made.success(), "gcc cannot make the launcher");
    Some((directory, Tools { trainit: static_binary(), launcher }))
}

/// The static binary: the one that STATIC_BINARY names (scripts/test has built it), else built now.
fn static_binary() -> std::path::PathBuf {
    if let Some(path) = std::env::var_os("STATIC_BINARY") {
        return path.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/static-binary.sh");
    let output = std::process::Command::new(script).arg("--dev").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}
