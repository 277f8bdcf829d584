//! A device node that may not be opened: which one, the error, and the owner, group and mode that it has. What the error means is not
//! decided here.

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::os::unix::fs::MetadataExt;
use sys::Root;

/// The owner, the group and the permission bits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRights {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
}

/// A node that may not be read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The path of the node that refuses: of an AMD GPU also /dev/kfd.
    pub path: String,
    /// The error of access(2).
    pub errno: Errno,
    /// What stat(2) shows of the node; `None` if that is refused, too.
    pub rights: Option<NodeRights>,
}

impl Refusal {
    /// Makes a refusal of which only the error is known.
    pub fn of(path: impl Into<String>, errno: Errno) -> Self {
        Refusal { path: path.into(), errno, rights: None }
    }
}

/// Asks access(2): a device control group answers EPERM without opening the device.
pub(crate) fn refused(root: &Root, path: &str) -> Option<Refusal> {
    let file = root.path(path);
    let errno = access(&file, AccessFlags::R_OK | AccessFlags::W_OK).err()?;
    let rights = std::fs::metadata(&file).ok();
    let rights = rights.map(|node| NodeRights { uid: node.uid(), gid: node.gid(), mode: node.mode() & 0o777 });
    Some(Refusal { rights, ..Refusal::of(path, errno) })
}
