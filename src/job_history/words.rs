//! The sum of a history, and the sum in one line.

use history::{Attempts, Part, Sum, accounts};
use std::time::Duration;

/// Parts of less than this share are not named.
const NAMED: f64 = 0.005;

/// Sums up the lines of a history; `None` if they tell of no attempt. `now` is in seconds since 1970.
pub(crate) fn sum(lines: &[u8], now: f64) -> Option<Sum> {
    Some(accounts(&Attempts::read(lines), now).sum).filter(|sum| sum.attempts > 0)
}

/// Returns the sum as a line of the log.
pub(crate) fn sum_line(sum: &Sum) -> String {
    format!("history: {}", sum_words(sum))
}

/// Returns the sum in words: attempts, time, goodput, and where the rest of the time went.
pub(crate) fn sum_words(sum: &Sum) -> String {
    let attempts = text::count(sum.attempts, "attempt");
    let Some(goodput) = sum.goodput else { return attempts };
    let judged = sum.total_s - sum.parts.running;
    let rest = sum.parts.rows().into_iter().filter(|(part, _)| ![Part::Progress, Part::Running].contains(part));
    let mut rest: Vec<(Part, f64)> = rest.filter(|(_, time)| *time >= NAMED * judged).collect();
    rest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let rest: Vec<String> =
        rest.into_iter().map(|(part, time)| format!("{} {}", part.words(), percent(time / judged))).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    format!("{attempts} in {}, goodput {}{rest}", duration(sum.total_s), percent(goodput))
}

/// Formats a share: `83 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Formats seconds: `3 h 12 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round().max(0.0) as u64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        _ if seconds < 100.0 => text::seconds(Duration::from_secs_f64((seconds.max(0.0) * 10.0).round() / 10.0)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes:02} min"),
        (days, hours, _) => format!("{} {hours} h", text::count(days, "day")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Parts;

    #[test]
    fn the_sum_names_what_matters_the_longest_first() {
        let parts = Parts { progress: 9000.0, preparing: 500.0, lost: 900.0, saving: 2.0, ..Parts::default() };
        let sum = Sum { attempts: 4, total_s: parts.total(), goodput: Some(0.865), parts, ..Sum::default() };
        let line = sum_line(&sum);
        assert_eq!(line, "history: 4 attempts in 2 h 53 min, goodput 86 %; lost work 9 %, preparing 5 %");
        assert_eq!(sum_line(&Sum::default()), "history: 0 attempts");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0.04, 9.96, 99.0, 100.0, 3600.0, 90000.0].map(duration);
        assert_eq!(said, ["0 s", "10 s", "99 s", "2 min", "1 h 00 min", "1 day 1 h"]);
    }
}
