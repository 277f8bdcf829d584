//! The value of `checkpoint.family`: one family by its word, or `auto`.

use super::family::{FAMILIES, Family};
use std::fmt;

/// The families to look for.
#[derive(Clone, Copy, Debug, Default)]
pub enum FamilyChoice {
    /// The first family in the order of `FAMILIES` whose mark is in the directory.
    #[default]
    Auto,
    /// Only this family, whatever else the directory holds.
    Only(&'static Family),
}

impl FamilyChoice {
    /// Parses the word for a choice.
    pub fn parse(word: &str) -> Option<Self> {
        if word == "auto" {
            return Some(Self::Auto);
        }
        FAMILIES.iter().find(|family| family.name == word).map(Self::Only)
    }

    /// Lists all words that `parse` accepts, for the schema and for suggestions.
    pub fn words() -> impl Iterator<Item = &'static str> {
        std::iter::once("auto").chain(FAMILIES.iter().map(|family| family.name))
    }

    /// Returns the word for this choice.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(family) => family.name,
        }
    }
}

impl fmt::Display for FamilyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl PartialEq for FamilyChoice {
    fn eq(&self, other: &Self) -> bool {
        self.word() == other.word()
    }
}

impl Eq for FamilyChoice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_for_itself() {
        for word in FamilyChoice::words() {
            assert_eq!(FamilyChoice::parse(word).unwrap().to_string(), word);
        }
        assert_eq!(FamilyChoice::parse("keras"), None);
    }
}
