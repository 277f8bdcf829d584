//! torchrun: an agent that passes the signal on to its ranks itself, and ends with 1 after a stop in the best order.

use crate::job::{GRACE, Job, torch_is_here, torchrun, words};
use crate::support::{Finished, Launch, Place, can_unshare, has};

const RANKS: u32 = 2;

fn can_run() -> bool {
    torch_is_here() && can_unshare()
}

fn command(job: &Job) -> Vec<String> {
    torchrun(job, RANKS)
}

/// Starts it, waits until it trains, sends SIGTERM, waits for the end.
fn stopped(job: &Job, launch: Launch) -> Finished {
    let mut running = launch.spawn();
    job.wait_for_steps(RANKS, &mut running);
    running.signal(libc::SIGTERM);
    running.finish()
}

#[test]
fn a_stop_leads_to_a_checkpoint_from_which_the_next_start_goes_on() {
    if !can_run() {
        return;
    }
    let job = Job::new();
    let finished = stopped(&job, job.under_trainit(Place::First, &words(&command(&job))));
    job.assert_saved(RANKS, &finished);
    let rank = job.rank(0).unwrap();
    let saving = GRACE.as_secs() - GRACE.as_secs() / 10;
    assert_eq!(rank.timeout, Some(saving.to_string()), "torchrun would kill its ranks after 30 s");

    std::fs::remove_dir_all(job.path().join("ranks")).unwrap();
    let mut again = job.under_trainit(Place::First, &words(&command(&job))).spawn();
    job.wait_for_steps(RANKS, &mut again);
    assert_eq!(job.rank(1).unwrap().first, rank.step + 1);
}

#[test]
fn behind_a_shell_and_before_a_pipe_it_is_the_same() {
    if !can_run() {
        return;
    }
    let job = Job::new();
    let line = format!("cd .; {} 2>&1 | tee {}/log", command(&job).join(" "), job.word());
    let finished = stopped(&job, job.under_trainit(Place::Aside, &["bash", "-c", &line]));
    job.assert_saved(RANKS, &finished);
}

#[test]
fn a_stop_that_goes_to_every_process_loses_it() {
    if !can_run() {
        return;
    }
    let job = Job::new();
    let launch = job.under_trainit(Place::First, &words(&command(&job)));
    let finished = stopped(&job, launch.env("TRAINIT_STOP_SCOPE", "tree"));
    job.assert_lost(&finished.err);
    assert!(finished.err.contains("DataLoader worker"), "lost for another reason: {finished:#?}");
    assert!(finished.err.contains("NO checkpoint was saved"), "{finished:#?}");
}

/// dumb-init signals the whole session of its child. That reaches the ranks and their loaders, unless torchrun gives each rank a
/// session of its own, as torch 2.15's does.
#[test]
fn an_init_that_signals_the_whole_session_loses_it_where_the_ranks_are_in_it() {
    if !can_run() || !has("dumb-init") {
        return;
    }
    let job = Job::new();
    let finished = stopped(&job, job.under(&["dumb-init", "--"], &words(&command(&job))));
    job.assert_lost(&finished.err);
}
