//! Dates in headers.

use std::time::Duration;

/// Reads `Tue, 15 Nov 1994 08:12:31 GMT` (RFC 9110, 5.6.7).
pub fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split([' ', ':']);
    let number = |words: &mut dyn Iterator<Item = &str>| words.next()?.parse::<u64>().ok();
    let day = number(&mut words).filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = number(&mut words).filter(|year| (1970..=9999).contains(year))?;
    let mut part = |end| number(&mut words).filter(|part| *part < end);
    // A second may be a leap second.
    let (hour, minute, second) = (part(24)?, part(60)?, part(61)?);
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (shifted, moved) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * moved + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_date_of_http_is_seconds_since_1970() {
        let seconds = |text: &str| http_date(text).map(|found| found.as_secs());
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Tue, 15 Nov 1994 08:12:31 GMT"), Some(784_887_151));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(seconds("yesterday"), None);
    }

    proptest! {
        #[test]
        fn no_number_in_a_date_is_too_large(day: u64, year in 0..20_000_u64, hour: u64, minute: u64, second: u64) {
            let _ = http_date(&format!("Tue, {day} Nov {year} {hour}:{minute}:{second} GMT"));
        }
    }
}
