//! A directory that is read as a whole: all names in a few calls, and files opened by their names in it. The C library asks the
//! kernel once for every fifty names, and a path from the root costs a walk for each file.

use super::retry::retry;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, Whence, lseek, unlinkat};
use std::ffi::{OsStr, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Size of a read of entries in bytes, enough for some hundreds of entries.
const PIECE: usize = 16 << 10;

/// Size of a read of entries in PID 1, whose stack keeps every page that was touched: enough for some tens of entries.
const SMALL_PIECE: usize = 1 << 10;

/// Where the length of a directory entry is (getdents64(2)).
const LENGTH_AT: usize = 16;
/// Where the name of a directory entry is (getdents64(2)).
const NAME_AT: usize = 19;

/// An open directory.
#[derive(Debug)]
pub struct OpenDirectory(OwnedFd);

/// The names in a directory, in no order, without `.` and `..`.
#[derive(Clone, Debug, Default)]
pub struct DirectoryNames(Vec<u8>);

impl DirectoryNames {
    /// Iterates over the names.
    pub fn iter(&self) -> impl Iterator<Item = &OsStr> {
        self.0.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(OsStr::from_bytes)
    }
}

/// Lists the names in a directory that are numbers, as /proc has them for processes, threads and descriptors. PID 1 uses this
/// function because the standard library's directories panic when close(2) fails.
///
/// # Errors
/// The error of openat(2) or getdents64(2).
pub fn numbers(path: &Path) -> io::Result<Vec<c_int>> {
    let directory = OpenDirectory::open(path)?;
    let (mut numbers, mut names, mut piece) = (Vec::new(), Vec::new(), [0; SMALL_PIECE]);
    loop {
        let read = retry(|| directory.entries(&mut piece))?;
        if read == 0 {
            return Ok(numbers);
        }
        add_names(&mut names, piece.get(..read).unwrap_or_default());
        let texts = names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        numbers.extend(texts.filter_map(|name| name.parse::<c_int>().ok()));
        names.clear();
    }
}

impl OpenDirectory {
    /// Opens a directory.
    ///
    /// # Errors
    /// The error of openat(2).
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(OpenDirectory(retry(|| openat(AT_FDCWD, path, flags, Mode::empty()))?))
    }

    /// Reads all names.
    ///
    /// # Errors
    /// The error of getdents64(2).
    pub fn names(&self) -> io::Result<DirectoryNames> {
        let (mut names, mut piece) = (Vec::with_capacity(PIECE), [0; PIECE]);
        loop {
            let read = retry(|| self.entries(&mut piece))?;
            if read == 0 {
                return Ok(DirectoryNames(names));
            }
            add_names(&mut names, piece.get(..read).unwrap_or_default());
        }
    }

    fn entries(&self, piece: &mut [u8]) -> nix::Result<usize> {
        // SAFETY: the kernel writes at most the length that it is told, into a buffer that outlives the call.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, self.0.as_raw_fd(), piece.as_mut_ptr(), piece.len()) };
        Errno::result(read).map(|read| read as usize)
    }

    /// Opens a file of this directory for reading.
    ///
    /// # Errors
    /// The error of openat(2).
    pub fn file(&self, name: &Path) -> io::Result<File> {
        Ok(openat(&self.0, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)?)
    }
}

/// Locks an open directory or file for as long as it is open, unless another process has it locked (flock(2)). Closing it is enough
/// to give the lock back.
pub fn lock(file: impl AsFd) -> bool {
    // SAFETY: the call takes no pointers, and the descriptor is open as long as it is borrowed.
    unsafe { libc::flock(file.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Deepest nesting that `remove` goes into; each level holds a descriptor open.
const DEPTH: u32 = 16;

/// Removes a directory with all that is in it. `remove` works by descriptors: it follows no link, and nothing that another process
/// meanwhile puts in the place of a directory. It ends after `entries` entries, and at the depth `DEPTH`, so that no tree keeps it
/// busy for ever.
///
/// # Errors
/// The error of unlinkat(2) or openat(2); ENOTEMPTY where the bounds were too small for the tree.
pub fn remove(parent: impl AsFd, name: &OsStr, entries: u32) -> io::Result<()> {
    Ok(remove_below(parent.as_fd(), name, &mut { entries }, DEPTH)?)
}

fn remove_below(parent: BorrowedFd<'_>, name: &OsStr, left: &mut u32, depth: u32) -> nix::Result<()> {
    let gone = unlinkat(parent, name, UnlinkatFlags::RemoveDir);
    if gone != Err(Errno::ENOTEMPTY) || depth == 0 {
        return gone;
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = OpenDirectory(openat(parent, name, flags, Mode::empty())?);
    // Read from the beginning as long as an entry is removed: a removal may move the entries behind it.
    while directory.remove_some(left, depth)? {
        lseek(&directory.0, 0, Whence::SeekSet)?;
    }
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)
}

impl OpenDirectory {
    /// Removes the entries of the first read, and tells whether any was removed.
    fn remove_some(&self, left: &mut u32, depth: u32) -> nix::Result<bool> {
        let (mut names, mut piece) = (Vec::new(), [0; 4096]);
        let read = retry(|| self.entries(&mut piece))?;
        add_names(&mut names, piece.get(..read).unwrap_or_default());
        let mut any = false;
        for name in DirectoryNames(names).iter() {
            if *left == 0 {
                return Ok(false);
            }
            *left -= 1;
            any |= unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir).is_ok()
                || remove_below(self.0.as_fd(), name, left, depth - 1).is_ok();
        }
        Ok(any)
    }
}

/// Appends the names of a buffer of entries, with a zero behind each.
fn add_names(names: &mut Vec<u8>, mut entries: &[u8]) {
    while let Some(length) = entries.get(LENGTH_AT..LENGTH_AT + 2) {
        let length = length.try_into().map_or(0, u16::from_ne_bytes);
        let Some((entry, rest)) = entries.split_at_checked(usize::from(length).max(NAME_AT)) else { return };
        let name = entry.get(NAME_AT..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        if name != b"." && name != b".." {
            names.extend_from_slice(name);
            names.push(0);
        }
        entries = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::Read;

    #[test]
    fn every_name_is_found_also_in_a_large_directory() {
        let dir = tempfile::tempdir().unwrap();
        let expected: BTreeSet<_> = (0..3000).map(|n| format!("package{n}-1.{n}.dist-info")).collect();
        expected.iter().for_each(|name| std::fs::write(dir.path().join(name), name).unwrap());
        let open = OpenDirectory::open(dir.path()).unwrap();
        let names = open.names().unwrap();
        let found: BTreeSet<_> = names.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        assert_eq!(found, expected);
        assert_eq!(names.iter().count(), 3000);
        let mut text = String::new();
        open.file(Path::new("package7-1.7.dist-info")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "package7-1.7.dist-info");
        assert!(open.file(Path::new("none")).is_err());
    }

    #[test]
    fn numbers_are_told_from_other_names() {
        let dir = tempfile::tempdir().unwrap();
        let expected: BTreeSet<c_int> = (0..500).collect();
        let names = expected.iter().map(c_int::to_string).chain(["7x", "self", "99999999999", "é"].map(str::to_owned));
        names.for_each(|name| std::fs::write(dir.path().join(name), "").unwrap());
        assert_eq!(numbers(dir.path()).unwrap().into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(numbers(&dir.path().join("none")).is_err());
    }

    #[test]
    fn only_a_directory_is_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(OpenDirectory::open(file.path()).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert!(add_names_of(&[7; 40]).is_empty());
    }

    #[test]
    fn a_tree_is_taken_away_and_nothing_that_its_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/kept"), "").unwrap();
        (0..500).for_each(|n| std::fs::write(tree.join(format!("a/b/{n}")), "").unwrap());
        std::os::unix::fs::symlink("../../outside", tree.join("a/link")).unwrap();
        let at = File::open(dir.path()).unwrap();
        assert!(remove(&at, OsStr::new("tree"), 100).is_err() && tree.exists());
        remove(&at, OsStr::new("tree"), 1000).unwrap();
        assert!(!tree.exists() && dir.path().join("outside/kept").exists());
    }

    #[test]
    fn what_is_nested_without_end_is_left_and_not_walked_into() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("d/".repeat(100))).unwrap();
        assert!(remove(File::open(dir.path()).unwrap(), OsStr::new("d"), 1000).is_err());
    }

    fn add_names_of(bytes: &[u8]) -> Vec<u8> {
        let mut names = Vec::new();
        add_names(&mut names, bytes);
        names
    }
}
