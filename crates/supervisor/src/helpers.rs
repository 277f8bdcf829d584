//! Errands under way: children of PID 1 that do what is rich, may block, or needs the workload's user. Each has a pipe to speak
//! through, one that tells it to finish, and a deadline; all signals are blocked in it, so that only PID 1 ends it.

use super::ChildMains;
use super::clock::Clock;
use super::handover_reader::HandoverReader;
use nix::poll::{PollFd, PollFlags};
use protocol::handover::{HandoverWriter, HelperTask, Message, Policy};
use std::ffi::c_int;
use std::os::fd::OwnedFd;
use std::time::Duration;
use sys::process;
use sys::signal;

/// What a single question may take; a file system that does not answer by then is not worth waiting for.
const LIMIT: Duration = Duration::from_secs(5);
/// Looking into many processes takes longer.
const DUMP_LIMIT: Duration = Duration::from_secs(15);
/// Programs that tell of GPUs take seconds where the driver has to be loaded for them.
const USE_LIMIT: Duration = Duration::from_secs(20);
/// Beyond the time that hooks may take: what ends them has five seconds for it.
const HOOK_LIMIT: Duration = Duration::from_secs(6);
/// For a last look at the checkpoints, after all else has ended.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// The pause before a kill that the kernel gave no answer to is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// What an errand is started with.
pub struct HelperArgs<'a> {
    /// What to do.
    pub helper: &'a HelperTask,
    /// How it is supervised.
    pub policy: &'a Policy,
    /// Where to answer.
    pub handover: HandoverWriter,
    /// End of file here: finish.
    pub finish: OwnedFd,
}

/// One errand under way.
struct RunningHelper {
    pid: c_int,
    listener: HandoverReader,
    finish: Option<OwnedFd>,
    until: Option<Clock>,
    watches: bool,
    /// Its time was up and it was killed.
    given_up: bool,
}

/// All of them.
#[derive(Default)]
pub struct Helpers(Vec<RunningHelper>);

impl Helpers {
    /// Starts one. Only one watches.
    ///
    /// # Errors
    /// No process or no pipe can be made. Errands are help, not duty: that is for the log.
    pub fn start(
        &mut self,
        helper: &HelperTask,
        policy: &Policy,
        lives: &ChildMains<'_>,
        now: Clock,
    ) -> nix::Result<()> {
        let watches = *helper == HelperTask::Watch;
        if watches && self.0.iter().any(|running| running.watches) {
            return Ok(());
        }
        let (pid, listener, finish) = spawn(helper, policy, lives)?;
        let until = limit(helper).map(|limit| now + limit);
        self.0.push(RunningHelper { pid, listener, finish: Some(finish), until, watches, given_up: false });
        Ok(())
    }

    /// Tells all of them to finish.
    pub fn end(&mut self, now: Clock) {
        for running in &mut self.0 {
            running.finish = None;
            running.until.get_or_insert(now + LAST_LOOK);
        }
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether any is worth waiting for: one that was killed and is still there waits for a file system that is dead.
    pub fn any_alive(&self) -> bool {
        self.0.iter().any(|running| !running.given_up)
    }

    /// Whether this process is one.
    pub fn has(&self, pid: c_int) -> bool {
        self.0.iter().any(|running| running.pid == pid)
    }

    /// What one said before its end, once it has been reaped.
    pub fn reaped(&mut self, pid: c_int) -> Vec<Message> {
        let Some(at) = self.0.iter().position(|running| running.pid == pid) else { return Vec::new() };
        let mut ended = self.0.swap_remove(at);
        ended.listener.hear_all()
    }

    /// The descriptors to poll.
    pub fn fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let open = self.0.iter().filter(|running| running.listener.is_open());
        open.map(|running| PollFd::new(running.listener.fd(), PollFlags::POLLIN))
    }

    /// What they have said by now.
    pub fn hear(&mut self) -> Vec<Message> {
        let ready = |running: &&mut RunningHelper| running.listener.is_open() && running.listener.is_readable();
        let heard = self.0.iter_mut().filter(ready).flat_map(|running| {
            running.listener.hear();
            running.listener.by_ref()
        });
        heard.collect()
    }

    /// When the next one has used up its time.
    pub fn deadline(&self) -> Option<Clock> {
        self.0.iter().filter_map(|running| running.until).min()
    }

    /// Kills those that have; no more is done about one that cannot be killed.
    pub fn tick(&mut self, now: Clock) {
        for running in self.0.iter_mut().filter(|running| running.until.is_some_and(|until| now >= until)) {
            let killed = signal::send(running.pid, libc::SIGKILL);
            let again = killed.is_err_and(|errno| !signal::is_final(errno));
            (running.until, running.given_up) = (again.then(|| now + KILL_AGAIN), true);
        }
    }
}

/// What an errand does, for a line that says that it was not done.
pub const fn name(helper: &HelperTask) -> &'static str {
    match helper {
        HelperTask::Watch => "watching the checkpoint directory",
        HelperTask::DoneFile => "looking for stop.done_file",
        HelperTask::RequestSave => "touching checkpoint.request_file",
        HelperTask::Pulse(_) => "looking for signs of life",
        HelperTask::Dump(_) => "telling what the workload does",
        HelperTask::LookForUse { .. } => "looking whether the container is used",
        HelperTask::TellTerminals(_) => "writing to terminals",
        HelperTask::AfterStop { .. } => "running hooks.after_stop",
        HelperTask::Report { .. } => "writing the report",
    }
}

fn limit(helper: &HelperTask) -> Option<Duration> {
    match helper {
        HelperTask::Watch => None,
        HelperTask::Dump(_) => Some(DUMP_LIMIT),
        HelperTask::LookForUse { .. } => Some(USE_LIMIT),
        // It ends its hooks itself; then there is nothing left that could hang.
        HelperTask::AfterStop { time, .. } => Some(time.saturating_add(HOOK_LIMIT)),
        _ => Some(LIMIT),
    }
}

fn spawn(
    helper: &HelperTask,
    policy: &Policy,
    lives: &ChildMains<'_>,
) -> nix::Result<(c_int, HandoverReader, OwnedFd)> {
    let (reader, writer) = super::handover_pipe()?;
    let (finish_reader, finish_writer) = super::handover_pipe()?;
    let (writer, finish) = (std::cell::Cell::new(Some(writer)), std::cell::Cell::new(Some(finish_reader)));
    let keep = std::os::fd::AsRawFd::as_raw_fd(&finish_writer);
    let pid = process::fork(|| {
        process::end_with_parent();
        process::close_one(keep);
        match (writer.take(), finish.take()) {
            (Some(writer), Some(finish)) => {
                (lives.helper)(HelperArgs { helper, policy, handover: HandoverWriter::to(writer), finish })
            }
            _ => 70,
        }
    })?;
    Ok((pid, HandoverReader::new(reader), finish_writer))
}
