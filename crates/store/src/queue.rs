//! A queue between two threads, as `std::sync::mpsc` has it. That one brings three kinds of channel, which are 21 kB of the binary.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

struct Shared<T> {
    state: Mutex<QueueState<T>>,
    /// Signals that an item was added or taken, or that an end was dropped.
    changed: Condvar,
}

struct QueueState<T> {
    waiting: VecDeque<T>,
    limit: usize,
    /// Whether one of the two ends was dropped.
    ended: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, QueueState<T>>) -> MutexGuard<'a, QueueState<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

/// The end that adds items.
pub(super) struct QueueSender<T>(Arc<Shared<T>>);

/// The end that takes items.
pub(super) struct QueueReceiver<T>(Arc<Shared<T>>);

/// Creates a queue for at most so many items.
pub(super) fn queue<T>(limit: usize) -> (QueueSender<T>, QueueReceiver<T>) {
    let state = Mutex::new(QueueState { waiting: VecDeque::new(), limit, ended: false });
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    (QueueSender(Arc::clone(&shared)), QueueReceiver(shared))
}

impl<T> QueueSender<T> {
    /// Adds an item as soon as there is room; `None` if the receiver was dropped.
    pub(super) fn send(&self, thing: T) -> Option<()> {
        let mut state = self.0.lock();
        while state.waiting.len() >= state.limit && !state.ended {
            state = self.0.wait(state);
        }
        if state.ended {
            return None;
        }
        state.waiting.push_back(thing);
        self.0.changed.notify_all();
        Some(())
    }
}

impl<T> QueueReceiver<T> {
    /// Takes the next item as soon as there is one; `None` if the sender was dropped and the queue is empty.
    pub(super) fn receive(&self) -> Option<T> {
        let mut state = self.0.lock();
        while state.waiting.is_empty() && !state.ended {
            state = self.0.wait(state);
        }
        let thing = state.waiting.pop_front();
        self.0.changed.notify_all();
        thing
    }

    /// Takes the next item, if there is one now.
    pub(super) fn receive_now(&self) -> Option<T> {
        let thing = self.0.lock().waiting.pop_front();
        self.0.changed.notify_all();
        thing
    }
}

impl<T> Drop for QueueSender<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Drop for QueueReceiver<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn all_that_is_put_in_comes_out_in_order_and_then_there_is_no_more() {
        let (sender, receiver) = queue(3);
        let putting = thread::spawn(move || (0..1000).try_for_each(|n| sender.send(n)));
        let taken: Vec<i32> = std::iter::from_fn(|| receiver.receive()).collect();
        assert_eq!((putting.join().unwrap(), taken), (Some(()), (0..1000).collect()));
    }

    #[test]
    fn who_puts_in_does_not_wait_for_room_when_nobody_takes_out_any_more() {
        let (sender, receiver) = queue(1);
        let putting = thread::spawn(move || (0..).try_for_each(|n: i32| sender.send(n)));
        assert_eq!(receiver.receive(), Some(0));
        drop(receiver);
        assert_eq!(putting.join().unwrap(), None);
    }

    #[test]
    fn who_takes_only_what_is_there_now_does_not_wait() {
        let (sender, receiver) = queue(usize::MAX);
        assert_eq!(receiver.receive_now(), None);
        assert_eq!((sender.send(1), sender.send(2)), (Some(()), Some(())));
        assert_eq!((receiver.receive_now(), receiver.receive_now(), receiver.receive_now()), (Some(1), Some(2), None));
    }
}
