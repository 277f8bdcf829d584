//! What the connections tell the task that they work for: when something last moved, how much was sent, and what the last answer was.

use crate::seen::Seen;
use listing::Page;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

tokio::task_local! {
    /// The watch of the task that runs.
    pub(crate) static WATCH: Arc<Watch>;
}

/// One task's view of its connections.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    moved: AtomicU64,
    sent: AtomicU64,
    slow: AtomicBool,
    seen: Mutex<Seen>,
    page: Mutex<Option<Page>>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Watch {
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            slow: AtomicBool::new(false),
            seen: Mutex::default(),
            page: Mutex::default(),
        })
    }

    /// Returns the running task's watch; one that nobody looks at outside of a task.
    pub(crate) fn current() -> Arc<Self> {
        WATCH.try_with(Arc::clone).unwrap_or_else(|_| Watch::new())
    }

    /// Notes that something moves.
    pub(crate) fn touch(&self) {
        self.moved.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Returns for how long nothing has moved.
    pub(crate) fn idle(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }

    /// Notes bytes that were sent.
    pub(crate) fn send(&self, count: u64) {
        self.touch();
        self.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many bytes were sent in this try.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns whether the server asked for fewer requests since the last call.
    pub(crate) fn take_slow(&self) -> bool {
        self.slow.swap(false, Ordering::Relaxed)
    }

    /// Notes the outcome of an exchange.
    pub(crate) fn see(&self, seen: Seen) {
        self.slow.fetch_or(seen.is_too_fast(), Ordering::Relaxed);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Returns the outcome of the last exchange.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins another try.
    pub(crate) fn restart(&self) {
        self.touch();
        self.sent.store(0, Ordering::Relaxed);
        self.see(Seen::default());
    }

    /// Keeps a page of a listing.
    pub(crate) fn put_page(&self, page: Page) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
    }

    /// Takes the page that was kept.
    pub(crate) fn take_page(&self) -> Option<Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
