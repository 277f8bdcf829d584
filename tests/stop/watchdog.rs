//! A workload that does nothing any more: noticed by silence, by its heartbeat, by missing checkpoints; looked into; ended.

use crate::job::{Job, assert_about, places, python, said, timed};
use crate::support::Place;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

#[test]
fn silence_is_told_with_stacks_and_the_container_is_not_live_any_more() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().with("WATCHDOG_OUTPUT", "1s");
        let running = job.start(place, &["on=TERM:exit0", "talks=0.2", "stops=1.5"]);
        assert_eq!(running.line(), "alive");
        let told = running.error_with("the workload hangs");
        assert!(told.contains("no process has written anything for 1."), "{told}");
        running.error_with("trainer.py");
        running.error_with("thread ");
        if place == Place::Aside {
            assert_eq!(said(&job.ask(&["health", "--live"])).0, Some(1));
            assert!(said(&job.ask(&["status"])).1.contains("hangs"));
        }
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), 143);
    }
}

#[test]
fn a_workload_that_talks_does_not_hang() {
    if python().is_none() {
        return;
    }
    let job =
        Job::new().with("WATCHDOG_OUTPUT", "1s").with("WATCHDOG_HEARTBEAT", "1s").with("WATCHDOG_ACTION", "abort");
    let finished = job.launch(Place::Aside, &job.trainer(&["talks=0.1", "beats=0.1", "ends=3:0"])).finish();
    assert!(finished.code == Some(0) && !finished.err.contains("hangs"), "{finished:?}");
}

#[test]
fn a_heart_that_stops_is_noticed() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("WATCHDOG_HEARTBEAT", "1s");
    let running = job.start_aside(&["on=TERM:exit0", "beats=0.1", "stops=1"]);
    let begun = Instant::now();
    running.error_with("the workload hangs: the heartbeat file has not been touched for 1.");
    assert_about(begun.elapsed(), 1.8);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn checkpoints_that_do_not_come_any_more_are_noticed() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("WATCHDOG_CHECKPOINT", "1500ms");
    let running = job.start_aside(&["on=TERM:exit0", "saves=0.5", "stops=1.2"]);
    assert_eq!((running.line(), running.line()), ("saved 1".into(), "saved 2".into()));
    let ((), took) = timed(|| drop(running.error_with("the workload hangs: no new checkpoint is complete for 1.")));
    assert_about(took, 1.3);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_hanging_run_is_looked_into_then_ended_and_started_again() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new()
            .with("WATCHDOG_OUTPUT", "1s")
            .with("WATCHDOG_ACTION", "restart")
            .with("WATCHDOG_STACK_SIGNAL", "USR2")
            .with("RESTART_MAX", "1")
            .with("RESTART_BACKOFF", "100ms..100ms");
        let hangs = job.trainer_line(&["stacks=USR2"]);
        let line = format!("[ $TRAINIT_ATTEMPT = 2 ] || exec {hangs}; echo second");
        let running = job.launch(place, &["sh", "-c", &line]).env("PYTHONFAULTHANDLER", "1").spawn();
        assert!(running.line().starts_with("up attempt 1"));
        running.error_with("the workload hangs");
        // First by the signal that it registered for that, then by the one that ends it.
        running.error_with("most recent call first");
        running.error_with("trainer.py");
        running.error_with("it is ended because it hangs");
        running.error_with("Fatal Python error: Aborted");
        running.error_with("start 2 follows");
        assert_eq!((running.line(), running.code()), ("second".into(), 0));
    }
}

#[test]
fn a_hanging_run_that_does_not_end_is_killed_and_that_is_the_end() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("WATCHDOG_OUTPUT", "500ms").with("WATCHDOG_ACTION", "abort").with("RESTART_MAX", "5");
    let running = job.start_aside(&["on=TERM:quiet"]);
    running.error_with("it is ended because it hangs: SIGABRT, or SIGTERM; 10 s until SIGKILL");
    // No handler for ABRT, so no core file: it got TERM.
    assert_eq!(running.line(), "TERM");
    let (code, took) = timed(|| running.code());
    assert_eq!(code, 137);
    assert_about(took, 10.0);
}

#[test]
fn a_hanging_run_never_looks_complete() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("WATCHDOG_OUTPUT", "500ms").with("WATCHDOG_ACTION", "abort");
    let running = job.start_aside(&["on=TERM:exit0"]);
    assert_eq!(running.code(), 134);
}

#[test]
fn where_py_spy_is_installed_it_is_asked() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("WATCHDOG_OUTPUT", "500ms");
    let tool = job.path().join("py-spy");
    std::fs::write(&tool, "#!/bin/sh\necho \"asked: $*\"\necho '    train (train.py:7)'\n").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", job.word(), std::env::var("PATH").unwrap());
    let running = job.launch(Place::Aside, &job.trainer(&["on=TERM:exit0"])).env("PATH", &path).spawn();
    assert!(running.line().starts_with("up"));
    running.error_with(&format!("asked: dump --pid {}", running.workload()));
    running.error_with("train (train.py:7)");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}
