//! `on_failure: hold`: what failed stays open for a person, and ends when it is told to or its time is over.

use crate::job::{Job, assert_about, places, said, timed};
use crate::support::Place;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_failed_training_is_kept_open_and_a_stop_ends_it_with_its_own_code() {
    for place in places() {
        let job = Job::new().with("ON_FAILURE", "hold").with("STOP_EXIT_CODE", "85").with("CHECKPOINT_SIGNAL", "USR1");
        let running = job.launch(place, &["sh", "-c", "exit 3", job.word()]).spawn();
        running.error_with("exit code 3"); // how it ended is told at once
        running.error_with("hold  kept open for 60 min 00 s");
        running.error_with("  look    ");
        running.error_with("  end it  ");
        job.is_in_phase("holding");
        if place == Place::Aside {
            assert_eq!(job.ask(&["health", "--live"]).status.code(), Some(0));
            assert_eq!(job.ask(&["health"]).status.code(), Some(1));
            let (_, status) = said(&job.ask(&["status"]));
            assert!(
                ["holding for", "more, then it ends", "exit code 3", "report.json"].iter().all(|w| status.contains(w)),
                "{status}"
            );
            let (code, text) = said(&job.ask(&["checkpoint"]));
            assert_eq!(code, Some(1), "{text}");
        }
        running.signal(libc::SIGTERM);
        let (finished, took) = timed(|| running.finish());
        assert_about(took, 0.0);
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.err.contains("not kept open any longer"), "{finished:?}");
    }
}

#[test]
fn a_start_that_failed_is_kept_open_with_its_report() {
    for user in users() {
        let job = Job::new().with("ON_FAILURE", "hold:1h").with("DATA", "/no/such/data");
        std::fs::set_permissions(job.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        is_held_with_its_report(&job.with("USER", user));
    }
}

/// Whom a start can become here.
fn users() -> &'static [&'static str] {
    if nix::unistd::geteuid().is_root() { &["keep", "12345:23456"] } else { &["keep"] }
}

#[track_caller]
fn is_held_with_its_report(job: &Job) {
    let running = job.launch(Place::Aside, &["true"]).spawn();
    job.is_in_phase("holding");
    let state = std::fs::read(job.run_dir().join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let report = std::fs::read(state["report"].as_str().unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["exit"], 111);
    assert!(
        report["findings"].as_array().unwrap().iter().any(|finding| finding["subject"] == "/no/such/data"),
        "{report}"
    );
    job.tells("why", |state| state["refused"].as_str().is_some_and(|why| why.contains("exit code 111")));
    running.signal(libc::SIGINT);
    assert_eq!(running.code(), 111);
}

#[test]
fn a_configuration_that_cannot_be_is_kept_open_where_it_says_so_and_told_as_it_wants() {
    let job = Job::new().with("ON_FAILURE", "hold").with("LOG_FORMAT", "json").with("STOP_GRACE", "10x");
    let running = job.launch(Place::Aside, &["true"]).spawn();
    let line: serde_json::Value = serde_json::from_str(&running.error_with("STOP_GRACE")).unwrap();
    assert_eq!((&line["level"], &line["exit"]), (&"error".into(), &78.into()));
    job.is_in_phase("holding");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 78);
}

#[test]
fn when_the_time_is_over_it_ends_by_itself() {
    let job = Job::new().with("ON_FAILURE", "hold:1s");
    let (finished, took) = timed(|| job.launch(Place::Aside, &["no-such-program-of-a-test"]).spawn().finish());
    assert_about(took, 1.0);
    assert_eq!(finished.code, Some(127), "{finished:?}");
    assert!(finished.err.contains("the time of on_failure is over"), "{finished:?}");
}

#[test]
fn a_mistyped_command_line_and_a_shells_last_code_are_not_kept_open() {
    let job = Job::new().with("ON_FAILURE", "hold");
    for (words, code) in [(&["--no-such-option"][..], 64), (&["--mode", "shell", "--", "sh", "-c", "exit 7"][..], 7)] {
        assert_eq!(job.launch_words(Place::Aside, words).spawn().code(), code);
    }
}
