//! torchrun: an agent that passes the signal on to its ranks itself, and ends with 1 after a stop in the best order.

use crate::job::{GRACE, Job, has_module, script};
use crate::support::{Finished, Launch, Place, can_unshare, has};
use std::net::TcpListener;

const RANKS: u32 = 2;

/// Debian's torch belongs to Debian's Python; a virtual environment's may be named instead.
fn python() -> String {
    std::env::var("TRAINERS_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".into())
}

fn torch_is_here() -> bool {
    has_module(&python(), "torch", "apt-get install python3-torch") && can_unshare()
}

/// The command line of a training with several ranks on this node. Debian 12's torch 1.13 fails on its own default for `--redirects`
/// under Debian's Python 3.11, so both that and `--tee` are named.
fn command(job: &Job) -> Vec<String> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = format!(
        "--nproc_per_node={RANKS} --master_addr=127.0.0.1 --master_port={port} --redirects=1 --tee=1 --log_dir={}/logs",
        job.word()
    );
    let program = [python(), "-m".to_owned(), "torch.distributed.run".to_owned()];
    let options = options.split(' ').map(str::to_owned);
    program.into_iter().chain(options).chain([script("ranks.py"), job.word().to_owned()]).collect()
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
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
    if !torch_is_here() {
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
    if !torch_is_here() {
        return;
    }
    let job = Job::new();
    let line = format!("cd .; {} 2>&1 | tee {}/log", command(&job).join(" "), job.word());
    let finished = stopped(&job, job.under_trainit(Place::Aside, &["bash", "-c", &line]));
    job.assert_saved(RANKS, &finished);
}

#[test]
fn a_stop_that_goes_to_every_process_loses_it() {
    if !torch_is_here() {
        return;
    }
    let job = Job::new();
    let launch = job.under_trainit(Place::First, &words(&command(&job)));
    let finished = stopped(&job, launch.env("TRAINIT_STOP_SCOPE", "tree"));
    job.assert_lost(&finished);
    assert!(finished.err.contains("DataLoader worker"), "lost for another reason: {finished:#?}");
    assert!(finished.err.contains("NO checkpoint was saved"), "{finished:#?}");
}

/// dumb-init signals the whole session of its child. That reaches the ranks and their loaders, unless torchrun gives each rank a
/// session of its own, as it does from torch 2 on.
#[test]
fn an_init_that_signals_the_whole_session_loses_it_where_the_ranks_are_in_it() {
    if !torch_is_here() || !has("dumb-init") {
        return;
    }
    let job = Job::new();
    let finished = stopped(&job, job.under(&["dumb-init", "--"], &words(&command(&job))));
    job.assert_lost(&finished);
}
