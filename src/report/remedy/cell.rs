//! One cell of the table of remedies, and how words and commands are written for a shell.

use crate::engine::StartPart;
use std::ffi::{OsStr, OsString};

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// An option of the program that starts.
    Option(String),
    /// A variable for the program that starts, which hands it on: `NAME=VALUE`.
    Variable(String),
    /// A command to type before the start.
    Before(String),
    /// Part of a manifest.
    Fragment(String),
    /// Another word in the command.
    Word,
    /// No option of a start does it: what else to do.
    Sentence(String),
}

/// Returns the command with the words that are meant.
pub(super) fn meant<'a>(changes: impl Iterator<Item = &'a StartPart>, command: &[OsString]) -> Vec<OsString> {
    let mut command = command.to_vec();
    for change in changes {
        let StartPart::Word { from, to } = change else { continue };
        if let Some(word) = command.iter_mut().find(|word| *word == OsStr::new(from)) {
            *word = to.into();
        }
    }
    command
}

/// Formats a command for a shell, secrets masked.
pub(super) fn quoted(command: &[OsString]) -> String {
    let words = text::masked_words(command);
    words.iter().map(|word| text::quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Quotes a text for a shell.
pub(super) fn word(text: &str) -> String {
    text::quoted(OsStr::new(text))
}

/// Returns `NAME=VALUE` for a shell; a value that is not told comes from the caller's environment.
pub(super) fn assignment(name: &str, value: Option<&str>) -> String {
    value.map_or_else(|| name.to_owned(), |value| word(&format!("{name}={value}")))
}

/// Returns the shell's command that raises a limit before the start; the shell counts some limits in KiB.
pub(super) fn ulimit(name: &str, limit: Option<u64>) -> Option<String> {
    let (letter, unit) = match name {
        "memlock" => ('l', 1 << 10),
        "stack" => ('s', 1 << 10),
        "nofile" => ('n', 1),
        "nproc" => ('u', 1),
        _ => return None,
    };
    let limit = limit.map_or("unlimited".to_owned(), |limit| limit.div_ceil(unit).to_string());
    Some(format!("ulimit -{letter} {limit}"))
}
