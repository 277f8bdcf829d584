//! Facts that the words of a command line give by themselves.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Returns a program's name without its directory.
pub(super) fn name(word: &OsStr) -> &str {
    Path::new(word).file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// Returns whether a command line waits for a person: `bash`, `bash -l` and `python` do, `bash train.sh` and `python -c x` do not.
pub(super) fn is_idle(line: &[OsString], programs: &[&str]) -> bool {
    let Some((first, rest)) = line.split_first() else { return false };
    let busy = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-") || word == "-c" || word == "-m";
    programs.contains(&name(first)) && !rest.iter().any(busy)
}
