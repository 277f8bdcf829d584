//! The mirror of checkpoints: watches the directory, and uploads each complete checkpoint, one at a time; of those that wait only the
//! newest stays. When PID 1 closes the pipe, what is left is uploaded, and the last message says whether all of it is there.
//!
//! Where each node saves its part of a checkpoint to a disk of its own, the first node sees by its family's mark that all have saved, and
//! its upload tells the others.
//!
//! One thread watches and one uploads, so that a slow store does not hide a new checkpoint.

mod desk;
mod follower;
mod queue;

use self::desk::Desk;
use self::queue::Queue;
use crate::mirror::MirroredHistory;
use checkpoint::{Checkpoint, FamilyChoice, Pattern, WatchEnd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::handover::{HandoverWriter, Message};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};
use supervisor::HelperArgs;
use sys::priority;

/// Watches and uploads until PID 1 closes the pipe, and then uploads what is left.
pub(super) fn run(task: &HelperArgs<'_>) {
    let (Some(policy), Some(watched)) = (&task.policy.mirror, &task.policy.checkpoint.watched) else { return };
    let Some(Ok(pipe)) = task.handover.fd().map(|fd| fd.try_clone_to_owned()) else { return };
    priority::yield_to_others();
    let queue = Queue::default();
    let (dir, grace, since) = (Path::new(&watched.dir), task.policy.stop.grace, SystemTime::now());
    if policy.part.is_some_and(|(number, _)| number > 1) {
        let (end, over) = mpsc::channel();
        return std::thread::scope(|scope| {
            scope.spawn(|| follower::follow(Desk::new(policy, dir, grace, HandoverWriter::to(pipe)), since, &{ over }));
            wait_for_end(task);
            drop(end);
        });
    }
    std::thread::scope(|scope| {
        let history = MirroredHistory::of(task.policy);
        scope.spawn(|| Desk::new(policy, dir, grace, HandoverWriter::to(pipe)).with_history(history).work(&queue));
        let (end, over) = mpsc::channel();
        let queue = &queue;
        let parts = policy.part.map(|_| {
            scope.spawn(move || watch_parts(dir, &watched.family, watched.pattern.as_deref(), since, queue, &over))
        });
        if let Err(error) = watch(task, dir, &watched.family, watched.pattern.as_deref(), queue) {
            let why = protocol::errno::words_of(&error);
            task.handover.send(&Message::Note(format!(
                "mirror: checkpoints in {} are not watched any more: {why}",
                text::path(dir)
            )));
            queue.blind();
        }
        drop(end);
        // It looks once more.
        let _ = parts.map(std::thread::ScopedJoinHandle::join);
        queue.end();
    });
}

/// Puts each checkpoint into the queue that is complete already or becomes so.
fn watch(task: &HelperArgs<'_>, dir: &Path, family: &str, pattern: Option<&str>, queue: &Queue) -> std::io::Result<()> {
    // prepare has refused an invalid family or pattern already.
    let family = FamilyChoice::parse(family).unwrap_or_default();
    let pattern = pattern.and_then(|pattern| Pattern::parse(pattern).ok());
    let began = SystemTime::now();
    if let Ok(Some(newest)) = checkpoint::newest(dir, family, pattern.as_ref()) {
        queue.put(newest, false);
    }
    let until = WatchEnd { deadline: None, told: Some(task.finish.as_fd()) };
    let mut put = |found: &Checkpoint| queue.put(found.clone(), false);
    checkpoint::watch(dir, family, pattern.as_ref(), began, &until, &mut put)
}

/// How often the directory is searched for a part of a checkpoint.
const PARTS_LOOK: Duration = Duration::from_secs(1);

/// Puts each checkpoint into the queue of which this node has the first part, when all nodes have saved theirs.
fn watch_parts(dir: &Path, family: &str, pattern: Option<&str>, since: SystemTime, queue: &Queue, over: &Receiver<()>) {
    let family = FamilyChoice::parse(family).unwrap_or_default();
    let pattern = pattern.and_then(|pattern| Pattern::parse(pattern).ok());
    let mut last = None;
    loop {
        let is_over = !matches!(over.recv_timeout(PARTS_LOOK), Err(RecvTimeoutError::Timeout));
        // An unreadable directory is told by the watch.
        let found = checkpoint::saved_by_all(dir, family, pattern.as_ref(), since).ok().flatten();
        if let Some(found) = found.filter(|found| last != Some((found.path.clone(), found.modified))) {
            last = Some((found.path.clone(), found.modified));
            queue.put(found, true);
        }
        if is_over {
            return;
        }
    }
}

/// Waits until PID 1 closes the pipe.
fn wait_for_end(task: &HelperArgs<'_>) {
    let mut pipe = [PollFd::new(task.finish.as_fd(), PollFlags::POLLIN)];
    while matches!(poll(&mut pipe, PollTimeout::NONE), Err(Errno::EINTR)) {}
}
