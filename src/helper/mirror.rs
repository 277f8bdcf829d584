//! The mirror of checkpoints: watches the directory, and uploads each complete checkpoint, one at a time; of those that wait only the
//! newest stays. When PID 1 closes the pipe, what is left is uploaded, and the last message says whether all of it is there.
//!
//! One thread watches and one uploads, so that a slow store does not hide a new checkpoint.

mod desk;
mod queue;

use self::desk::Desk;
use self::queue::Queue;
use crate::mirror::MirroredHistory;
use checkpoint::{Checkpoint, FamilyChoice, Pattern, WatchEnd};
use protocol::handover::{HandoverWriter, Message};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::SystemTime;
use supervisor::HelperArgs;
use sys::priority;

/// Watches and uploads until PID 1 closes the pipe, and then uploads what is left.
pub(super) fn run(task: &HelperArgs<'_>) {
    let (Some(policy), Some(watched)) = (&task.policy.mirror, &task.policy.checkpoint.watched) else { return };
    let Some(Ok(pipe)) = task.handover.fd().map(|fd| fd.try_clone_to_owned()) else { return };
    priority::yield_to_others();
    let queue = Queue::default();
    let (dir, grace) = (Path::new(&watched.dir), task.policy.stop.grace);
    std::thread::scope(|scope| {
        let history = MirroredHistory::of(task.policy);
        scope.spawn(|| Desk::new(policy, dir, grace, HandoverWriter::to(pipe)).with_history(history).work(&queue));
        if let Err(error) = watch(task, dir, &watched.family, watched.pattern.as_deref(), &queue) {
            let why = protocol::errno::words_of(&error);
            task.handover.send(&Message::Note(format!(
                "mirror: checkpoints in {} are not watched any more: {why}",
                text::path(dir)
            )));
            queue.blind();
        }
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
        queue.put(newest);
    }
    let until = WatchEnd { deadline: None, told: Some(task.finish.as_fd()) };
    let mut put = |found: &Checkpoint| queue.put(found.clone());
    checkpoint::watch(dir, family, pattern.as_ref(), began, &until, &mut put)
}
