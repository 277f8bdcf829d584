//! The second start of a rehearsal, with jobs that go on, begin anew, say nothing, crash and hang.

use super::support::has;
use super::{Ended, Rehearsal, UP, assert_told};

const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rehearse/job.py");

fn of_job(rehearsal: &Rehearsal, words: &[&str]) -> Ended {
    rehearsal.of(&[&["python3", "-S", JOB, rehearsal.word()], words].concat())
}

#[test]
fn a_job_that_goes_on_is_ready_by_what_it_saves() {
    if !has("python3") {
        return;
    }
    let ended = of_job(&Rehearsal::new(UP).watched(), &["goes-on"]);
    assert_told(
        &ended,
        0,
        &["the second start, to see whether", ", and it went on: it saved ", "ready to be sent off"],
    );
}

#[test]
fn a_job_that_never_reads_is_not_ready() {
    if !has("python3") {
        return;
    }
    for writes in [&["anew"][..], &["anew", "writes"]] {
        let ended = of_job(&Rehearsal::new(UP).watched(), writes);
        assert_told(&ended, 1, &[", and it began anew: it saved ", "below the step ", "not ready: resume"]);
    }
    let ended = of_job(&Rehearsal::new(UP).watched().set("checkpoint.resume=off"), &["anew"]);
    assert_told(&ended, 1, &["given nothing (checkpoint.resume is off), and it began anew", "checkpoint.resume: env"]);
}

#[test]
fn a_job_that_says_nothing_cannot_be_told() {
    if !has("python3") {
        return;
    }
    let rehearsal = || Rehearsal::new(UP).watched().set("checkpoint.pattern=last.npz");
    let ended = of_job(&rehearsal(), &["same"]);
    let told = ["cannot tell whether it went on: it ran for ", "trainit_resumed_step=1200", "is ready: resume"];
    assert_told(&ended, 1, &told);
    assert!(!ended.1.contains("ready to be sent off"), "{}", ended.1);
    // Its file has no step, so that it begins anew in truth, and its output tells that.
    let ended = of_job(&rehearsal(), &["same", "writes"]);
    assert_told(&ended, 1, &["and it began anew: its output names step "]);
}

#[test]
fn a_second_start_that_crashes_or_hangs_is_not_ready() {
    if !has("python3") {
        return;
    }
    let ended = of_job(&Rehearsal::new(UP).watched(), &["crashes"]);
    assert_told(&ended, 1, &["and it ended by itself ", ", with exit code 9", "not ready: resume"]);
    let ended = of_job(&Rehearsal::new(UP).watched().set("stop.grace=3s"), &["hangs"]);
    assert_told(&ended, 1, &["and it was killed: still there ", "not ready: resume"]);
}

#[test]
fn a_refusal_names_what_was_written_instead() {
    if !has("python3") {
        return;
    }
    let rehearsal = Rehearsal::new(UP).watched();
    let dir = rehearsal.directory.path().join("ck");
    let of = |kind| rehearsal.of(&["python3", "-S", JOB, dir.to_str().unwrap(), kind]);
    // The directory of checkpoints is above that of the job, and a pattern is for names in the directory itself.
    assert_told(&of("deeper"), 1, &["one or more directories deeper: checkpoint.dir=", "/ck/run/checkpoints"]);
    let beside = Rehearsal::new(UP).watched().set(&format!("checkpoint.dir={}", dir.display()));
    let ended = beside.of(&["python3", "-S", JOB, dir.to_str().unwrap(), "elsewhere"]);
    assert_told(&ended, 1, &["ck-beside/ckpt-", "was written, outside of checkpoint.dir"]);
    let ended = of_job(&Rehearsal::new(UP).watched(), &["cut"]);
    assert_told(&ended, 1, &["no new checkpoint is complete in", "ckpt-", ".npz: ", "not ready: saved, resume"]);
}
