//! Files under a name that no other file has. A crate for this would bring a generator of random numbers with thread-local state,
//! which costs PID 1 a page of memory for weeks; mkstemp(3) costs nothing.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A new file, open for reading and writing, which is removed on drop unless it was moved to its final path.
#[derive(Debug)]
pub struct TemporaryFile {
    file: File,
    path: PathBuf,
}

impl TemporaryFile {
    /// Makes a file in a directory. Its name begins with `prefix`, and only its owner may read it.
    ///
    /// # Errors
    /// The error of mkstemp(3).
    pub fn make(directory: &Path, prefix: &str) -> io::Result<Self> {
        let (fd, path) = nix::unistd::mkstemp(&directory.join(format!("{prefix}XXXXXX")))?;
        let made = TemporaryFile { file: File::from(fd), path };
        let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(&made.file, flags)?;
        Ok(made)
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file, to write to it.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Removes the file's name; the file exists as long as it is open.
    ///
    /// # Errors
    /// The error of unlink(2).
    pub fn unnamed(self) -> io::Result<File> {
        std::fs::remove_file(&self.path)?;
        self.file.try_clone()
    }

    /// Moves the file to its final path in one step, with this mode. With `durable` the bytes reach the disk first.
    ///
    /// # Errors
    /// The error of fchmod(2), fsync(2) or rename(2).
    pub fn become_file(self, place: &Path, mode: u32, durable: bool) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))?;
        if durable {
            self.file.sync_all()?;
        }
        std::fs::rename(&self.path, place)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After a rename there is no file under this name any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn it_is_there_until_it_is_dropped_or_moved_to_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let dropped = TemporaryFile::make(directory.path(), "one-").unwrap();
        let (path, place) = (dropped.path().to_owned(), directory.path().join("place"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(dropped);
        assert!(!path.exists());
        let mut kept = TemporaryFile::make(directory.path(), "two-").unwrap();
        kept.file().write_all(b"text").unwrap();
        kept.become_file(&place, 0o644, true).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"text");
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_no_file_can_be_made_that_is_said() {
        assert!(TemporaryFile::make(Path::new("/no/such/directory"), "x").is_err());
    }
}
