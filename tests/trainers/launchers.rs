//! A launcher that dies first: its ranks are orphans, and PID 1 is all that they have left.

use crate::job::{Job, script};
use crate::support::{Place, can_unshare, has};

const RANKS: u32 = 3;

#[test]
fn ranks_whose_launcher_died_of_the_stop_are_told_once_and_save() {
    if !has("python3") {
        return;
    }
    let places = if can_unshare() { &[Place::First, Place::Aside][..] } else { &[Place::Aside] };
    for place in places {
        let job = Job::new();
        let (runner, train) = (script("runner.py"), script("plain.py"));
        let command = ["python3", &runner, &RANKS.to_string(), &train, job.word()];
        let mut running = job.under_trainit(*place, &command).spawn();
        job.wait_for_steps(RANKS, &mut running);
        running.signal(libc::SIGTERM);
        job.assert_saved(RANKS, &running.finish());
    }
}

#[test]
fn ranks_whose_launcher_died_of_the_stop_are_lost_under_an_init_that_leaves_with_it() {
    if !has("python3") || !has("dumb-init") || !can_unshare() {
        return;
    }
    let job = Job::new();
    let (runner, train) = (script("runner.py"), script("plain.py"));
    let command = ["python3", &runner, &RANKS.to_string(), &train, job.word()];
    let mut running = job.under(&["dumb-init", "--"], &command).spawn();
    job.wait_for_steps(RANKS, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_lost(&running.finish().err);
}
