//! How much is done at a time: requests, of which there are fewer while the store asks for it, and bytes a second.

use crate::watch::Watch;
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Successful requests after which one more is made at a time again.
const RECOVERY: u32 = 16;

/// The number of requests is halved at most this often: the answers to one burst come together.
const HALVING: Duration = Duration::from_secs(1);

/// How far a transfer may run ahead of its rate.
const AHEAD: Duration = Duration::from_millis(200);

/// The number of requests at a time.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    allowed: Cell<usize>,
    active: Cell<usize>,
    successes: Cell<u32>,
    halved: Cell<Option<Instant>>,
    freed: Notify,
}

impl Pace {
    /// Allows so many at most.
    pub(crate) fn new(most: usize) -> Self {
        Pace {
            most,
            allowed: Cell::new(most),
            active: Cell::new(0),
            successes: Cell::new(0),
            halved: Cell::new(None),
            freed: Notify::new(),
        }
    }

    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        while self.active.get() >= self.allowed.get() {
            self.freed.notified().await;
        }
        self.active.set(self.active.get() + 1);
        Turn(self)
    }

    /// Halves what is allowed: the store asks for it.
    pub(crate) fn slow_down(&self) {
        let now = Instant::now();
        if self.halved.get().is_none_or(|at| now.duration_since(at) >= HALVING) {
            self.halved.set(Some(now));
            self.allowed.set((self.allowed.get() / 2).max(1));
        }
        self.successes.set(0);
    }

    /// Counts a success.
    pub(crate) fn succeeded(&self) {
        self.successes.set(self.successes.get() + 1);
        if self.successes.get() >= RECOVERY && self.allowed.get() < self.most {
            self.successes.set(0);
            self.allowed.set(self.allowed.get() + 1);
            self.freed.notify_one();
        }
    }

    /// Returns how many are allowed now.
    #[cfg(test)]
    pub(crate) fn allowed(&self) -> usize {
        self.allowed.get()
    }
}

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Pace);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
        self.0.freed.notify_one();
    }
}

/// Bytes a second, for everything together.
#[derive(Debug)]
pub(crate) struct Rate {
    limit: Option<u64>,
    /// When everything that was let through is due.
    due: Mutex<Instant>,
}

impl Rate {
    /// Allows so many bytes a second, or any number.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Rate { limit, due: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes more are due. A wait is no stall.
    pub(crate) async fn take(&self, count: usize, watch: &Watch) {
        let Some(limit) = self.limit else { return };
        let due = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            *due = (*due).max(Instant::now()) + Duration::from_secs_f64(count as f64 / limit as f64);
            *due
        };
        while Instant::now() + AHEAD < due {
            watch.touch();
            tokio::time::sleep(due.duration_since(Instant::now()).min(Duration::from_secs(1))).await;
        }
        watch.touch();
    }
}
