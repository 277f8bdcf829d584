//! Command lines in a form that can be typed into a shell.

use super::escape::shortened;
use super::mask::{MASK, masked_words};
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// Longest command line that is shown whole, in characters.
const COMMAND_MAX: usize = 200;

/// Shows a command line to a user: secrets masked, words quoted, a long line cut.
pub fn command<S: AsRef<OsStr>>(words: &[S]) -> String {
    let words: Vec<String> = masked_words(words).iter().map(|word| quoted(word)).collect();
    shortened(words.join(" "), COMMAND_MAX)
}

/// Quotes one word so that a shell reads the same word: bare, in single quotes, or as `$'…'` where it holds control characters or
/// bytes that are not UTF-8.
pub fn quoted(word: &OsStr) -> String {
    match word.to_str() {
        Some(text) if !text.is_empty() && is_bare(text) => text.to_owned(),
        Some(text) if super::line(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => dollar_quoted(word.as_bytes()),
    }
}

fn dollar_quoted(word: &[u8]) -> String {
    let mut shown = String::from("$'");
    for byte in word {
        match byte {
            b'\n' => shown.push_str("\\n"),
            b'\'' | b'\\' => _ = write!(shown, "\\{}", char::from(*byte)),
            b' '..=b'~' => shown.push(char::from(*byte)),
            byte => _ = write!(shown, "\\x{byte:02x}"),
        }
    }
    shown.push('\'');
    shown
}

fn is_bare(text: &str) -> bool {
    text.chars().all(is_plain) || text.replace(MASK, "").chars().all(is_plain)
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_./:=,+@%^".contains(c) || c == '…'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(command(&["python", "train.py", "--lr=3e-4"]), "python train.py --lr=3e-4");
        assert_eq!(command(&["sh", "-c", "echo 'a b'"]), r"sh -c 'echo '\''a b'\'''");
        assert_eq!(command(&["", "*"]), "'' '*'");
    }

    #[test]
    fn bytes_that_are_not_text_survive_as_shell_escapes() {
        assert_eq!(quoted(OsStr::from_bytes(b"a\xffb\n'")), r"$'a\xffb\n\''");
    }

    #[test]
    fn a_shown_command_holds_no_secret() {
        assert_eq!(command(&["run", "--token", "abc"]), "run --token ***");
    }
}
