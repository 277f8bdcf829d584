//! Running helpers: children of PID 1 that do what is rich, may block, or needs the workload's user.
//!
//! Each helper has a pipe to answer through, a pipe that asks it to finish, and a deadline. All signals are blocked in a helper, so that
//! only PID 1 ends it.

use super::ChildMains;
use super::clock::Clock;
use super::handover_reader::HandoverReader;
use nix::poll::{PollFd, PollFlags};
use protocol::handover::{HandoverWriter, HelperTask, Message, Policy};
use std::mem::{Discriminant, discriminant};
use std::os::fd::OwnedFd;
use std::time::Duration;
use sys::{Pid, Signal, process, signal};

/// Time limit of a single question; a file system that does not answer by then counts as dead.
const LIMIT: Duration = Duration::from_secs(5);
/// Time limit for a look into many processes.
const DUMP_LIMIT: Duration = Duration::from_secs(15);
/// Time limit for a look at the container's use: programs that query GPUs take seconds where the driver has to be loaded for them.
const USE_LIMIT: Duration = Duration::from_secs(20);
/// Time beyond the wait for a service: the last question may take a second.
const LAST_QUESTION: Duration = Duration::from_secs(5);
/// Time beyond the hooks' own limit: ending a hook takes up to five seconds.
const HOOK_LIMIT: Duration = Duration::from_secs(6);
/// Time limit for Slurm's commands: a busy controller answers within seconds.
const REQUEUE_LIMIT: Duration = Duration::from_secs(30);
/// Time limit of the last look at the checkpoints, after all other processes have ended.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Time limit of writing the history at an end, which waits for it.
const HISTORY_LIMIT: Duration = Duration::from_secs(2);
/// The same with a mirror and without a stop, when nobody waits for the end.
const MIRRORED_HISTORY_LIMIT: Duration = Duration::from_secs(10);

/// The pause before a failed kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// The arguments of a helper.
pub struct HelperArgs<'a> {
    /// The task.
    pub helper: &'a HelperTask,
    /// How PID 1 supervises.
    pub policy: &'a Policy,
    /// The pipe for answers.
    pub handover: HandoverWriter,
    /// A pipe whose end of file asks the helper to finish.
    pub finish: OwnedFd,
}

/// A running helper.
struct RunningHelper {
    pid: Pid,
    listener: HandoverReader,
    finish: Option<OwnedFd>,
    until: Option<Clock>,
    /// The kind of task, where it has no end of its own.
    lasting: Option<Discriminant<HelperTask>>,
    /// The helper's time was up, and it was killed.
    given_up: bool,
}

impl RunningHelper {
    fn uploads(&self) -> bool {
        self.lasting == Some(discriminant(&HelperTask::Mirror))
    }
}

/// All running helpers.
#[derive(Default)]
pub(crate) struct Helpers(Vec<RunningHelper>);

impl Helpers {
    /// Starts a helper; a second one of a kind that runs until the end is not started.
    ///
    /// # Errors
    /// No process or no pipe can be made. The caller only logs that, because the workload can do without helpers.
    pub(crate) fn start(
        &mut self,
        helper: &HelperTask,
        policy: &Policy,
        child_mains: &ChildMains<'_>,
        now: Clock,
    ) -> nix::Result<()> {
        let until = limit(helper, policy).map(|limit| now + limit);
        let lasting = until.is_none().then(|| discriminant(helper));
        if lasting.is_some() && self.0.iter().any(|running| running.lasting == lasting) {
            return Ok(());
        }
        let (pid, listener, finish) = spawn(helper, policy, child_mains)?;
        self.0.push(RunningHelper { pid, listener, finish: Some(finish), until, lasting, given_up: false });
        Ok(())
    }

    /// Asks all helpers to finish. An upload has the time that the state gives it.
    pub(crate) fn end(&mut self, now: Clock) {
        for running in &mut self.0 {
            running.finish = None;
            if !running.uploads() {
                running.until.get_or_insert(now + LAST_LOOK);
            }
        }
    }

    /// Ends the upload, whose time is up.
    pub(crate) fn end_upload(&mut self, now: Clock) {
        self.0.iter_mut().filter(|running| running.uploads()).for_each(|running| running.until = Some(now));
    }

    /// Returns whether any helper runs.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns whether any helper is worth waiting for: one that was killed and is still there waits for a dead file system.
    pub(crate) fn any_alive(&self) -> bool {
        self.0.iter().any(|running| !running.given_up)
    }

    /// Returns whether this process is a helper.
    pub(crate) fn has(&self, pid: Pid) -> bool {
        self.0.iter().any(|running| running.pid == pid)
    }

    /// Returns the processes of all helpers.
    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.0.iter().map(|running| running.pid)
    }

    /// Removes a reaped helper, and returns its last messages.
    pub(crate) fn reaped(&mut self, pid: Pid) -> Vec<Message> {
        let Some(at) = self.0.iter().position(|running| running.pid == pid) else { return Vec::new() };
        let mut ended = self.0.swap_remove(at);
        ended.listener.hear_all()
    }

    /// Returns the descriptors to poll.
    pub(crate) fn fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let open = self.0.iter().filter(|running| running.listener.is_open());
        open.map(|running| PollFd::new(running.listener.fd(), PollFlags::POLLIN))
    }

    /// Returns the messages that can be read now.
    pub(crate) fn hear(&mut self) -> Vec<Message> {
        let ready = |running: &&mut RunningHelper| running.listener.is_open() && running.listener.is_readable();
        let heard = self.0.iter_mut().filter(ready).flat_map(|running| {
            running.listener.hear();
            running.listener.by_ref()
        });
        heard.collect()
    }

    /// Returns when the next helper's time is up.
    pub(crate) fn deadline(&self) -> Option<Clock> {
        self.0.iter().filter_map(|running| running.until).min()
    }

    /// Kills the helpers whose time is up; a helper that cannot be killed is left alone.
    pub(crate) fn tick(&mut self, now: Clock) {
        for running in self.0.iter_mut().filter(|running| running.until.is_some_and(|until| now >= until)) {
            let killed = signal::send(running.pid, Signal::KILL);
            let again = killed.is_err_and(|errno| !signal::is_final(errno));
            (running.until, running.given_up) = (again.then(|| now + KILL_AGAIN), true);
        }
    }
}

/// Returns a helper's task in words, for a line that says that it was not done.
pub(crate) const fn name(helper: &HelperTask) -> &'static str {
    match helper {
        HelperTask::Watch => "watching the checkpoint directory",
        HelperTask::Mirror => "mirroring checkpoints",
        HelperTask::DoneFile => "looking for stop.done_file",
        HelperTask::RequestSave => "touching checkpoint.request_file",
        HelperTask::Pulse(_) => "looking for signs of life",
        HelperTask::Dump(_) => "telling what the workload does",
        HelperTask::LookForUse { .. } => "looking whether the container is used",
        HelperTask::AwaitService { .. } => "waiting until the server answers",
        HelperTask::TellTerminals(_) => "writing to terminals",
        HelperTask::AfterStop { .. } => "running hooks.after_stop",
        HelperTask::Preemption => "watching for notices of the cloud",
        HelperTask::Requeue => "scontrol requeue",
        HelperTask::WriteEnd { .. } | HelperTask::WriteHistory(_) => "writing the history",
        HelperTask::Report { .. } => "writing the report",
    }
}

fn limit(helper: &HelperTask, policy: &Policy) -> Option<Duration> {
    match helper {
        HelperTask::Watch | HelperTask::Preemption | HelperTask::Mirror => None,
        HelperTask::Requeue => Some(REQUEUE_LIMIT),
        HelperTask::Dump(_) => Some(DUMP_LIMIT),
        HelperTask::LookForUse { .. } => Some(USE_LIMIT),
        HelperTask::AwaitService { within } => Some(within.saturating_add(LAST_QUESTION)),
        // This helper ends its hooks itself, and nothing that could hang is left then.
        HelperTask::AfterStop { time, .. } => Some(time.saturating_add(HOOK_LIMIT)),
        HelperTask::WriteEnd { end, .. } if policy.mirror.is_some() && end.stopped_by.is_none() => {
            Some(MIRRORED_HISTORY_LIMIT)
        }
        HelperTask::WriteEnd { .. } => Some(HISTORY_LIMIT),
        _ => Some(LIMIT),
    }
}

fn spawn(
    helper: &HelperTask,
    policy: &Policy,
    child_mains: &ChildMains<'_>,
) -> nix::Result<(Pid, HandoverReader, OwnedFd)> {
    let (reader, writer) = super::handover_pipe()?;
    let (finish_reader, finish_writer) = super::handover_pipe()?;
    let (writer, finish) = (std::cell::Cell::new(Some(writer)), std::cell::Cell::new(Some(finish_reader)));
    let keep = std::os::fd::AsRawFd::as_raw_fd(&finish_writer);
    let pid = process::fork(|| {
        process::end_with_parent();
        process::close_one(keep);
        match (writer.take(), finish.take()) {
            (Some(writer), Some(finish)) => {
                (child_mains.helper)(HelperArgs { helper, policy, handover: HandoverWriter::to(writer), finish })
            }
            _ => 70,
        }
    })?;
    Ok((pid, HandoverReader::new(reader), finish_writer))
}
