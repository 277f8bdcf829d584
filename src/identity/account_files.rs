//! Changes the account files of this container: a line for the user, another home. A mounted file belongs elsewhere, maybe to the machine,
//! and stays as it is.

use super::accounts::{self, Edit};
use super::names::PASSWD;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use sys::{Root, stat};

/// Adds a line, which wins over older ones of the same name or number.
pub(super) fn add_line(root: &Root, file: &str, line: &[u8]) -> io::Result<()> {
    let path = root.path(file);
    let is_plain = line.iter().filter(|byte| **byte == b':').count() == if file == PASSWD { 6 } else { 3 };
    if !is_plain || line.iter().any(u8::is_ascii_control) || is_mounted(root, &path) {
        return Ok(());
    }
    let old = root.read(file)?;
    match accounts::with_line(&old, line) {
        Edit::Append(more) => append(&path, &more),
        Edit::Replace(whole) => replace(&path, &whole).or_else(|_| add_in_place(&path, &old, line)),
    }
}

/// Gives a user of this name another home.
pub(super) fn set_home(root: &Root, name: &str, home: &Path) -> io::Result<()> {
    let path = root.path(PASSWD);
    let home = home.as_os_str().as_bytes();
    if is_mounted(root, &path) || home.iter().any(|byte| *byte == b':' || byte.is_ascii_control()) {
        return Ok(());
    }
    match accounts::with_home(&root.read(PASSWD)?, name.as_bytes(), home) {
        Some(whole) => replace(&path, &whole),
        None => Ok(()),
    }
}

/// Adds a line to a file in a directory that cannot be written, as group 0 may in docker-stacks' images: an older line of the name
/// gets another one first.
fn add_in_place(path: &Path, old: &[u8], line: &[u8]) -> io::Result<()> {
    if let Some((at, name)) = accounts::new_name_for_older(old, line) {
        OpenOptions::new().write(true).open(path)?.write_all_at(&name, at as u64)?;
    }
    let end: &[u8] = if old.ends_with(b"\n") { b"" } else { b"\n" };
    append(path, &[end, line, b"\n"].concat())
}

/// Appends with one write, so that a concurrent append is not lost.
fn append(path: &Path, more: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(more)
}

fn replace(path: &Path, whole: &[u8]) -> io::Result<()> {
    let mode = std::fs::metadata(path)?.mode() & 0o777;
    let mut new = temporary::make(path.parent().unwrap_or(Path::new("/")), ".trainit-")?;
    new.write_all(whole)?;
    temporary::publish(new, path, mode, false)
}

/// Returns whether a file is on another mount than the root directory; an unknown mount counts as yes.
fn is_mounted(root: &Root, path: &Path) -> bool {
    let mount = |path: &Path| stat::mount_of(path).ok().and_then(|on| on.id);
    mount(path).is_none_or(|id| Some(id) != mount(&root.path("/")))
}
