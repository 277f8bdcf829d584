//! The names of keys: dotted paths in files, `TRAINIT_*` in the environment.

/// Begins every variable of a key.
pub const PREFIX: &str = "TRAINIT_";

/// Returns the name that a path has in the environment.
pub fn variable(path: &str) -> String {
    PREFIX.chars().chain(path.bytes().map(in_capitals).map(char::from)).collect()
}

/// Writes a byte of a path as a variable's name has it.
pub fn in_capitals(byte: u8) -> u8 {
    if byte == b'.' { b'_' } else { byte.to_ascii_uppercase() }
}

/// Returns the rest of `path` behind `group.`; `None` if it does not begin so.
pub fn below<'a>(path: &'a str, group: &str) -> Option<&'a str> {
    path.strip_prefix(group)?.strip_prefix('.').filter(|rest| !rest.is_empty())
}
