//! The checkpoint that waits for its upload: the newest, since an older one is of no use any more.

use checkpoint::Checkpoint;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A checkpoint that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The checkpoint.
    pub found: Checkpoint,
    /// Whether it is this node's part of one.
    pub is_part: bool,
}

/// The queue of one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: Option<Waiting>,
    /// No further checkpoint comes.
    over: bool,
    /// The directory is not watched any more, so there may be checkpoints that nobody has seen.
    blind: bool,
}

/// What the queue has for the uploader.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// A checkpoint to upload.
    Upload(Box<Waiting>),
    /// The pause is over, and nothing has come.
    Nothing,
    /// Nothing waits, and nothing comes any more.
    Over,
}

impl Queue {
    /// Puts a checkpoint, or a part of one, in place of one that waits.
    pub(super) fn put(&self, found: Checkpoint, is_part: bool) {
        self.inside().waiting = Some(Waiting { found, is_part });
        self.changed.notify_all();
    }

    /// Notes that no further checkpoint comes.
    pub(super) fn end(&self) {
        self.inside().over = true;
        self.changed.notify_all();
    }

    /// Notes that checkpoints may have been missed.
    pub(super) fn blind(&self) {
        self.inside().blind = true;
    }

    /// Returns whether checkpoints may have been missed.
    pub(super) fn is_blind(&self) -> bool {
        self.inside().blind
    }

    /// Returns whether no further checkpoint comes.
    pub(super) fn is_over(&self) -> bool {
        self.inside().over
    }

    /// Waits for the next checkpoint, at most for a pause where one is given.
    pub(super) fn next(&self, pause: Option<Duration>) -> Next {
        let busy = |inside: &mut Inside| inside.waiting.is_none() && !inside.over;
        let mut inside = match pause {
            None => self.changed.wait_while(self.inside(), busy).unwrap_or_else(PoisonError::into_inner),
            Some(pause) => {
                self.changed.wait_timeout_while(self.inside(), pause, busy).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match inside.waiting.take() {
            Some(found) => Next::Upload(Box::new(found)),
            None if inside.over => Next::Over,
            None => Next::Nothing,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn found(step: u64) -> Checkpoint {
        Checkpoint {
            path: format!("/c/{step}").into(),
            step: Some(step),
            size: 1,
            modified: SystemTime::UNIX_EPOCH,
            family: "torch",
            others: Vec::new(),
            stands: true,
            unread: 0,
        }
    }

    fn waiting(step: u64) -> Waiting {
        Waiting { found: found(step), is_part: false }
    }

    #[test]
    fn only_the_newest_waits_and_the_end_comes_after_it() {
        let queue = Queue::default();
        (1..4).for_each(|step| queue.put(found(step), false));
        queue.end();
        assert_eq!(queue.next(None), Next::Upload(Box::new(waiting(3))));
        assert_eq!((queue.next(None), queue.next(Some(Duration::from_secs(9)))), (Next::Over, Next::Over));
    }

    #[test]
    fn a_pause_ends_without_a_checkpoint_or_with_the_first_that_comes() {
        let queue = Queue::default();
        assert_eq!(queue.next(Some(Duration::ZERO)), Next::Nothing);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.put(found(1), false));
            assert_eq!(queue.next(Some(Duration::from_secs(60))), Next::Upload(Box::new(waiting(1))));
        });
    }
}
