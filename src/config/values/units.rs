//! Durations and sizes. Plain numbers are seconds and bytes.

use super::{ConfigValue, ValueError};
use serde_json::{Value as Json, json};
use std::fmt;
use std::time::Duration;

/// A number of bytes: `8GiB`, `500MB`, or a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Longest duration, 136 years: the sum with any clock is still a valid time.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Units of time in milliseconds, longest first. There is no month, because `10M` for ten minutes must not become ten months.
const TIMES: [(&str, u64); 7] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1), ("min", 60_000), ("sec", 1000)];

/// Units of size, largest first within each kind. `Gi` is Kubernetes' name for GiB. A bare `G` means 1000³ to Kubernetes and 1024³ to
/// Docker, so it is rejected.
const SIZES: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Splits a text after its leading digits.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && digits(text).1.is_empty()
}

impl ConfigValue for Duration {
    fn form() -> String {
        "a duration such as 30s, 10m, 1h30m or a number of seconds".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        let whole = if is_number(text) { text.parse().ok().map(Duration::from_secs) } else { parse_times(text)? };
        whole.filter(|duration| *duration <= LONGEST).ok_or(ValueError::TooLong)
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^\\s*([0-9]+|([0-9]+\\s*(d|h|m|min|s|sec|ms)\\s*)+)\\s*$"})
    }
}

/// Parses numbers with units, one after another; `None` if the sum is too large.
fn parse_times(text: &str) -> Result<Option<Duration>, ValueError> {
    let mut sum = Some(0u64);
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = digits(rest);
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit && !number.is_empty()).ok_or(ValueError::Form)?;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
        sum = sum.zip(part).and_then(|(sum, part)| sum.checked_add(part));
        rest = after.trim_start();
    }
    if text.is_empty() { Err(ValueError::Form) } else { Ok(sum.map(Duration::from_millis)) }
}

/// Formats a duration in the largest unit that is exact; fractions of a millisecond are dropped.
pub fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = TIMES.iter().find(|(_, factor)| millis.is_multiple_of(*factor));
    match exact {
        _ if millis == 0 => "0s".into(),
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None => format!("{millis}ms"),
    }
}

impl ConfigValue for Size {
    fn form() -> String {
        "a size such as 8GiB, 500MB or a number of bytes".into()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        let (whole, rest) = digits(text);
        let (fraction, unit) = rest.strip_prefix('.').map_or(("", rest), digits);
        let unit = unit.trim_start();
        if whole.is_empty() || rest.starts_with('.') && (fraction.is_empty() || unit.is_empty()) {
            return Err(ValueError::Form);
        }
        bytes(whole, fraction, factor_of(unit)?).map(Size).ok_or(ValueError::TooLarge)
    }

    fn schema() -> Json {
        json!({"type": ["string", "integer"], "minimum": 0, "pattern": "^\\s*([0-9]+|[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtTpP][iI]?)?[bB]|[0-9]+(\\.[0-9]+)?\\s*[kKmMgGtTpP][iI])\\s*$"})
    }
}

fn factor_of(unit: &str) -> Result<u64, ValueError> {
    let letter_only = unit.len() == 1 && "kKmMgGtTpP".contains(unit);
    if letter_only {
        return Err(ValueError::AmbiguousUnit(unit.to_owned()));
    }
    let full = if unit.is_empty() { "B".to_owned() } else { unit.to_owned() };
    let named = |name: &str| SIZES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, factor)| *factor);
    let kubernetes = || full.ends_with(['i', 'I']).then(|| named(&format!("{full}B"))).flatten();
    named(&full).or_else(kubernetes).ok_or(ValueError::Form)
}

/// Returns `whole.fraction × factor`, rounded down; `None` if it does not fit.
fn bytes(whole: &str, fraction: &str, factor: u64) -> Option<u64> {
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(u128::from(factor))? / scale;
    whole.checked_add(u64::try_from(part).ok()?)
}

impl fmt::Display for Size {
    /// Formats the size in the largest unit that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor) && *factor > 1);
        match exact {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn duration(text: &str) -> Result<Duration, ValueError> {
        Duration::parse(text)
    }

    fn size(text: &str) -> Result<u64, ValueError> {
        Size::parse(text).map(|size| size.0)
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("2h", 7200), ("90", 90), ("1h 30m", 5400), ("2min", 120), ("1d", 86_400)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "-5s", "5", "10M", "1.5h", "s", "5 s 5", "1:30", "five", "5ss", "0x10"] {
            assert_eq!(duration(text).is_err(), text != "5", "{text}");
        }
        for text in ["99999999999", "18446744073709551615d", "99999999999999999999", "200y"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        let cases = [
            ("8GiB", 8 << 30),
            ("500MB", 500_000_000),
            ("4096", 4096),
            ("1.5 GiB", 3 << 29),
            ("16Gi", 16 << 30),
            ("10kb", 10_000),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "-1",
            "GiB",
            "1.5",
            "1.GiB",
            "8 Gibit",
            "99999999PiB",
            "18446744073709551616",
            "0.00000000000000000000000000000000000000001GiB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(size("8g").unwrap_err().to_string().contains("GB or GiB"));
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(millis in 0u64..u64::from(u32::MAX) * 1000) {
            let printed = duration_text(Duration::from_millis(millis));
            prop_assert_eq!(duration(&printed), Ok(Duration::from_millis(millis)));
        }

        #[test]
        fn a_printed_size_reads_back(number in any::<u64>(), shift in 0u32..50) {
            for bytes in [number, number >> shift << shift, number >> 34 << (shift / 2)] {
                prop_assert_eq!(size(&Size(bytes).to_string()), Ok(bytes));
            }
        }

        #[test]
        fn any_text_is_a_unit_or_refused(text in "\\PC*|[0-9. ]{0,30}[a-zA-Z]{0,3}") {
            let _ = (duration(&text), size(&text));
        }
    }
}
