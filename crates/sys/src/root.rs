//! The root directory of /proc, /sys, /dev and /etc: the real one, or a directory that a test made.

use std::io;
use std::path::{Path, PathBuf};

/// Bytes that most kernel files fit into.
const ROOM: usize = 4096;

/// Most bytes that are read of one kernel file.
const READ_MAX: u64 = 4 << 20;

/// A root directory for files that describe the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// Returns the machine's own root.
    pub fn real() -> Self {
        Root(PathBuf::from("/"))
    }

    /// Returns a directory that stands for the machine's root.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Root(directory.into())
    }

    /// Returns an absolute path below this root.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// Reads a file's bytes, at most 4 MiB.
    ///
    /// # Errors
    /// The error of open(2) or read(2).
    pub fn read(&self, absolute: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        use io::Read;
        // The kernel reports no size of its files, so without this capacity they are read in many small pieces.
        let mut bytes = Vec::with_capacity(ROOM);
        std::fs::File::open(self.path(absolute))?.take(READ_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a file as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// The error of open(2) or read(2).
    pub fn text(&self, absolute: impl AsRef<Path>) -> io::Result<String> {
        self.read(absolute).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
