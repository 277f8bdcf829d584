//! That something goes on: on a terminal a line that counts on, in a log a line now and then, ever rarer.

use std::time::{Duration, Instant};
use sys::stderr::{self, Urgency};

/// In a log the second line comes after so long, the next after twice as much, and so on,
const PATIENCE: Duration = Duration::from_secs(15);

/// but at least so often.
const PATIENCE_MAX: Duration = Duration::from_secs(120);

/// Back to the start of the line, which is made empty.
const ERASE: &str = "\r\x1b[2K";

/// One thing that goes on.
#[derive(Debug)]
pub struct Ticker {
    terminal: bool,
    began: Instant,
    next: Duration,
    /// What stands in the terminal's line until something else is shown.
    status: String,
}

impl Ticker {
    /// Beginning now; in a log the first line comes after `first`.
    pub fn new(terminal: bool, first: Duration) -> Self {
        let next = if terminal { Duration::ZERO } else { first };
        Ticker { terminal, began: Instant::now(), next, status: String::new() }
    }

    /// Goes on: `words` say how far it is, if it is time to say so.
    pub fn tick(&mut self, words: impl FnOnce() -> String, tell: &mut dyn FnMut(&str)) {
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

    /// At most once for every tenth of a second.
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
    /// The line is for what comes next.
    fn drop(&mut self) {
        if !self.status.is_empty() {
            stderr::write(ERASE.as_bytes(), Urgency::News);
        }
    }
}
