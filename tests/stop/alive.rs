//! Alive from the first moment: what `health` and `status` say while a start still prepares.

use crate::job::{Job, said};
use crate::killed::in_a_hook;
use crate::preparing::{POLITE, installing};
use crate::support::Place;
use crate::support::look::until;
use std::process::Output;
use std::time::{Duration, Instant};

/// Far more than it takes, far less than the second that Kubernetes gives a probe.
const AT_ONCE: Duration = Duration::from_millis(500);

#[track_caller]
fn at_once(ask: impl Fn() -> Output) -> (Option<i32>, String) {
    // A busy machine may be late once.
    let timed = || {
        let begun = Instant::now();
        let answer = said(&ask());
        (begun.elapsed() < AT_ONCE).then_some(answer)
    };
    until("an answer in time", timed)
}

#[test]
fn hooks_are_a_phase_in_which_a_container_is_alive_and_not_ready() {
    let job = Job::new();
    let running = in_a_hook(&job, Place::Aside);
    job.is_in_phase("hooks");
    assert_eq!(at_once(|| job.ask(&["health", "--live"])).0, Some(0));
    let (code, ready) = at_once(|| job.ask(&["health", "--ready"]));
    assert!(code == Some(1) && ready.starts_with("hooks for "), "{ready}");
    let (code, status) = at_once(|| job.ask(&["status"]));
    assert!(code == Some(0) && status.starts_with("phase      hooks for "), "{status}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn an_installation_is_a_phase_however_silent_it_is() {
    if crate::job::python().is_none() {
        return;
    }
    let job = Job::new();
    let running = installing(&job, Place::Aside, POLITE);
    job.is_in_phase("installing");
    assert_eq!(at_once(|| job.ask(&["health", "--live"])).0, Some(0));
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_supervisor_that_has_written_nothing_is_alive_and_what_is_not_known_is_not_told() {
    let job = Job::new();
    // A state directory without a state, as it is for a moment: its name says whose it is.
    let mut child = std::process::Command::new("sleep").arg("100.0").spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    let directory = job.path().join(format!("trainit-0/4026531836-{}-{start}", child.id()));
    std::fs::create_dir_all(&directory).unwrap();
    let ask = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::support::TRAINIT);
        command.args(words).arg("--instance").arg(&directory).output().unwrap()
    };
    assert_eq!(at_once(|| ask(&["health", "--live"])).0, Some(0));
    assert_eq!(at_once(|| ask(&["health", "--ready"])).0, Some(1));
    // One that has just begun is about to write, one that is old keeps no state.
    let (code, status) = said(&ask(&["status"]));
    let begun = code == Some(0) && status.contains(&format!("supervisor {}", child.id()));
    assert!(begun || code == Some(1) && status.contains("keeps no state"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said(&ask(&["health", "--live"])).0, Some(1));
}

#[test]
fn a_base_that_is_not_there_is_made_and_one_that_cannot_be_used_is_told() {
    let job = Job::new();
    let base = job.path().join("not/there");
    let run = |base: &str| job.launch(Place::Aside, &["sleep", "100.0"]).env("TRAINIT_STATE_DIR", base).spawn();
    let running = run(base.to_str().unwrap());
    let _: Vec<u8> = until("a state", || {
        let home = std::fs::read_dir(&base).ok()?.flatten().next()?;
        let instance = std::fs::read_dir(home.path()).ok()?.flatten().next()?;
        std::fs::read(instance.path().join("state.json")).ok()
    });
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
    let running = run("/proc/no/such");
    let warning = running.error_with("state_dir");
    assert!(warning.contains("cannot be used"), "{warning}");
    // The usual places are used, which the workload is told.
    let workload = running.workload();
    let _: Vec<u8> = until("the state's place", || {
        let environment = std::fs::read(format!("/proc/{workload}/environ")).ok()?;
        let value = environment.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(b"TRAINIT_RUN_DIR="))?;
        std::fs::read(format!("{}/state.json", String::from_utf8_lossy(value))).ok()
    });
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}
