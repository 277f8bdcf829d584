//! Watches the checkpoint directory, and sends each newest complete checkpoint to PID 1.

use checkpoint::{self, Checkpoint, FamilyChoice, Pattern, WatchEnd};
use protocol::handover::{Message, SavedCheckpoint};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use supervisor::HelperArgs;

/// Watches until PID 1 closes the pipe, then looks once more.
pub(super) fn watch(task: &HelperArgs<'_>) {
    let Some(watched) = &task.policy.checkpoint.watched else { return };
    // prepare has refused an invalid family or pattern already.
    let family = FamilyChoice::parse(&watched.family).unwrap_or_default();
    let pattern = watched.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
    let (dir, began) = (Path::new(&watched.dir), SystemTime::now());
    if let Ok(Some(newest)) = checkpoint::newest(dir, family, pattern.as_ref()) {
        task.handover.send(&Message::Saved(saved(&newest, false)));
    }
    let until = WatchEnd { deadline: None, told: Some(task.finish.as_fd()) };
    let mut tell = |found: &Checkpoint| task.handover.send(&Message::Saved(saved(found, true)));
    if let Err(error) = checkpoint::watch(dir, family, pattern.as_ref(), began, &until, &mut tell) {
        let text =
            format!("checkpoints in {} are not watched any more: {}", dir.display(), protocol::errno::words_of(&error));
        task.handover.send(&Message::Note(text));
    }
}

fn saved(found: &Checkpoint, fresh: bool) -> SavedCheckpoint {
    SavedCheckpoint {
        path: found.path.to_string_lossy().into_owned(),
        others: found.others.len() as u64,
        step: found.step,
        size: found.size,
        modified: found.modified.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
        fresh,
    }
}
