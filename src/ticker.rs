//! Reports that work goes on: on a terminal by a line that is rewritten, in a log by lines at growing intervals.

use crate::config::{LogFormat, Settings};
use crate::progress_bar::{self, Amount, Rate};
use crate::report;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use sys::stderr::{self, Urgency};

/// The time between the first two lines in a log; it doubles after each line.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest time between two lines in a log.
const PATIENCE_MAX: Duration = Duration::from_secs(120);

/// The sequence that returns to the start of the line and clears it.
const ERASE: &str = "\r\x1b[2K";

/// The columns of a terminal that does not tell how many it has.
const COLUMNS: usize = 80;

/// Whether standard error is a terminal on which a line may be rewritten, and the log is for people.
pub(crate) fn draws(settings: &Settings) -> bool {
    report::can_redraw() && settings.log_format.value == LogFormat::Text
}

/// The terminal's current line, which is rewritten until other output takes its place.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    text: String,
}

impl StatusLine {
    /// Shows a line, made for the columns that the terminal has now.
    pub(crate) fn show(&mut self, line: impl FnOnce(usize) -> String) {
        let size = sys::window::window_size(std::io::stderr().as_fd());
        let text = line(size.map_or(COLUMNS, |size| usize::from(size.ws_col)));
        if text != self.text {
            stderr::write(format!("{ERASE}{text}").as_bytes(), Urgency::News);
            self.text = text;
        }
    }

    /// Clears the line for other output.
    pub(crate) fn clear(&mut self) {
        if !std::mem::take(&mut self.text).is_empty() {
            stderr::write(ERASE.as_bytes(), Urgency::News);
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The reports on one piece of work.
#[derive(Debug)]
pub(crate) struct Ticker {
    terminal: bool,
    began: Instant,
    first: Duration,
    next: Duration,
    /// The time between the next two lines in a log.
    patience: Duration,
    rate: Rate,
    line: StatusLine,
}

impl Ticker {
    /// Starts now; in a log the first line comes after `first`.
    pub(crate) fn new(terminal: bool, first: Duration) -> Self {
        Ticker {
            terminal,
            began: Instant::now(),
            first,
            next: if terminal { Duration::ZERO } else { first },
            patience: first,
            rate: Rate::default(),
            line: StatusLine::default(),
        }
    }

    /// Reports the progress if it is time: `what` is done, and how much of it.
    pub(crate) fn tick(&mut self, amount: Option<Amount>, what: impl FnOnce() -> String, tell: &mut dyn FnMut(&str)) {
        let elapsed = self.began.elapsed();
        if let Some(amount) = amount {
            self.rate.note(elapsed, amount.own);
        }
        if elapsed < self.next {
            return;
        }
        let rate = amount.and_then(|amount| self.rate.per_second(elapsed, amount.own));
        if self.terminal {
            self.next = elapsed + Duration::from_millis(100);
            return self.line.show(|columns| progress_bar::drawn(&what(), amount, rate, elapsed, columns));
        }
        self.patience = self.patience.clamp(PATIENCE, PATIENCE_MAX);
        self.next = elapsed + self.patience;
        self.patience *= 2;
        tell(&progress_bar::words(&what(), amount, rate));
    }

    /// Makes place for other output; in a log the next line comes after the first interval.
    pub(crate) fn interrupt(&mut self) {
        self.line.clear();
        if !self.terminal {
            (self.next, self.patience) = (self.began.elapsed() + self.first, self.first);
        }
    }
}
