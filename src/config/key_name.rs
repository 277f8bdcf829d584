//! The names of keys: dotted paths in files, `TRAINIT_*` in the environment.

/// Prefix of the variable of every key.
pub(super) const PREFIX: &str = "TRAINIT_";

/// Returns the variable of a path.
pub(super) fn variable(path: &str) -> String {
    PREFIX.chars().chain(path.bytes().map(in_capitals).map(char::from)).collect()
}

/// Converts a byte of a path to a byte of a variable's name.
pub(super) fn in_capitals(byte: u8) -> u8 {
    if byte == b'.' { b'_' } else { byte.to_ascii_uppercase() }
}

/// Returns the rest of `path` after `group.`; `None` if the path does not start so.
pub(super) fn below<'a>(path: &'a str, group: &str) -> Option<&'a str> {
    path.strip_prefix(group)?.strip_prefix('.').filter(|rest| !rest.is_empty())
}
