//! Both architectures' binaries under qemu's emulation of processors in user mode, as a container of another architecture runs on a laptop, and as
//! a cross build runs its RUN lines: vfork shares no memory there, and some flags of clone are refused. As an ordinary process and as PID 1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may"
)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use support::{Finished, Launch, Place, can_unshare, has, skip};

const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// The static binary of this architecture, built if it is not there; none, and a printed reason, where that cannot be.
fn binary(architecture: &str) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shipped) = std::env::var_os("STATIC_BINARY").filter(|_| architecture == std::env::consts::ARCH) {
        return Some(shipped.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/static-binary.sh");
    let output = Command::new(script).args(["--dev", architecture]).output().expect("bash is here");
    if !output.status.success() {
        skip(&format!("no binary for {architecture}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap().trim().into())
}

fn launch(architecture: &str, place: Place, words: &[&str], checks: &str) -> Option<Launch> {
    let qemu = format!("qemu-{architecture}");
    if !has(&qemu) {
        return None;
    }
    let mut command = Command::new(qemu);
    command.arg(binary(architecture)?).args(words);
    command.env("container", "docker").env("TRAINIT_CHECKS", checks);
    Some(Launch::with(command, place))
}

/// For `TRAINIT_CHECKS`: what is usual, and nothing.
const USUAL: &str = "";
const NONE: &str = "gpu=off host=off code=off data=off output=off user=off";

/// Runs it on both, as a container's first process and as an ordinary one, and hands each end to `judge`.
#[track_caller]
fn everywhere(words: &[&str], checks: &str, judge: impl Fn(&Finished)) {
    let places: &[Place] = if can_unshare() { &[Place::First, Place::Aside] } else { &[Place::Aside] };
    for architecture in ARCHITECTURES {
        for place in places {
            let Some(launch) = launch(architecture, *place, words, checks) else { continue };
            let finished = launch.finish();
            println!("{architecture} {place:?} {words:?}: {:?}", finished.code);
            judge(&finished);
        }
    }
}

/// Ends with this code, and stderr has this text.
#[track_caller]
fn ends(words: &[&str], checks: &str, code: i32, text: &str) {
    everywhere(words, checks, |finished| {
        assert_eq!(finished.code, Some(code), "{words:?}: {finished:?}");
        assert!(finished.err.contains(text), "{words:?}: no {text:?} in {}", finished.err);
    });
}

#[test]
fn it_says_its_version() {
    let version = format!("trainit {}", env!("CARGO_PKG_VERSION"));
    everywhere(&["--version"], USUAL, |finished| {
        assert_eq!((finished.code, finished.out.trim()), (Some(0), version.as_str()))
    });
}

#[test]
fn an_init_alone_ends_with_the_commands_code() {
    ends(&["init", "--", "sh", "-c", "exit 7"], USUAL, 7, "");
    ends(&["init", "--", "/no/such/program"], USUAL, 127, "/no/such/program");
}

#[test]
fn a_start_without_checks_becomes_the_command() {
    ends(&["exec", "--", "sh", "-c", "exit 7"], NONE, 7, "");
    ends(&["run", "--", "sh", "-c", "exit 7"], NONE, 7, "start sh -c");
}

#[test]
fn checks_and_probes_work_as_on_a_real_processor() {
    ends(&["exec", "--", "sh", "-c", "exit 7"], USUAL, 7, "");
    ends(&["run", "--", "sh", "-c", "exit 7"], USUAL, 7, "start sh -c");
    ends(&["run", "--set", "data=/no/such/data", "--", "true"], USUAL, 111, "/no/such/data");
    everywhere(&["check"], USUAL, |finished| {
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(!finished.err.contains("could be started"), "{finished:?}");
    });
}
