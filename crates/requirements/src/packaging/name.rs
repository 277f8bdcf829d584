//! Normalizes the names of projects and extras (PEP 503): `My.Odd_Name` equals `my-odd-name`.

use std::fmt;

/// A name in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Parses a name; `None` if it is not a valid name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_normal = || text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_name(text).then(|| Name(if is_normal() { text.to_owned() } else { normal(text).map(char::from).collect() }))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks whether a byte of a name is only a separator between two words.
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.')
}

/// Checks whether a text is a valid name.
pub(super) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || is_separator(*byte))
}

/// Checks whether two spellings are of one name.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    normal(one).eq(normal(other))
}

/// Returns the normal form: lower case, with one dash between words.
fn normal(text: &str) -> impl Iterator<Item = u8> + '_ {
    let mut after_break = false;
    text.bytes().filter_map(move |byte| {
        let is_break = is_separator(byte);
        let again = std::mem::replace(&mut after_break, is_break) && is_break;
        (!again).then_some(if is_break { b'-' } else { byte.to_ascii_lowercase() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for text in ["My.Odd_Name", "my-odd-name", "MY__ODD-.name"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), "my-odd-name");
        }
        assert!(is_same("A_b", "a.-B") && !is_same("a", "ab") && !is_same("a-b", "ab"));
        assert!(["", "-a", "a-", "a b", "é", "a[b]"].iter().all(|text| Name::parse(text).is_none()));
    }
}
