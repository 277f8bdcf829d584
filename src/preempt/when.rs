//! The time that a notice leaves. Pure.

use std::time::{Duration, SystemTime};

/// How much more time than a cloud promises a notice can leave; more means that a clock is wrong.
const MOST: u32 = 30;

/// Months as RFC 9110 writes them.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns the time until `end`, or what the cloud promises where that is not known, is over, or is too far away to be true.
pub(super) fn left(end: Option<SystemTime>, now: SystemTime, promise: Duration) -> Duration {
    let left = end.and_then(|end| end.duration_since(now).ok()).filter(|left| !left.is_zero());
    left.filter(|left| *left <= promise * MOST).unwrap_or(promise)
}

/// Reads a time of RFC 3339 in UTC: `2026-01-01T00:00:00Z`.
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// Reads a time as HTTP writes it (RFC 9110, section 5.6.7): `Tue, 16 Mar 2021 00:58:46 GMT`.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT" | "UTC"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let day: u8 = day.parse().ok()?;
    rfc3339(&format!("{year}-{month:02}-{day:02}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Duration = Duration::from_secs(120);

    #[test]
    fn the_clouds_two_ways_to_write_a_time_mean_the_same() {
        let at = rfc3339("2021-03-16T00:58:46Z");
        assert!(at.is_some());
        assert_eq!(http_date("Tue, 16 Mar 2021 00:58:46 GMT"), at);
        assert_eq!(http_date("Tue, 6 Mar 2021 00:58:46 GMT"), rfc3339("2021-03-06T00:58:46Z"));
        for text in ["", "2021-03-16T00:58:46Z", "Tue, 16 Xyz 2021 00:58:46 GMT", "Tue, 16 Mar 2021 00:58:46 CET"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_replaced_by_the_promise() {
        let now = rfc3339("2026-01-01T00:00:00Z").unwrap();
        let after = |seconds| left(Some(now + Duration::from_secs(seconds)), now, PROMISE).as_secs();
        assert_eq!([after(118), after(0), after(1 << 20)], [118, 120, 120]);
        assert_eq!(left(None, now, PROMISE), PROMISE);
        assert_eq!(left(Some(now - PROMISE), now, PROMISE), PROMISE);
    }
}
