//! Starting again in the same container: when, after which pause, how often, and what the whole ends with.

use crate::job::{Job, assert_about, places, python, timed};
use crate::support::{Place, Running};
use std::time::Instant;

/// A job that may start again, soon.
fn again(max: u32) -> Job {
    Job::new().with("RESTART_MAX", &max.to_string()).with("RESTART_BACKOFF", "100ms..100ms").with("STOP_DRAIN", "1s")
}

/// What the runs of a job printed, and its code.
#[track_caller]
fn runs(job: &Job, place: Place, words: &[&str]) -> (Vec<String>, i32) {
    let finished = job.launch(place, &job.trainer(words)).finish();
    (finished.out.lines().map(str::to_owned).collect(), finished.code.unwrap())
}

#[test]
fn a_failed_run_is_followed_by_another_until_one_ends_well() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let (lines, code) = runs(&again(5), place, &["ends=0:3/139/0"]);
        let attempt = |n| format!("up attempt {n} resumed -");
        assert_eq!((lines, code), ((1..=3).map(attempt).collect(), 0), "{place:?}");
    }
}

#[test]
fn when_the_restarts_are_used_up_the_last_runs_code_is_the_code() {
    if python().is_none() {
        return;
    }
    let (lines, code) = runs(&again(2), Place::Aside, &["ends=0:3/4/5/0"]);
    assert_eq!((lines.len(), code), (3, 5));
}

#[test]
fn only_the_configured_codes_are_tried_again() {
    if python().is_none() {
        return;
    }
    let job = again(5).with("RESTART_ON", "3 0 139");
    let (lines, code) = runs(&job, Place::Aside, &["ends=0:3/0/139/4"]);
    assert_eq!((lines.len(), code), (4, 4));
    let (lines, code) = runs(&again(0), Place::Aside, &["ends=0:3/0"]);
    assert_eq!((lines.len(), code), (1, 3));
}

#[test]
fn pauses_double_up_to_the_longest_and_a_healthy_run_begins_anew() {
    if python().is_none() {
        return;
    }
    let job = again(4).with("RESTART_BACKOFF", "100ms..300ms");
    let running = job.launch(Place::Aside, &job.trainer(&["ends=0:1"])).spawn();
    for (attempt, pause) in [(2, "0.1 s"), (3, "0.2 s"), (4, "0.3 s"), (5, "0.3 s")] {
        running.error_with(&format!("start {attempt} follows in {pause}"));
    }
    running.error_with("not started again: restart.max is reached");
    assert_eq!(running.code(), 1);

    let job = again(1).with("RESTART_BACKOFF", "100ms..10s").with("RESTART_HEALTHY", "200ms");
    let (lines, code) = runs(&job, Place::Aside, &["ends=0.4:1/1/1/0"]);
    assert_eq!((lines.len(), code), (4, 0));
}

#[test]
fn runs_that_bring_no_newer_checkpoint_are_given_up() {
    if python().is_none() {
        return;
    }
    let job = again(9).watched();
    let running = job.launch(Place::Aside, &job.trainer(&["ends=0.2:1"])).spawn();
    running.error_with("not started again: three runs brought no newer checkpoint");
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.lines().count()), (Some(1), 3), "{finished:?}");

    let job = again(4).watched().with("CHECKPOINT_RESUME", "env");
    let (lines, code) = runs(&job, Place::Aside, &["saves=0.2", "stops=0.3", "ends=0.6:1/1/1/1/0"]);
    let expected = ["up attempt 1 resumed -", "saved 1", "up attempt 2 resumed 1", "saved 2"];
    assert_eq!((&lines[..4], lines.len(), code), (&expected.map(str::to_owned)[..], 10, 0));
}

#[test]
fn what_the_first_run_left_is_gone_before_the_second_begins() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = again(1);
        // The second run looks for processes that have the job's directory as a word.
        let trainer = job.trainer_line(&["ends=0:1", "child=si"]);
        let each = format!("tr '\\0' '\\n' <$f 2>/dev/null | grep -qx {} && echo left", job.word());
        let look = format!("for f in /proc/[0-9]*/cmdline; do {each}; done; echo looked");
        let line = format!("if [ $TRAINIT_ATTEMPT = 1 ]; then {trainer}; exit 1; else {look}; fi");
        let begun = Instant::now();
        let running = job.launch(place, &["sh", "-c", &line]).spawn();
        assert!(running.line().starts_with("up attempt 1"));
        assert_eq!((running.line().as_str(), running.line().as_str()), ("child TERM", "looked"), "{place:?}");
        assert_about(begun.elapsed(), 1.0);
        running.finish();
        job.assert_nobody_left();
    }
}

fn stop(running: Running) -> (i32, std::time::Duration) {
    running.signal(libc::SIGTERM);
    timed(|| running.code())
}

#[test]
fn a_stop_during_the_pause_is_the_end_and_has_the_stop_code() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = again(9).with("RESTART_BACKOFF", "60s..60s").with("STOP_EXIT_CODE", "85");
        let running = job.launch(place, &job.trainer(&["ends=0:3"])).spawn();
        running.error_with("start 2 follows in 60 s");
        let (code, took) = stop(running);
        assert_eq!(code, 85);
        assert_about(took, 0.0);
    }
}

#[test]
fn a_stop_while_leftovers_of_a_failed_run_are_ended_is_the_end_too() {
    if python().is_none() {
        return;
    }
    let job = again(9).with("STOP_DRAIN", "2s");
    let running = job.launch(Place::Aside, &job.trainer(&["ends=0:3", "child=si"])).spawn();
    assert!(running.line().starts_with("up attempt 1"));
    assert_eq!(running.line(), "child TERM");
    running.signal(libc::SIGTERM);
    running.error_with("not started again; ");
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(143), "child TERM\n"), "{finished:?}");
}

#[test]
fn a_stopped_run_is_not_started_again() {
    if python().is_none() {
        return;
    }
    let job = again(9);
    let running = job.start_aside(&["on=TERM:exit3"]);
    assert_eq!(stop(running).0, 3);
}
