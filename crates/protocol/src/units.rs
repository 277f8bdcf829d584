//! Sizes, times and counts, short enough for a column.

use std::time::Duration;

/// Formats bytes in binary units with at most one decimal: `64 MiB`, `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (u64::BITS - 1 - bytes.leading_zeros()) / 10;
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or("EiB");
    match (tenths / 10, tenths % 10) {
        (whole, part) if part > 0 && whole < 100 => format!("{whole}.{part} {unit}"),
        (whole, _) => format!("{whole} {unit}"),
    }
}

/// Formats a duration: `41 ms`, `1.2 s`, `2 min 5 s`; empty below a millisecond, which no user notices.
pub fn time(took: Duration) -> String {
    match (took.as_millis(), took.as_secs()) {
        (0, _) => String::new(),
        (ms @ 1..1000, _) => format!("{ms} ms"),
        (ms, 1..60) => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        (_, s) => format!("{} min {} s", s / 60, s % 60),
    }
}

/// Formats a deadline: `15 s`, `0.7 s`.
pub fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{:.1} s", time.as_secs_f64()) }
}

/// Formats an age, given in seconds, in the unit in which a person says it: `12 s`, `5 min`, `3 h`, `2 days`. What is later than the
/// clock is told as such: `2 h ahead of the clock`.
pub fn age(seconds: f64) -> String {
    /// Clocks of file servers differ by as much, and it tells nothing.
    const AHEAD: f64 = -60.0;
    if seconds < AHEAD {
        return format!("{} ahead of the clock", span_of(-seconds));
    }
    format!("{} old", span_of(seconds.max(0.0)))
}

/// Formats a length of time in the unit in which a person says it, rounded: `70 s`, `5 min`, `3 h`.
pub fn span(time: Duration) -> String {
    span_of(time.as_secs_f64())
}

/// Formats a length of time in one unit, rounded.
fn span_of(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    const MONTH: f64 = 30.5 * DAY;
    let (unit, name) = match seconds {
        _ if seconds < 1.5 * MINUTE => (1.0, "s"),
        _ if seconds < 1.5 * HOUR => (MINUTE, "min"),
        _ if seconds < 1.5 * DAY => (HOUR, "h"),
        _ if seconds < 2.0 * MONTH => (DAY, "days"),
        _ if seconds < 24.0 * MONTH => (MONTH, "months"),
        _ => (12.0 * MONTH, "years"),
    };
    format!("{:.0} {name}", seconds / unit)
}

/// Formats a number with its noun: `1 file`, `3 files`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_where_it_says_something() {
        let shown = [0, 1023, 1024, 1536, 64 << 20, 3 << 29, 139 << 30, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "64 MiB", "1.5 GiB", "139 GiB", "15.9 EiB"]);
    }

    #[test]
    fn times_change_their_unit() {
        let shown = [0, 41, 999, 1234, 59_999, 125_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(shown, ["", "41 ms", "999 ms", "1.2 s", "59.9 s", "2 min 5 s"]);
    }

    #[test]
    fn ages_are_in_one_unit_and_a_time_to_come_is_told() {
        let days = |days: f64| days * 86_400.0;
        let shown = [0.0, 59.9, 125.0, 3.0 * 3600.0 + 62.0, days(1.5), days(3.0), days(61.5), days(800.0)].map(age);
        let expected =
            ["0 s old", "60 s old", "2 min old", "3 h old", "2 days old", "3 days old", "2 months old", "2 years old"];
        assert_eq!(shown, expected);
        assert_eq!([-3.0, -7199.9, f64::NAN].map(age), ["0 s old", "2 h ahead of the clock", "0 s old"]);
    }

    #[test]
    fn deadlines_are_seconds() {
        assert_eq!([15_000, 700].map(|ms| seconds(Duration::from_millis(ms))), ["15 s", "0.7 s"]);
    }

    #[test]
    fn nouns_agree_with_their_number() {
        assert_eq!((count(1, "file"), count(2, "file")), ("1 file".into(), "2 files".into()));
    }
}
