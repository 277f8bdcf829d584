//! Locks on files and directories (flock(2)), which last as long as the process that holds them.

use super::retry::retry;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;

/// A lock that this process holds. An unlock that fails has no effect: the kernel takes the lock back when the file is closed.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock of an open file or directory without waiting.
    ///
    /// # Errors
    /// The file and EWOULDBLOCK: another process has the lock. ENOLCK, EOPNOTSUPP: this file system has no locks.
    pub fn take(file: File) -> Result<Self, (File, Errno)> {
        match retry(|| flock(&file, libc::LOCK_EX | libc::LOCK_NB)) {
            Ok(()) => Ok(FileLock(file)),
            Err(errno) => Err((file, errno)),
        }
    }
}

impl Drop for FileLock {
    /// Unlocks, because closing alone is not enough: a child that was forked meanwhile may have the same open file.
    fn drop(&mut self) {
        let _ = flock(&self.0, libc::LOCK_UN);
    }
}

fn flock(file: &File, operation: libc::c_int) -> nix::Result<()> {
    // SAFETY: flock(2) takes numbers; the descriptor is open for as long as `file` is borrowed.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn open(path: &Path) -> File {
        File::open(path).unwrap()
    }

    #[test]
    fn a_lock_is_taken_once_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let first = FileLock::take(open(directory.path())).unwrap();
        let second = FileLock::take(open(directory.path()));
        assert_eq!(second.err().map(|(_, errno)| errno), Some(Errno::EWOULDBLOCK));
        drop(first);
        assert!(FileLock::take(open(directory.path())).is_ok());
    }

    #[test]
    fn an_unlock_that_fails_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = std::os::unix::ffi::OsStrExt::as_bytes(directory.path().as_os_str());
        let path = std::ffi::CString::new(path).unwrap();
        // SAFETY: the path is a NUL-terminated string; a descriptor that is only a path cannot be locked or unlocked (EBADF).
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
        drop(FileLock(File::from(super::super::signal::owned(fd))));
    }
}
