//! The owner of the code directory, and why there is none that counts or why the workload does not run as that user. It looks nothing
//! up. A process that can be killed looks, so the reason crosses a pipe.

use nix::errno::Errno;
use protocol::errno;
use serde::{Deserialize, Serialize};

/// The owner of the code directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeOwner {
    /// This user and this group.
    Of(u32, u32),
    /// No owner that counts.
    Nobody(NoOwner),
}

/// The reason why a directory has no owner that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{directory} {why}")]
pub struct NoOwner {
    /// The directory, as messages show it.
    pub directory: String,
    /// The reason.
    pub why: OwnerDoubt,
}

/// What is wrong with the owner of a directory, as a fragment that follows the directory's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum OwnerDoubt {
    /// The directory is in the image.
    #[error("is not on a mount")]
    NoMount,
    /// A file system of this type reports every file as owned by the caller.
    #[error("is on {0}, where owners are made up")]
    MadeUp(String),
    /// The metadata cannot be read, with the number of the error.
    #[error("cannot be looked at: {}", errno::words(Errno::from_raw(*.0)))]
    Unexamined(i32),
    /// The file system does not answer.
    #[error("does not answer")]
    Silent,
}

/// The reason why a workload does not run as the owner of its code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OwnerUnused {
    /// The code has no owner that counts; `uid` and `gid` are this process's.
    #[error("stays {uid}:{gid}: {why}")]
    None { uid: u32, gid: u32, why: NoOwner },
    /// Only root can become another user; `own` is the user of this process.
    #[error("stays {own}: only root can become the owner, {uid}:{gid}")]
    NotRoot { own: u32, uid: u32, gid: u32 },
    /// The owner does not exist in this user namespace.
    #[error("stays root: the code's owner has no number in this user namespace")]
    Unmapped,
    /// Root of this user namespace is the user who started the container.
    #[error("stays root: root of a user namespace is the user who started the container already")]
    Fenced,
}
