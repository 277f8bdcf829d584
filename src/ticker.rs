//! Reports that work goes on: on a terminal by a line that is rewritten, in a log by lines at growing intervals.

use std::time::{Duration, Instant};
use sys::stderr::{self, Urgency};

/// The time between the first two lines in a log; it doubles after each line.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest time between two lines in a log.
const PATIENCE_MAX: Duration = Duration::from_secs(120);

/// The sequence that returns to the start of the line and clears it.
const ERASE: &str = "\r\x1b[2K";

/// The reports on one piece of work.
#[derive(Debug)]
pub(crate) struct Ticker {
    terminal: bool,
    began: Instant,
    next: Duration,
    /// The text in the terminal's current line, until other output replaces it.
    status: String,
}

impl Ticker {
    /// Starts now; in a log the first line comes after `first`.
    pub(crate) fn new(terminal: bool, first: Duration) -> Self {
        let next = if terminal { Duration::ZERO } else { first };
        Ticker { terminal, began: Instant::now(), next, status: String::new() }
    }

    /// Reports the progress `words`, if it is time.
    pub(crate) fn tick(&mut self, words: impl FnOnce() -> String, tell: &mut dyn FnMut(&str)) {
        let elapsed = self.began.elapsed();
        if self.terminal {
            return self.count_on(elapsed, words);
        }
        if elapsed < self.next {
            return;
        }
        self.next = elapsed + self.next.clamp(PATIENCE, PATIENCE_MAX);
        tell(&words());
    }

    /// Rewrites the terminal's line, at most once in a tenth of a second.
    fn count_on(&mut self, elapsed: Duration, words: impl FnOnce() -> String) {
        if elapsed < self.next {
            return;
        }
        self.next = elapsed + Duration::from_millis(100);
        let seconds = elapsed.as_secs();
        let status = format!("{}, {}:{:02}", words(), seconds / 60, seconds % 60);
        if status != self.status {
            stderr::write(format!("{ERASE}{status}").as_bytes(), Urgency::News);
            self.status = status;
        }
    }
}

impl Drop for Ticker {
    /// Clears the terminal's line for the next output.
    fn drop(&mut self) {
        if !self.status.is_empty() {
            stderr::write(ERASE.as_bytes(), Urgency::News);
        }
    }
}
