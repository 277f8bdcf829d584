//! The mark in a directory of checkpoints that tells which run they belong to.

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use serde::{Deserialize, Serialize};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use sys::untrusted::{self, Owners};

/// The directory of trainit's own files in `checkpoint.dir`, and the mark in it.
const DIRECTORY: &str = ".trainit";
const MARK: &str = "mirror.json";

/// A mark is small.
const LIMIT: u64 = 4096;
/// Digits of an identity.
const DIGITS: usize = 16;

#[derive(Serialize, Deserialize)]
struct Mark {
    run: String,
}

/// Returns an identity that no other run or start has.
///
/// # Errors
/// The kernel's random numbers cannot be read.
pub(crate) fn new_id() -> io::Result<String> {
    sys::random::secret().map(|secret| secret.chars().take(DIGITS).collect())
}

/// Returns the run that a directory belongs to; `None` if it has no mark.
///
/// # Errors
/// The mark cannot be read, or is none.
pub(crate) fn read_mark(dir: &Path) -> io::Result<Option<String>> {
    let bytes = match directory(dir).and_then(|own| untrusted::read(&own, Path::new(MARK), LIMIT, Owners::Anyone)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let mark: Mark = serde_json::from_slice(&bytes)?;
    let is_plain = !mark.run.is_empty() && mark.run.len() <= 64 && mark.run.bytes().all(|b| b.is_ascii_alphanumeric());
    is_plain.then_some(Some(mark.run)).ok_or_else(|| io::Error::other("it names no run"))
}

/// Writes the mark, unless there is one. The directory has a checkpoint by then: some trainers refuse one that is not empty.
///
/// # Errors
/// The error of the file system.
pub(crate) fn write_mark(dir: &Path, run: &str) -> io::Result<()> {
    let parent = File::open(dir)?;
    match mkdirat(&parent, DIRECTORY, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let text = serde_json::to_vec(&Mark { run: run.to_owned() })?;
    let own = directory(dir)?;
    // By its descriptor, so that nobody can lead this process elsewhere.
    let here = format!("/proc/self/fd/{}", own.as_raw_fd());
    let mut new =
        tempfile::Builder::new().prefix(".mirror-").permissions(Permissions::from_mode(0o644)).tempfile_in(&here)?;
    new.write_all(&text)?;
    match new.persist_noclobber(Path::new(&here).join(MARK)) {
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        kept => kept.map(drop).map_err(|failed| failed.error),
    }
}

/// Opens the directory of trainit's own files; a link is not followed.
fn directory(dir: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(File::open(dir)?, DIRECTORY, flags, Mode::empty()).map(File::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_stays_the_one_that_a_directory_belongs_to() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_mark(dir.path()).unwrap(), None);
        write_mark(dir.path(), "first").unwrap();
        write_mark(dir.path(), "second").unwrap();
        assert_eq!(read_mark(dir.path()).unwrap().as_deref(), Some("first"));
    }

    #[test]
    fn no_mark_is_written_through_a_link_and_nonsense_is_none() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(other.path(), dir.path().join(DIRECTORY)).unwrap();
        assert!(write_mark(dir.path(), "run").is_err());
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
        let dir = tempfile::tempdir().unwrap();
        write_mark(dir.path(), "../x").unwrap();
        assert!(read_mark(dir.path()).is_err());
    }
}
