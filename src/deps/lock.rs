//! Locks a target so that one installer runs at a time. The lock is an optimisation: some network file systems cannot lock, and some only
//! pretend to. An installation is judged by its stamp, never by the lock.

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::lock::FileLock;
use sys::untrusted::{self, Owners};

/// The pause between two tries of a lock that another process holds.
const TICK: Duration = Duration::from_millis(100);

/// The lock on a target, held until this is dropped.
#[derive(Debug)]
pub(super) struct InstallLock {
    _file: Option<FileLock>,
    /// Whether another process held the lock before, so that its work may be done already.
    pub waited: bool,
}

/// Waits for the lock of a directory until the deadline, and goes on without it afterwards; `tell` gets one line if there is a wait.
pub(super) fn take(directory: &Path, deadline: Option<Instant>, tell: &mut dyn FnMut(&str)) -> InstallLock {
    let mut waited = false;
    let mut file = match open(directory) {
        Some(file) => file,
        None => return InstallLock { _file: None, waited },
    };
    loop {
        match FileLock::take(file) {
            Ok(lock) => return InstallLock { _file: Some(lock), waited },
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR))
                if deadline.is_none_or(|deadline| Instant::now() < deadline) =>
            {
                file = back
            }
            Err(_) => return InstallLock { _file: None, waited },
        }
        if !waited {
            tell(&format!("waiting for another start that installs into {}", directory.display()));
        }
        waited = true;
        std::thread::sleep(TICK);
    }
}

/// Checks whether a process holds the lock of a directory.
pub(super) fn is_taken(directory: &Path) -> bool {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = File::options().append(true).custom_flags(flags).open(directory.join("lock"));
    file.is_ok_and(|file| matches!(FileLock::take(file), Err((_, Errno::EWOULDBLOCK))))
}

fn open(directory: &Path) -> Option<File> {
    super::stamp::make_directory(directory).ok()?;
    // Other users may be able to write there: a link is not followed, and a pipe is not waited for.
    untrusted::append(AT_FDCWD, &directory.join("lock"), 0o666, Owners::Anyone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_taken(dir.path()));
        let first = take(dir.path(), None, &mut |_| {});
        assert!(is_taken(dir.path()));
        let mut told = 0;
        let late = take(dir.path(), Some(Instant::now() + Duration::from_millis(150)), &mut |_| told += 1);
        assert!(late.waited && late._file.is_none());
        assert_eq!(told, 1);
        drop(first);
        assert!(take(dir.path(), None, &mut |_| {})._file.is_some());
    }

    #[test]
    fn a_pipe_in_the_place_of_the_lock_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("lock"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
        assert!(take(dir.path(), None, &mut |_| {})._file.is_none() && !is_taken(dir.path()));
    }

    #[test]
    fn where_nothing_can_be_locked_there_is_no_wait() {
        assert!(!take(Path::new("/proc/none"), None, &mut |_| {}).waited);
    }
}
