//! prepare is killed from outside: it cannot say anything any more, so PID 1 does, and ends with a code that is no workload's.

use crate::job::{Job, kill, places, python, said};
use crate::preparing::{POLITE, installing, with_data_that_hangs};
use crate::support::look::until_true;
use crate::support::{Place, Running};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;

/// A start whose hook takes its time, and is in the middle of it.
pub fn in_a_hook(job: &Job, place: Place) -> Running {
    let hook = job.path().join("10-slow");
    std::fs::write(&hook, format!("#!/bin/sh\ntouch {0}/hooked\nexec sleep 100.0\n: {0}", job.word())).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let running = job.launch(place, &["true", job.word()]).env("TRAINIT_HOOKS_BEFORE_CHECKS", hook.to_str().unwrap());
    let running = running.spawn();
    until_true("the hook", || job.path().join("hooked").exists());
    running
}

#[track_caller]
fn is_told(running: Running, signal: Signal, doing: &str) {
    kill(running.workload(), signal);
    let finished = running.finish();
    assert_eq!(finished.code, Some(70), "{finished:?}");
    let ends: Vec<&str> = finished.err.lines().filter(|line| line.contains("end   ")).collect();
    let [end] = ends.as_slice() else { panic!("one line about the end: {finished:?}") };
    let expected = format!("trainit: end   preparing: killed by {signal} while {doing}");
    assert!(end.starts_with(&expected) && end.ends_with("ends with 70"), "{end}");
}

#[test]
fn whoever_kills_it_in_a_hook_is_told_with_70() {
    for place in places() {
        for signal in [Signal::SIGKILL, Signal::SIGSEGV] {
            let job = Job::new();
            is_told(in_a_hook(&job, place), signal, "running hooks");
            job.assert_nobody_left();
        }
    }
}

#[test]
fn whoever_kills_it_in_an_installation_is_told_with_70() {
    if python().is_none() {
        return;
    }
    for signal in [Signal::SIGKILL, Signal::SIGSEGV] {
        let job = Job::new();
        is_told(installing(&job, Place::Aside, POLITE), signal, "installing dependencies");
        job.assert_nobody_left();
    }
}

#[test]
fn whoever_kills_it_in_a_check_is_told_with_70() {
    for signal in [Signal::SIGKILL, Signal::SIGABRT] {
        let job = Job::new();
        let Some(running) = with_data_that_hangs(&job) else { return };
        is_told(running, signal, "running checks");
    }
}

#[test]
fn an_interrupt_that_reached_it_alone_is_no_failure() {
    let job = Job::new().with("ON_FAILURE", "hold");
    let running = in_a_hook(&job, Place::Aside);
    kill(running.workload(), Signal::SIGINT);
    let finished = running.finish();
    assert_eq!(finished.code, Some(130), "{finished:?}");
    assert!(finished.err.contains("end   preparing: killed by SIGINT while running hooks"), "{finished:?}");
}

#[test]
fn it_is_kept_open_with_its_reason_and_a_report() {
    let job = Job::new().with("ON_FAILURE", "hold");
    let running = in_a_hook(&job, Place::Aside);
    kill(running.workload(), Signal::SIGKILL);
    job.is_in_phase("holding");
    job.tells("why", |state| state["refused"] == "killed by SIGKILL while running hooks");
    let (_, status) = said(&job.ask(&["status"]));
    assert!(status.contains("failed     killed by SIGKILL while running hooks"), "{status}");
    assert_eq!(job.ask(&["health", "--live"]).status.code(), Some(0));
    let report = std::fs::read(job.run_dir().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["exit"], &report["verdict"]), (&70.into(), &"fail".into()), "{report}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 70);
}
