//! What can be told from a command line's words alone.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A program's name without its directory.
pub fn name(word: &OsStr) -> &str {
    Path::new(word).file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// `bash`, `bash -l`, `python` are a person's; `bash train.sh` and `python -c x` have something to do.
pub fn is_idle(line: &[OsString], programs: &[&str]) -> bool {
    let Some((first, rest)) = line.split_first() else { return false };
    let busy = |word: &OsString| !word.as_encoded_bytes().starts_with(b"-") || word == "-c" || word == "-m";
    programs.contains(&name(first)) && !rest.iter().any(busy)
}
