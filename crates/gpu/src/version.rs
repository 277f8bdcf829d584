//! Versions of drivers, toolkits and compute capabilities: numbers between dots, compared as numbers (570.86 is older than 570.124).

use std::cmp::Ordering;
use std::fmt;

/// Largest number of components.
const LONGEST: usize = 4;

/// A version that keeps its original text.
#[derive(Clone, Debug, Default)]
pub struct VersionText {
    text: String,
    parts: [u32; LONGEST],
}

impl VersionText {
    /// Parses `570.124.06`; `None` if the text is no version.
    pub fn of(text: &str) -> Option<Self> {
        let mut parts = [0; LONGEST];
        let mut words = text.split('.');
        for (part, word) in parts.iter_mut().zip(words.by_ref()) {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            *part = word.parse().ok().filter(|_| digits)?;
        }
        words.next().is_none().then(|| VersionText { text: text.to_owned(), parts })
    }

    /// Makes a version of two numbers.
    pub fn new(major: u32, minor: u32) -> Self {
        VersionText { text: format!("{major}.{minor}"), parts: [major, minor, 0, 0] }
    }

    /// Returns the first number.
    pub fn major(&self) -> u32 {
        let [major, ..] = self.parts;
        major
    }

    /// Returns the first two numbers, which identify a toolkit.
    pub fn short(&self) -> Self {
        let [major, minor, ..] = self.parts;
        VersionText::new(major, minor)
    }
}

impl PartialEq for VersionText {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for VersionText {}

impl PartialOrd for VersionText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VersionText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts.cmp(&other.parts)
    }
}

impl fmt::Display for VersionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_shown_as_they_were_written() {
        let version = |text| VersionText::of(text).unwrap();
        assert!(version("570.86.10") < version("570.124.06") && version("12.10") > version("12.8"));
        assert_eq!(version("12.8"), version("12.8.0"));
        assert_eq!(version("570.124.06").to_string(), "570.124.06");
        assert_eq!(version("12.8.1").short().to_string(), "12.8");
        for text in ["", ".", "12.", "a", "1.2.3.4.5", "+1", "1 2", "99999999999"] {
            assert_eq!(VersionText::of(text), None, "{text:?}");
        }
    }
}
