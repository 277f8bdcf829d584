//! Why a store, or one of its files, is of no use. The causes stay errors; whoever reports them makes the words.

use nix::errno::Errno;
use nix::unistd::Uid;
use std::io;
use std::path::PathBuf;

/// The reason why a store is of no use to a start.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory does not exist and cannot be made, or cannot be read.
    #[error("its directory cannot be used")]
    Directory(#[source] io::Error),
    /// The environment is missing, and no file can be made in the directory.
    #[error("the environment is not there, and cannot be put there")]
    Closed(#[source] Errno),
    /// This file cannot be used.
    #[error("{}", text::path(.0))]
    File(PathBuf, #[source] FileError),
    /// The lease cannot be made.
    #[error("its lease cannot be made")]
    Lease(#[source] io::Error),
}

/// The reason why a file of a store is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It belongs to a user that is not trusted.
    #[error("it belongs to user {0}")]
    Foreign(Uid),
    /// It is code of a user that is not trusted.
    #[error("it belongs to user {owner}, whose code would run as {own}")]
    ForeignCode {
        /// The owner.
        owner: Uid,
        /// The user of this process.
        own: Uid,
    },
    /// Users that are not trusted may write it.
    #[error("others may write it (mode {0:o})")]
    Writable(u32),
}

/// A file of an environment that cannot be read, inside of an `io::Error`.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.display())]
pub(super) struct UnreadFile(pub PathBuf, #[source] pub io::Error);

/// Returns the words of an error and of those behind it.
#[cfg(test)]
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
