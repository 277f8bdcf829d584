//! Escapes for names of files, devices and programs, which are untrusted input. Control characters, broken UTF-8 and characters
//! that turn the direction of text are shown as escapes, and a name of 4 KiB is cut in its middle.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest name that is shown whole, in characters.
const NAME_MAX: usize = 160;

/// Escapes in a text every character that would break or forge a line.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push(&mut shown, c));
    Cow::Owned(shown)
}

/// Escapes JSON for a terminal: characters that JSON leaves as they are and that a terminal may obey get JSON's own escapes.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push(c),
            c if is_unfit(c) => _ = write!(shown, "\\u{:04x}", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown
}

/// Shows a name as the kernel has it: as text where it is UTF-8, and as `\xNN` where it is not. A long name is cut in its middle.
/// Secrets are masked before that, because half a secret does not look like one.
pub fn bytes(name: &[u8]) -> String {
    let name = &*super::masked_bytes(name);
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut shown, c));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shortened(shown, NAME_MAX)
}

/// Shows a path, as `bytes` does.
pub fn path(path: &Path) -> String {
    bytes(path.as_os_str().as_bytes())
}

/// Shows a word, as `bytes` does.
pub fn os(word: &OsStr) -> String {
    bytes(word.as_bytes())
}

/// Cuts a text in its middle, because the end of a path says more than its middle.
pub(super) fn shortened(text: String, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text;
    }
    let half = limit / 2;
    let head = text.chars().take(half);
    head.chain(std::iter::once('…')).chain(text.chars().skip(length - half)).collect()
}

fn push(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        c if c.is_ascii_control() => _ = write!(shown, "\\x{:02x}", u32::from(c)),
        c if is_unfit(c) => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
        c => shown.push(c),
    }
}

/// Tells whether a character is a control character, a line or paragraph separator, or a mark that reorders text (Unicode UAX #9).
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_names_stay_on_one_line() {
        assert_eq!(bytes(b"a\nb\x1b[31m"), "a\\nb\\x1b[31m");
        assert_eq!(bytes(b"\xff\xfeok"), "\\xff\\xfeok");
        assert_eq!(bytes("größe".as_bytes()), "größe");
        assert_eq!(line("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
    }

    #[test]
    fn json_stays_the_same_value_without_what_a_terminal_obeys() {
        let value = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}ü\n";
        let shown = json(&serde_json::to_string(value).unwrap());
        assert!(!shown.chars().any(is_unfit), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        let name = format!("start{}end", "x".repeat(4096));
        let shown = bytes(name.as_bytes());
        assert!(shown.starts_with("start") && shown.ends_with("end") && shown.contains('…'));
        assert!(shown.chars().count() <= NAME_MAX + 1);
    }

    proptest! {
        #[test]
        fn nothing_shown_ever_breaks_a_line(name in proptest::collection::vec(any::<u8>(), 0..300)) {
            let shown = bytes(&name);
            prop_assert!(!shown.chars().any(is_unfit));
            prop_assert!(shown.chars().count() <= NAME_MAX + 1);
            prop_assert_eq!(line(&shown), shown.as_str());
        }
    }
}
