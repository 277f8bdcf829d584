//! What is fuzzed: every parser of bytes that trainit did not write itself, as plain functions. libFuzzer (fuzz_targets/) and the
//! smoke test (tests/fuzz_smoke.rs) call the same ones. A function panics when a promise is broken; to return is to pass.

#![allow(clippy::expect_used, reason = "a broken promise is told by a panic")]

use trainit::handover;
use trainit::state::Record;
use trainit::sys::{proc, signal};

/// One thing to fuzz.
pub struct Target {
    /// Its name: of the binary, and of the directory below seeds/.
    pub name: &'static str,
    /// Parses the bytes and holds the promises.
    pub run: fn(&[u8]),
}

/// Runs the target of this name.
#[allow(dead_code, reason = "the smoke test walks the table")]
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("handover", frames),
    target("proc_stat", |bytes| _ = proc::parse_start_time(bytes)),
    target("proc_status", |bytes| _ = proc::parse_status(bytes)),
    target("signal", signal_name),
    target("state", state_file),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What PID 1 reads from the pipe: progress is made, and never beyond what is there.
fn frames(mut bytes: &[u8]) {
    while let Some((_, length)) = handover::split(bytes) {
        assert!(length >= 2, "no progress");
        bytes = &bytes[length..];
    }
}

/// A signal's name: what is understood has a name that is understood again, but for the two that glibc keeps for itself.
fn signal_name(bytes: &[u8]) {
    if let Some(number) = signal::parse(&text(bytes)).filter(|number| ![32, 33].contains(number)) {
        assert_eq!(signal::parse(&signal::name(number)), Some(number));
    }
}

/// A state file, which readers find in a directory that others may have made: what is read can be written and read again.
fn state_file(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let again = serde_json::to_vec(&record).expect("a record can be written");
    serde_json::from_slice::<Record>(&again).expect("and read again");
}
