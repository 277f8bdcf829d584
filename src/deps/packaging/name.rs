//! Names of projects and of extras in their normal form (PEP 503): `My.Odd_Name` and `my-odd-name` are one.

use std::fmt;

/// A name in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name; none if no project can be called so.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let ends = [bytes.first()?, bytes.last()?];
        let is_name = ends.iter().all(|byte| byte.is_ascii_alphanumeric())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || is_separator(*byte));
        is_name.then(|| Name(normal(text)))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a byte of a name means no more than a break between two words.
pub fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.')
}

fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for text in ["My.Odd_Name", "my-odd-name", "MY__ODD-.name"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), "my-odd-name");
        }
        assert!(["", "-a", "a-", "a b", "é", "a[b]"].iter().all(|text| Name::parse(text).is_none()));
    }
}
