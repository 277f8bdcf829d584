//! From the stop signal to the end: who is waited for, how long, and with which code.

use crate::job::{Job, assert_about, kill, places, python, timed};
use crate::support::Place;
use crate::support::look::{children, state, until_true};
use nix::sys::signal::Signal;

#[test]
fn without_a_grace_a_saving_workload_is_waited_for_however_often_it_is_told() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let running = job.start(place, &["on=TERM:save+exit0", "takes=2.5"]);
        let ((), took) = timed(|| {
            for again in 0..4 {
                running.signal(libc::SIGTERM);
                let said = running.error_with("SIGTERM");
                assert!(
                    said.contains(if again == 0 { "stop.grace is not set" } else { "nothing is shortened" }),
                    "{said}"
                );
            }
            assert_eq!((running.line(), running.line()), ("TERM".into(), "saved 1".into()));
        });
        assert_about(took, 2.5);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), ""), "{finished:?}");
        assert!(!finished.err.contains("SIGKILL"), "{finished:?}");
        job.assert_nobody_left();
    }
}

#[test]
fn a_grace_is_for_the_trainer_first_then_for_all_and_then_it_is_over() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().with("STOP_GRACE", "3s");
        let running = job.start(place, &["on=TERM:quiet", "child=si"]);
        let begun = std::time::Instant::now();
        running.signal(libc::SIGTERM);
        assert!(running.error_with("stopping").contains("3.0 s until SIGKILL (stop.grace, TRAINIT_STOP_GRACE)"));
        assert_eq!(running.line(), "TERM");
        running.signal(libc::SIGTERM);
        assert!(running.error_with("nothing is shortened, ").ends_with(" s until SIGKILL"));
        running.error_with("SIGTERM to every process, 1.5 s until SIGKILL");
        assert_about(begun.elapsed(), 1.5);
        let mut both = [running.line(), running.line()];
        both.sort();
        assert_eq!(both, ["TERM", "child TERM"]);
        running.error_with("SIGKILL to every process");
        let finished = running.finish();
        assert_about(begun.elapsed(), 3.0);
        assert_eq!(finished.code, Some(137), "{finished:?}");
        assert!(finished.err.contains("killed by SIGKILL; stopped by SIGTERM"), "{finished:?}");
        job.assert_nobody_left();
    }
}

/// How a run that is stopped ends, and what the whole then ends with.
#[track_caller]
fn ends_with(settings: &[(&str, &str)], on_term: &str, code: i32) {
    let job = settings.iter().fold(Job::new(), |job, (name, value)| job.with(name, value));
    let running = job.start_aside(&[&format!("on=TERM:{on_term}")]);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.code, Some(code), "{settings:?} {on_term} {finished:?}");
}

#[test]
fn what_was_stopped_in_good_order_has_the_stop_code_and_all_else_its_own() {
    if python().is_none() {
        return;
    }
    ends_with(&[], "exit0", 143);
    ends_with(&[], "exit143", 143);
    ends_with(&[("STOP_EXIT_CODE", "85")], "exit0", 85);
    ends_with(&[("STOP_EXIT_CODE", "0")], "exit143", 0);
    ends_with(&[("STOP_EXIT_CODE", "85")], "exit3", 3);
    ends_with(&[("STOP_EXIT_CODE", "85")], "crash", 139);
    ends_with(&[("EXIT_MAP", "143=9")], "exit0", 9);
}

#[test]
fn a_training_that_says_it_was_complete_keeps_its_own_code() {
    if python().is_none() {
        return;
    }
    for (done, code) in [(true, 0), (false, 143)] {
        let job = Job::new();
        let file = job.path().join("DONE");
        let job = job.with("STOP_DONE_FILE", file.to_str().unwrap());
        let running = job.start_aside(&["on=TERM:exit0"]);
        if done {
            std::fs::write(&file, "").unwrap();
        }
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), code, "{done}");
    }
}

#[test]
fn a_second_interrupt_means_now_and_a_third_means_kill() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let running = job.start(place, &["on=INT:quiet,TERM:quiet"]);
        running.signal(libc::SIGINT);
        assert_eq!(running.line(), "INT");
        running.signal(libc::SIGINT);
        running.error_with("SIGTERM to every process");
        assert_eq!(running.line(), "TERM");
        running.signal(libc::SIGINT);
        running.error_with("SIGKILL to every process");
        assert_eq!(running.code(), 137);
    }
}

#[test]
fn the_configured_stop_signal_goes_to_who_catches_it_and_to_others_goes_term() {
    if python().is_none() {
        return;
    }
    let job = || Job::new().with("STOP_SIGNAL", "USR1");
    let caught = job();
    let running = caught.start_aside(&["on=USR1:exit0,TERM:exit1"]);
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.code()), ("USR1".into(), 143));

    let other = job();
    let running = other.start_aside(&["on=TERM:exit0"]);
    running.signal(libc::SIGTERM);
    running.error_with("the workload has no handler for SIGUSR1 (yet): SIGTERM was sent instead");
    assert_eq!((running.line(), running.code()), ("TERM".into(), 143));
}

#[test]
fn a_stopped_process_is_continued_so_that_it_can_save() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let running = job.start_aside(&["on=TERM:save+exit0"]);
    let trainer = running.workload();
    kill(trainer, Signal::SIGSTOP);
    until_true("stopped", || state(trainer) == Some('T'));
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.line()), ("TERM".into(), "saved 1".into()));
    assert_eq!(running.code(), 143);
}

#[test]
fn what_a_stopped_workload_leaves_gets_term_but_without_a_grace_no_kill() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let running = job.start(place, &["on=TERM:exit0", "child=s"]);
        running.signal(libc::SIGTERM);
        let mut lines = vec![running.line(), running.line()];
        lines.sort();
        assert_eq!(lines, ["TERM", "child TERM"]);
        assert_eq!(running.code(), 143);
        job.assert_nobody_left();
    }
}

#[test]
fn who_is_still_waited_for_is_named() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let running = job.start(place, &["on=TERM:exit0", "child=si"]);
        let child = children(running.workload())[0];
        running.signal(libc::SIGTERM);
        let told = running.error_with("the workload has ended; waiting for what it left: ");
        assert!(told.ends_with(", state S)") && told.contains("(python"), "{told}");
        kill(child, Signal::SIGKILL);
        assert_eq!(running.code(), 143);
    }
}

#[test]
fn what_a_workload_leaves_at_its_natural_end_is_killed_when_the_drain_is_over() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().with("STOP_DRAIN", "1s");
        let running = job.start(place, &["ends=0.1:7", "child=si"]);
        assert_eq!(running.line(), "child TERM");
        let (code, took) = timed(|| running.code());
        assert_eq!(code, 7);
        assert_about(took, 1.0);
        job.assert_nobody_left();
    }
}

#[test]
fn a_stop_after_the_natural_end_changes_nothing_but_the_wait() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("STOP_DRAIN", "2s");
    let running = job.start(Place::Aside, &["ends=0.1:0", "child=si"]);
    assert_eq!(running.line(), "child TERM");
    running.signal(libc::SIGTERM);
    running.error_with("the workload has ended");
    assert_eq!(running.code(), 0);
}
