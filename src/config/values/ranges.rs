//! A range of values, from the first to the last: `1s..60s`.

use super::{ConfigValue, ValueError};
use serde_json::{Value as Json, json};

/// A range of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range<T> {
    /// The first value.
    pub from: T,
    /// The last value, not less than the first.
    pub to: T,
}

impl<T: ConfigValue + PartialOrd> ConfigValue for Range<T> {
    fn form() -> String {
        format!("FROM..TO, each {}", T::form())
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let (from, to) = text.split_once("..").ok_or(ValueError::Form)?;
        let (from, to) = (T::parse(from)?, T::parse(to)?);
        if from <= to { Ok(Range { from, to }) } else { Err(ValueError::Downwards) }
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^.+\\.\\..+$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_range_goes_upward() {
        let seconds = |from, to| Range { from: Duration::from_secs(from), to: Duration::from_secs(to) };
        assert_eq!(Range::parse("1s..1m"), Ok(seconds(1, 60)));
        assert_eq!(Range::parse("5..5"), Ok(seconds(5, 5)));
        for text in ["1s", "2s..1s", "..1s", "1s..", "a..b", ""] {
            assert!(Range::<Duration>::parse(text).is_err(), "{text}");
        }
    }
}
