//! Checkpoints while a job runs and stops: which are told, what a start goes on from, and what comes first when a trainer saves
//! on a signal of its own.

use crate::job::{Job, assert_about, kill, places, python, timed};
use crate::support::Place;
use nix::sys::signal::Signal;
use std::time::Instant;

#[test]
fn a_trainer_with_a_signal_for_saving_saves_first_and_is_stopped_then() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1");
        let running = job.start(place, &["on=USR1:save,TERM:exit0", "takes=0.5"]);
        running.signal(libc::SIGTERM);
        running.error_with("asked for a checkpoint by SIGUSR1; the stop follows when it is complete");
        assert_eq!((running.line(), running.line()), ("USR1".into(), "saved 1".into()));
        let told = running.error_with("is complete");
        assert!(told.contains("ckpt-1.npz (step 1, 1000 B)"), "{told}");
        // A moment for the trainer to clean up.
        let (line, took) = timed(|| running.line());
        assert_eq!(line, "TERM");
        assert_about(took, 3.0);
        assert_eq!(running.code(), 143);
    }
}

#[test]
fn a_trainer_that_ends_by_itself_after_saving_is_not_told_twice() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1").with("STOP_EXIT_CODE", "85");
    let running = job.start_aside(&["on=USR1:save+exit0,TERM:exit1"]);
    running.signal(libc::SIGTERM);
    assert_eq!((running.line(), running.line()), ("USR1".into(), "saved 1".into()));
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(85), ""), "{finished:?}");
    assert!(finished.err.contains("ckpt-1.npz (step 1, 1000 B), "), "{finished:?}");
}

#[test]
fn a_trainer_without_a_handler_for_it_is_stopped_at_once() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1");
    let running = job.start_aside(&["on=TERM:save+exit0"]);
    running.signal(libc::SIGTERM);
    running.error_with("SIGUSR1 was not sent: the workload has no handler for it (yet) and would die");
    assert_eq!((running.line(), running.line()), ("TERM".into(), "saved 1".into()));
    assert_eq!(running.code(), 143);
}

#[test]
fn when_the_checkpoint_does_not_come_term_does_at_the_end_of_its_time() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("CHECKPOINT_SIGNAL", "USR1").with("STOP_GRACE", "3s");
    let running = job.start_aside(&["on=USR1:quiet,TERM:exit0"]);
    let begun = Instant::now();
    running.signal(libc::SIGTERM);
    running.error_with("the stop follows when it is complete, or in 1.5 s");
    assert_eq!((running.line(), running.line()), ("USR1".into(), "TERM".into()));
    assert_about(begun.elapsed(), 1.5);
    let finished = running.finish();
    assert_eq!(finished.code, Some(143), "{finished:?}");
    assert!(finished.err.contains("NO checkpoint was saved"), "{finished:?}");
}

#[test]
fn a_trainer_that_hangs_in_its_save_is_looked_into_while_it_can_still_be_seen() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("STOP_GRACE", "23s").with("WATCHDOG_STACK_SIGNAL", "USR2");
    let running = job.start_aside(&["on=TERM:save", "takes=60", "stacks=USR2"]);
    running.signal(libc::SIGTERM);
    running.error_with("no new checkpoint 10");
    running.error_with("most recent call first"); // faulthandler's
    kill(running.workload(), Signal::SIGKILL);
    assert_eq!(running.code(), 137);
}

#[test]
fn what_is_complete_is_told_once_and_what_is_half_written_never() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    // At first a file that is being written and one that was cut; then two that become complete.
    std::fs::write(job.path().join("ckpt-7.npz.tmp"), "half").unwrap();
    std::fs::write(job.path().join("ckpt-8.npz"), "PK\x03\x04 cut").unwrap();
    let running = job.start_aside(&["on=TERM:save+exit0", "saves=0.4", "stops=0.9", "takes=0.1"]);
    for step in [1, 2] {
        assert_eq!(running.line(), format!("saved {step}"));
        let told = running.error_with("is complete");
        assert!(told.contains(&format!("ckpt-{step}.npz (step {step}, 1000 B)")), "{told}");
    }
    job.tells("the checkpoint", |state| state["saved"]["step"] == 2);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert!(finished.err.contains("newest checkpoint") && finished.err.contains("ckpt-3.npz"), "{finished:?}");
    assert!(!finished.err.contains("ckpt-7") && !finished.err.contains("ckpt-8"), "{finished:?}");
    assert!(!finished.err.contains("NO checkpoint"), "{finished:?}");
}

#[test]
fn a_relative_directory_is_the_workloads() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("CHECKPOINT_DIR", ".").with("CHECKPOINT_PATTERN", "ckpt-{step}.npz");
    let done = job.path().join("DONE");
    let job = job.with("STOP_DONE_FILE", "DONE").with("DEPS_REQUIREMENTS", "off");
    let directory = job.word().to_owned();
    let job = job.with("WORKDIR", &directory);
    let running = job.start_aside(&["on=TERM:save+exit0"]);
    std::fs::write(done, "").unwrap();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.err.contains("ckpt-1.npz (step 1, 1000 B) is complete"), "{finished:?}");
}

#[test]
fn the_next_start_goes_on_from_the_newest_by_variables_and_by_words() {
    if python().is_none() {
        return;
    }
    let resume = r#"["--resume={path}", "--step", "{step}"]"#;
    let job = Job::new().watched().with("CHECKPOINT_RESUME", resume);
    let shown = ["sh", "-c", "echo $TRAINIT_RESUME_STEP $TRAINIT_RESUME_PATH \"$@\"", "train"];
    let first = job.launch(Place::Aside, &shown).finish();
    assert_eq!(first.out, "\n", "{first:?}");
    assert!(first.err.contains("no complete checkpoint yet, a fresh start"), "{first:?}");

    for step in [3, 20] {
        std::fs::write(job.path().join(format!("ckpt-{step}.npz")), "x").unwrap();
    }
    std::fs::write(job.path().join("ckpt-21.npz"), "PK\x03\x04 cut").unwrap();
    let newest = job.path().canonicalize().unwrap().join("ckpt-20.npz");
    let newest = newest.display();
    let second = job.launch(Place::Aside, &shown).finish();
    assert!(second.err.contains(&format!("resume: from {newest} (step 20, 1 B, ")), "{second:?}");
    assert!(second.err.contains("resume: passed over ") && second.err.contains("ckpt-21.npz: "), "{second:?}");
    assert_eq!(second.out, format!("20 {newest} --resume={newest} --step 20\n"), "{second:?}");
}

#[test]
fn torchrun_is_told_how_long_its_ranks_have() {
    let timeout = |job: &Job, more: &[(&str, &str)]| {
        let launch = job.launch(Place::Aside, &["sh", "-c", "echo $TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]);
        more.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).finish().out
    };
    assert_eq!(timeout(&Job::new(), &[]), "\n");
    assert_eq!(timeout(&Job::new().with("STOP_GRACE", "10m"), &[]), "540\n");
    assert_eq!(timeout(&Job::new().with("STOP_GRACE", "10m"), &[("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "7")]), "7\n");
    // SageMaker's 120 s are fixed; what is configured wins.
    assert_eq!(timeout(&Job::new(), &[("SM_CURRENT_HOST", "algo-1")]), "108\n");
    assert_eq!(timeout(&Job::new().with("STOP_GRACE", "20s"), &[("SM_CURRENT_HOST", "algo-1")]), "18\n");
    assert_eq!(timeout(&Job::new().with("STOP_GRACE", "off"), &[("SM_CURRENT_HOST", "algo-1")]), "\n");
}
