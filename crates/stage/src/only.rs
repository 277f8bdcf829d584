//! Which keys are wanted: the patterns of `only=`. Pure.

use glob::{MatchOptions, Pattern};

/// How patterns match: `*` stays within a directory, `**` does not.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// The patterns of one path; without any, every key is wanted.
#[derive(Clone, Debug, Default)]
pub struct Only(Vec<Pattern>);

impl Only {
    /// Parses patterns. One without a slash is for names in every directory; one that ends with a slash is for all below a directory.
    ///
    /// # Errors
    /// The pattern that is none.
    pub fn parse(patterns: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            let whole = match text.strip_suffix('/') {
                Some(directory) => format!("{directory}/**/*"),
                None if !text.contains('/') => format!("**/{text}"),
                None => text.clone(),
            };
            Pattern::new(&whole).map_err(|error| format!("{text}: {}", error.msg))
        };
        patterns.iter().map(parse).collect::<Result<_, _>>().map(Only)
    }

    /// Returns whether a key is wanted.
    pub fn wants(&self, key: &[u8]) -> bool {
        self.0.is_empty() || {
            let key = String::from_utf8_lossy(key);
            self.0.iter().any(|pattern| pattern.matches_with(&key, OPTIONS))
        }
    }

    /// Returns whether every key is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the patterns as one text that tells this choice from others.
    pub fn identity(&self) -> String {
        self.0.iter().map(Pattern::as_str).collect::<Vec<_>>().join("+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(patterns: &[&str], keys: &[&str]) -> Vec<String> {
        let only = Only::parse(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
        keys.iter().filter(|key| only.wants(key.as_bytes())).map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn names_directories_and_paths_are_chosen() {
        let keys = ["train/a.tar", "train/x/b.tar", "val/a.tar", "index.json"];
        assert_eq!(wanted(&[], &keys).len(), 4);
        assert_eq!(wanted(&["*.json"], &keys), ["index.json"]);
        assert_eq!(wanted(&["train/"], &keys), ["train/a.tar", "train/x/b.tar"]);
        assert_eq!(wanted(&["train/*"], &keys), ["train/a.tar"]);
        assert_eq!(wanted(&["a.tar", "index.*"], &keys), ["train/a.tar", "val/a.tar", "index.json"]);
        assert!(Only::parse(&["[".to_owned()]).unwrap_err().starts_with("[: "));
    }
}
