//! Where /proc, /sys, /dev and /etc are: the real ones, or a directory that a test laid out.

use std::io;
use std::path::{Path, PathBuf};

/// What most kernel files fit into.
const ROOM: usize = 4096;

/// Most that is read of any one kernel file.
const READ_MAX: u64 = 4 << 20;

/// A root directory for files that describe the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The machine itself.
    pub fn real() -> Self {
        Root(PathBuf::from("/"))
    }

    /// A directory that stands for the machine.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Root(directory.into())
    }

    /// An absolute path below this root.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// A file's bytes, at most 4 MiB.
    ///
    /// # Errors
    /// What open(2) and read(2) say.
    pub fn read(&self, absolute: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        use io::Read;
        // The kernel tells no size of its files: without room they are read in many small pieces.
        let mut bytes = Vec::with_capacity(ROOM);
        std::fs::File::open(self.path(absolute))?.take(READ_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// What open(2) and read(2) say.
    pub fn text(&self, absolute: impl AsRef<Path>) -> io::Result<String> {
        self.read(absolute).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
