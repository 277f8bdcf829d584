//! The files of the AWS tools (`~/.aws/config`, `~/.aws/credentials`): which section a profile has, and what it says.

use std::collections::HashMap;

/// The values of one profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile(HashMap<String, String>);

impl Profile {
    /// Returns a value, without blanks around it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns whether nothing is known of the profile.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads what both files say of a profile; the credentials file wins, as with the AWS tools.
pub(crate) fn profile(config: &str, credentials: &str, name: &str) -> Profile {
    let mut values = HashMap::new();
    section(
        config,
        |title| title == name && name == "default" || title.strip_prefix("profile ").map(str::trim) == Some(name),
        &mut values,
    );
    section(credentials, |title| title == name, &mut values);
    Profile(values)
}

fn section(text: &str, is_it: impl Fn(&str) -> bool, values: &mut HashMap<String, String>) {
    let mut inside = false;
    for line in text.lines() {
        // A comment's sign counts at the beginning of a line, or behind a blank; an indented line belongs to a nested block.
        let line = line.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default();
        if line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        if let Some(title) = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = is_it(title.trim());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

/// Splits the command line of `credential_process` into words: double quotes and backslashes as the AWS tools take them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' => word.extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-1\n\n[profile team a]\nregion=us-2 # near\ns3 =\n  max = 5\naws_access_key_id = old\n[team a]\nregion = no\n";
    const CREDENTIALS: &str = "; a comment\n[default]\naws_access_key_id = A\n[team a]\naws_access_key_id = B\naws_secret_access_key = s=#x\n";

    #[test]
    fn a_profile_is_read_from_both_files_and_the_credentials_win() {
        let found = profile(CONFIG, CREDENTIALS, "team a");
        assert_eq!(found.get("aws_access_key_id"), Some("B"));
        assert_eq!(found.get("aws_secret_access_key"), Some("s=#x"));
        assert_eq!(found.get("region"), Some("us-2"));
        assert_eq!((found.get("s3"), found.get("max")), (None, None));
        assert_eq!(profile(CONFIG, CREDENTIALS, "default").get("region"), Some("eu-1"));
        assert!(profile(CONFIG, CREDENTIALS, "other").is_empty());
    }

    #[test]
    fn a_command_line_has_words_with_blanks_in_quotes() {
        assert_eq!(words(r#"/opt/get "a b" c\ d """#), ["/opt/get", "a b", "c d", ""]);
        assert!(words("  ").is_empty());
    }
}
