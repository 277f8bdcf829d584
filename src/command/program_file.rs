//! Writes a program to a file in one step: whoever starts the file meets the old program or the new one, and never a part of one.

use std::io::{self, Read};
use std::path::Path;

/// Writes the file, executable for all users, and makes missing directories. What was there, also a link, is replaced.
///
/// # Errors
/// The error of the system call that failed.
pub(in crate::command) fn write(place: &Path, program: &mut impl Read) -> io::Result<()> {
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = temporary::make(directory, ".trainit-")?;
    io::copy(program, &mut new)?;
    temporary::publish(new, place, 0o755, true)
}
