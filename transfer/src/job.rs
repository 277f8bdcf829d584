//! One request while it is worked on: what moved, and when that was told.

use crate::output::Output;
use crate::watch::Watch;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transfer_protocol::Reply;

/// Progress is told at most this often.
const OFTEN: Duration = Duration::from_millis(250);

/// A task that does not move tells so this often, so that the program does not look dead.
const ALIVE: Duration = Duration::from_secs(10);

/// One request.
#[derive(Debug)]
pub(crate) struct Job {
    /// The request's number.
    pub(crate) id: u64,
    /// What its connections tell.
    pub(crate) watch: Arc<Watch>,
    output: Rc<Output>,
    moved: Cell<u64>,
    told: Cell<Instant>,
}

impl Job {
    /// Begins.
    pub(crate) fn new(id: u64, output: Rc<Output>) -> Self {
        Job { id, watch: Watch::new(), output, moved: Cell::new(0), told: Cell::new(Instant::now()) }
    }

    /// Writes an answer.
    pub(crate) fn say(&self, reply: Reply) {
        self.told.set(Instant::now());
        self.output.say(self.id, reply);
    }

    /// Sends the answers of a page of a listing.
    pub(crate) fn flush(&self) {
        self.output.flush();
    }

    /// Counts bytes that are through.
    pub(crate) fn add(&self, count: u64) {
        self.moved.set(self.moved.get() + count);
        self.watch.touch();
        if self.told.get().elapsed() >= OFTEN {
            self.say(Reply::Progress(self.moved.get()));
        }
    }

    /// Returns how many bytes are through.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.get()
    }

    /// Starts to count again.
    pub(crate) fn reset(&self) {
        self.moved.set(0);
    }

    /// Tells once in a while how far the task is, until it is dropped.
    pub(crate) async fn stay_alive(&self) {
        loop {
            tokio::time::sleep(OFTEN).await;
            let sent = self.watch.sent();
            if sent > self.moved.get() && self.told.get().elapsed() >= OFTEN || self.told.get().elapsed() >= ALIVE {
                self.say(Reply::Progress(sent.max(self.moved.get())));
                self.moved.set(sent.max(self.moved.get()));
            }
        }
    }
}
