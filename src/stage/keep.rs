//! Shows that data of a store is in use, as long as the workload lives: a start that needs room takes what nobody uses.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::process::{close_all_but, detach_stdio, name_self, pidfd};
use sys::{Pid, fork_detached, killable_call};

/// How often a use is recorded, much more often than the hour after which data counts as unused.
const BEAT: Duration = Duration::from_secs(600);

/// Forks a process that records the use of these files until this process, which becomes the workload, ends. Its parent is PID 1, so a
/// stop ends it with all others. Without such a process the data counts as used at the start alone.
pub(crate) fn keep(used: Vec<PathBuf>) {
    if used.is_empty() {
        return;
    }
    let workload = Pid::own();
    let _ = fork_detached::fork_detached(move || {
        name_self(c"trainit-stage");
        silence();
        close_all_but(&[]);
        if let Some(workload) = pidfd(workload) {
            // A pidfd becomes readable when its process ends (pidfd_open(2)).
            while !killable_call::wait(&[workload.as_fd()], Instant::now() + BEAT).contains(&true) {
                used.iter().for_each(|used| ::stage::touch(used));
            }
        }
        0
    });
}

/// Closes the workload's output: who reads it waits for its end.
fn silence() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stderr(&null);
    }
    detach_stdio();
}
