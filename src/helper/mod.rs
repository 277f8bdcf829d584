//! Helpers: short-lived children of PID 1 for tasks that are rich, may block on a dead file system, or need the workload's user.
//!
//! Each has a pipe to PID 1 and a deadline, and each task has a file of its own.

mod checkpoints;
mod history;
mod hooks;
mod mirror;
mod preemption;
mod pulse;
mod report;
mod requeue;
mod service;
mod stacks;
mod terminals;
mod usage;

use crate::report::trace;
use protocol::exit_code::Exit;
use protocol::handover::{HelperTask, Message};
use std::path::Path;
use supervisor::HelperArgs;
use sys::environment::Environment;
use sys::{Pid, credentials, proc};
use tracing::debug;

/// Runs one task as the workload's user.
pub(crate) fn run(task: HelperArgs<'_>) -> u8 {
    // A helper reads no configuration, so a level that a file sets does not reach it.
    trace::begin(&Environment::inherited(), &[]);
    debug!(target: "helper", "{:?}", task.helper);
    if let Some(user) = &task.policy.user
        && credentials::become_user(user.uid, user.gid, &user.groups).is_err()
    {
        return Exit::Internal.code();
    }
    match task.helper {
        HelperTask::Watch => checkpoints::watch(&task),
        HelperTask::Mirror => mirror::run(&task),
        HelperTask::DoneFile => {
            let done = task.policy.stop.done_file.as_ref().is_some_and(|file| Path::new(file).exists());
            task.handover.send(&Message::Answer(done));
        }
        HelperTask::RequestSave => request_save(&task),
        HelperTask::Pulse(others) => {
            let others: Vec<Pid> = others.iter().copied().filter_map(Pid::new).collect();
            task.handover.send(&Message::Pulse(pulse::pulse(task.policy.run_dir.as_deref(), &others)));
        }
        HelperTask::LookForUse { within } => task.handover.send(&Message::Use(usage::look(task.policy, *within))),
        HelperTask::AwaitService { within } => service::wait(&task, *within),
        HelperTask::TellTerminals(line) => terminals::tell(line, &processes()),
        HelperTask::AfterStop { time, code } => hooks::run(&task, *time, *code),
        HelperTask::Preemption => preemption::watch(&task),
        HelperTask::Requeue => requeue::run(&task),
        HelperTask::WriteEnd { waiting, end } => history::write_end(&task, waiting, end),
        HelperTask::WriteHistory(lines) => history::write_waiting(&task, lines),
        HelperTask::Report { how, code } => report::write(task.policy, how, *code),
        HelperTask::Dump(pids) => {
            let pids: Vec<Pid> = pids.iter().copied().filter_map(Pid::new).collect();
            stacks::dump(&pids, task.policy, &mut |line| task.handover.send(&Message::Note(line)));
            task.handover.send(&Message::Dumped);
        }
    }
    0
}

/// Returns all processes of the container except PID 1 and this one; where trainit is not PID 1, those below it.
fn processes() -> Vec<Pid> {
    let Some(parent) = Pid::parent() else { return Vec::new() };
    let mut all = if parent == Pid::FIRST { proc::pids() } else { proc::descendants(parent) };
    all.retain(|pid| ![Pid::own(), parent].contains(pid));
    all
}

/// Makes the file whose appearance asks the trainer to save, or touches it if it exists.
fn request_save(task: &HelperArgs<'_>) {
    let Some(file) = &task.policy.checkpoint.request_file else { return };
    let made = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|file| file.set_modified(std::time::SystemTime::now()));
    if let Err(error) = made {
        task.handover.send(&Message::Note(format!(
            "checkpoint.request_file {file} cannot be made: {}",
            protocol::errno::words_of(&error)
        )));
    }
}
