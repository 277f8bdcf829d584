//! Lays out one line about long work: what it is, a bar, the amount, the rate and the time left. Pure: asks neither clock nor terminal.

use std::collections::VecDeque;
use std::time::Duration;

/// The widths of the bar that are tried, in columns; 0 is no bar.
const BARS: [usize; 3] = [24, 12, 0];

/// The time between two samples of the rate.
const SAMPLE: Duration = Duration::from_secs(1);

/// The samples that are kept: the rate is that of the last quarter of a minute.
const SAMPLES: usize = 16;

/// How much of a piece of work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    /// What is done.
    pub done: u64,
    /// All of it, never 0.
    all: u64,
    /// What this process has done itself, for the rate.
    pub own: u64,
    counts: Counts,
}

/// What an amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// Bytes, which have a rate.
    Bytes,
    /// Others that are waited for, which have none.
    Others,
}

impl Amount {
    /// Returns an amount of bytes; `None` while it is not known how many there are.
    pub(crate) fn bytes(done: u64, all: u64, own: u64) -> Option<Self> {
        (all > 0).then(|| Amount { done: done.min(all), all, own, counts: Counts::Bytes })
    }

    /// Returns how many of `all` others have come.
    pub(crate) fn others(come: u64, all: u64) -> Option<Self> {
        (all > 0).then(|| Amount { done: come.min(all), all, own: 0, counts: Counts::Others })
    }

    fn percent(&self) -> u64 {
        (u128::from(self.done) * 100 / u128::from(self.all)) as u64
    }

    /// Formats `██████░░░░░░`.
    fn bar(&self, columns: usize) -> String {
        let full = (u128::from(self.done) * columns as u128 / u128::from(self.all)) as usize;
        format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
    }

    /// Formats `60 GiB of 120 GiB`, `1 GiB/s`, `1 min 0 s left`, as far as they are known.
    fn details(&self, rate: Option<u64>) -> Vec<String> {
        if self.counts == Counts::Others {
            return Vec::new();
        }
        let mut details = vec![format!("{} of {}", text::size(self.done), text::size(self.all))];
        details.extend(rate.map(|rate| format!("{}/s", text::size(rate))));
        details.extend(self.left(rate).map(|left| format!("{} left", span(left))));
        details
    }

    fn left(&self, rate: Option<u64>) -> Option<u64> {
        rate.filter(|rate| *rate > 0).map(|rate| (self.all - self.done).div_ceil(rate))
    }
}

/// The rate of the last seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    /// When, since the begin of the work, and what was done by then.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes note of what was done at a time.
    pub(crate) fn note(&mut self, at: Duration, own: u64) {
        if self.samples.back().is_some_and(|(last, _)| at < *last + SAMPLE) {
            return;
        }
        self.samples.push_back((at, own));
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }

    /// Returns what is done in a second; `None` before the first second is over.
    pub(crate) fn per_second(&self, at: Duration, own: u64) -> Option<u64> {
        let (since, before) = self.samples.front()?;
        let took = at.checked_sub(*since).filter(|took| *took >= SAMPLE)?;
        Some((own.saturating_sub(*before) as f64 / took.as_secs_f64()) as u64)
    }
}

/// Formats the line for a log: `staging /data: 60 GiB of 120 GiB, 1 GiB/s, 60 s left`.
pub(crate) fn words(what: &str, amount: Option<Amount>, rate: Option<u64>) -> String {
    let details = amount.map(|amount| amount.details(rate)).unwrap_or_default();
    if details.is_empty() { what.to_owned() } else { format!("{what}: {}", details.join(", ")) }
}

/// Formats the line for a terminal of `columns`, of which the last one stays free: the widest form that fits.
pub(crate) fn drawn(
    what: &str,
    amount: Option<Amount>,
    rate: Option<u64>,
    elapsed: Duration,
    columns: usize,
) -> String {
    let time = clock(elapsed);
    let Some(amount) = amount else { return cut(&format!("{what}, {time}"), columns) };
    let (percent, mut details) = (format!("{:>3} %", amount.percent()), amount.details(rate));
    if amount.left(rate).is_none() {
        details.push(time);
    }
    let long = details.join(", ");
    let short = details.last().cloned().unwrap_or_default();
    let with_bar = |bar: &usize| match bar {
        0 => format!("{what} {percent}  {long}"),
        bar => format!("{what}  {} {percent}  {long}", amount.bar(*bar)),
    };
    let mut forms = BARS.iter().map(with_bar).chain([format!("{what} {percent}  {short}")]);
    forms.find(|form| fits(form, columns)).unwrap_or_else(|| {
        let rest = format!(" {percent}");
        format!("{}{rest}", cut(what, columns.saturating_sub(rest.len())))
    })
}

/// Cuts a line so that the last column stays free; a terminal would begin a second line, which nothing clears.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if fits(line, columns) {
        return line.to_owned();
    }
    let kept: String = line.chars().take(columns.saturating_sub(2)).collect();
    format!("{kept}…")
}

fn fits(line: &str, columns: usize) -> bool {
    line.chars().count() < columns
}

/// Formats `2:05`.
fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// Formats `42 s`, `5 min 3 s`, `2 h 5 min`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn half() -> Option<Amount> {
        Amount::bytes(60 * GIB, 120 * GIB, 30 * GIB)
    }

    #[test]
    fn a_log_is_told_amount_rate_and_time_left() {
        let told = words("staging /data", half(), Some(GIB));
        assert_eq!(told, "staging /data: 60 GiB of 120 GiB, 1 GiB/s, 1 min 0 s left");
        assert_eq!(words("staging /data", half(), Some(0)), "staging /data: 60 GiB of 120 GiB, 0 B/s");
        assert_eq!(words("staging /data", half(), None), "staging /data: 60 GiB of 120 GiB");
        assert_eq!(words("staging /data", Amount::bytes(0, 0, 0), None), "staging /data");
    }

    #[test]
    fn a_terminal_gets_the_widest_form_that_fits() {
        let at = |columns| drawn("staging /data", half(), Some(GIB), Duration::from_secs(60), columns);
        assert_eq!(
            at(120),
            "staging /data  ████████████░░░░░░░░░░░░  50 %  60 GiB of 120 GiB, 1 GiB/s, 1 min 0 s left"
        );
        assert_eq!(at(80), "staging /data  ██████░░░░░░  50 %  60 GiB of 120 GiB, 1 GiB/s, 1 min 0 s left");
        assert_eq!(at(66), "staging /data  50 %  60 GiB of 120 GiB, 1 GiB/s, 1 min 0 s left");
        assert_eq!(at(40), "staging /data  50 %  1 min 0 s left");
        assert_eq!(at(16), "staging …  50 %");
        for columns in 1..200 {
            assert!(columns < 9 || fits(&at(columns), columns), "{columns}: {}", at(columns));
        }
    }

    #[test]
    fn others_are_a_bar_without_a_rate() {
        let told = drawn("waiting for node 2 of 3", Amount::others(2, 3), None, Duration::from_secs(65), 80);
        assert_eq!(told, "waiting for node 2 of 3  ████████████████░░░░░░░░  66 %  1:05");
        assert_eq!(words("waiting for node 2 of 3, 5 s", Amount::others(2, 3), None), "waiting for node 2 of 3, 5 s");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        let at = Duration::from_secs;
        rate.note(at(0), 0);
        assert_eq!(rate.per_second(Duration::from_millis(500), 100), None);
        assert_eq!(rate.per_second(at(2), 100), Some(50));
        (1..=60).for_each(|second| rate.note(at(second), 6000));
        assert_eq!(rate.per_second(at(61), 6000), Some(0), "nothing came in the last quarter of a minute");
    }

    #[test]
    fn a_long_time_is_told_in_hours() {
        assert_eq!([42, 303, 7500].map(span), ["42 s", "5 min 3 s", "2 h 5 min"]);
    }
}
