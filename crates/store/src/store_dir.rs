//! Examines a store's file system: whether it is writable, its time, and which owners of files are trusted. An environment is code that
//! will run as this user, so no untrusted user may have put it there.

use super::error::FileError;
use nix::errno::Errno;
use nix::unistd::geteuid;
use protocol::errno;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// The prefix of the names of unfinished files.
pub(super) const UNFINISHED: &str = ".new-";

/// The facts about a store's file system.
#[derive(Clone, Debug)]
pub(super) struct StoreDir {
    /// The reason why no file can be made there, if there is one.
    pub closed: Option<Errno>,
    /// The owner of files that this process makes there: a server may map root to the user nobody.
    maker: u32,
    /// The owner of the directory, if no other user can write to it.
    host: Option<u32>,
    /// Whether the file system shows the same mode for all files.
    without_rights: bool,
    /// The time that a new file got, and the local time then. Clocks of machines differ, and the server's is common to all.
    time: SystemTime,
    at: Instant,
}

impl StoreDir {
    /// Examines the file system with a test file that is removed at once.
    pub(super) fn of(directory: &Path) -> Self {
        let probe = temporary::make(directory, UNFINISHED).and_then(|file| file.as_file().metadata());
        let (found, closed): (Option<Metadata>, Option<io::Error>) = match probe {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        let of = |value: fn(&Metadata) -> u32| found.as_ref().map(value);
        StoreDir {
            closed: closed.as_ref().map(errno::of),
            host: host(directory),
            maker: of(|found| found.uid()).unwrap_or_else(|| geteuid().as_raw()),
            without_rights: of(|found| found.mode()).is_some_and(is_open),
            time: found.and_then(|found| found.modified().ok()).unwrap_or_else(SystemTime::now),
            at: Instant::now(),
        }
    }

    /// Checks whether a file can be trusted.
    ///
    /// # Errors
    /// Returns who could have written the file.
    pub(super) fn believes(&self, file: &Metadata) -> Result<(), FileError> {
        if !self.is_trusted(file.uid()) {
            return Err(FileError::ForeignCode { owner: file.uid().into(), own: geteuid() });
        }
        if is_open(file.mode()) && !self.without_rights {
            return Err(FileError::Writable(file.mode() & 0o7777));
        }
        Ok(())
    }

    /// Checks whether a trusted user owns a file: root, this user, or the keeper of the store.
    ///
    /// # Errors
    /// Returns the owner of the file.
    pub(super) fn owns(&self, file: &Metadata) -> Result<(), FileError> {
        if self.is_trusted(file.uid()) { Ok(()) } else { Err(FileError::Foreign(file.uid().into())) }
    }

    fn is_trusted(&self, uid: u32) -> bool {
        [0, self.maker, geteuid().as_raw()].contains(&uid) || self.host == Some(uid)
    }

    /// Returns the age of a file by the clock of its file system.
    pub(super) fn age(&self, file: &Metadata) -> Duration {
        let now = self.time + self.at.elapsed();
        file.modified().ok().and_then(|time| now.duration_since(time).ok()).unwrap_or_default()
    }
}

/// Returns the keeper of a store: the owner of a directory that no other user may write, in a parent where only root or this user can have
/// made it.
fn host(directory: &Path) -> Option<u32> {
    let closed = |path: &Path| std::fs::metadata(path).ok().filter(|found| !is_open(found.mode()));
    let place = closed(directory.canonicalize().ok()?.parent()?)?;
    let ours = [0, geteuid().as_raw()].contains(&place.uid());
    closed(directory).filter(|_| ours).map(|found| found.uid())
}

/// Checks whether users other than the owner may write.
fn is_open(mode: u32) -> bool {
    mode & 0o022 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = StoreDir::of(dir.path());
        assert!(store_dir.closed.is_none() && fs::read_dir(dir.path()).unwrap().next().is_none());
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let with = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            fs::metadata(&path).unwrap()
        };
        assert!(store_dir.believes(&with(0o644)).is_ok());
        assert!(store_dir.believes(&with(0o664)).unwrap_err().to_string().contains("664"));
        assert!(StoreDir { without_rights: true, ..store_dir.clone() }.believes(&with(0o777)).is_ok());
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(4321), None).unwrap();
            assert!(store_dir.believes(&with(0o644)).unwrap_err().to_string().contains("user 4321"));
            assert!(StoreDir { maker: 4321, ..store_dir }.believes(&with(0o644)).is_ok());
        }
    }

    #[test]
    fn who_keeps_a_store_that_nobody_else_may_write_is_believed_unless_he_made_its_place_too() {
        if !geteuid().is_root() {
            return println!("SKIPPED: only root can give files away");
        }
        let dir = tempfile::tempdir().unwrap();
        let (store, file) = (dir.path().join("store"), dir.path().join("store/file"));
        fs::create_dir(&store).unwrap();
        fs::write(&file, "").unwrap();
        let give = |path: &Path, to| std::os::unix::fs::chown(path, Some(to), None).unwrap();
        [&store, &file].iter().for_each(|path| give(path, 4321));
        let believes = || StoreDir::of(&store).believes(&fs::metadata(&file).unwrap());
        believes().unwrap();
        fs::set_permissions(&store, Permissions::from_mode(0o1777)).unwrap();
        assert!(believes().unwrap_err().to_string().contains("user 4321"));
        fs::set_permissions(&store, Permissions::from_mode(0o755)).unwrap();
        give(dir.path(), 4321);
        assert!(believes().is_err());
    }

    #[test]
    fn ages_are_told_by_the_clock_of_the_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let store_dir = StoreDir::of(dir.path());
        let file = File::create(dir.path().join("file")).unwrap();
        let age = |store_dir: &StoreDir| store_dir.age(&file.metadata().unwrap());
        assert!(age(&store_dir) < Duration::from_secs(60));
        // The server is an hour ahead of this machine, so a file made just now must still count as new.
        let ahead = StoreDir { time: store_dir.time + hour, ..store_dir };
        file.set_modified(SystemTime::now() + hour).unwrap();
        assert!(age(&ahead) < Duration::from_secs(60));
        file.set_modified(SystemTime::now()).unwrap();
        assert!(age(&ahead) > hour - Duration::from_secs(60));
        assert!(StoreDir::of(Path::new("/proc/none")).closed.is_some());
    }
}
