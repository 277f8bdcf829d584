//! Whether there is room for what is going to be written: bytes and inodes, before the first byte. `judge` is pure.

use nix::sys::statvfs::statvfs;
use std::path::Path;

/// The room of a file system, or what is needed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Inodes: files and directories.
    pub inodes: u64,
}

/// What is on a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// The free room for this user; file systems without a number of inodes have any.
    pub free: Room,
    /// All its bytes.
    pub bytes: u64,
}

/// Too little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLittle {
    /// Of bytes.
    Bytes {
        /// So many are needed.
        needs: u64,
        /// So many are free.
        free: u64,
    },
    /// Of inodes.
    Inodes {
        /// So many are needed.
        needs: u64,
        /// So many are free.
        free: u64,
    },
    /// More than half of a place that the memory limit or the whole container shares.
    Half {
        /// So many bytes are needed.
        needs: u64,
        /// So many are free.
        free: u64,
        /// Whether it is memory.
        memory: bool,
    },
}

/// Asks the file system of a directory.
///
/// # Errors
/// The error of statvfs(3).
pub fn look(directory: &Path) -> nix::Result<FileSystem> {
    let found = statvfs(directory)?;
    let block = found.fragment_size().max(1);
    // btrfs and others count no inodes.
    let inodes = if found.files() == 0 { u64::MAX } else { found.files_available() };
    let free = Room { bytes: found.blocks_available().saturating_mul(block), inodes };
    Ok(FileSystem { free, bytes: found.blocks().saturating_mul(block) })
}

/// Decides whether it fits. In memory and in the container's own layer at most half of the free room is taken.
///
/// # Errors
/// What there is too little of.
pub(crate) fn judge(needs: Room, free: Room, shared: Option<SharedRoom>) -> Result<(), TooLittle> {
    if needs.bytes > free.bytes {
        return Err(TooLittle::Bytes { needs: needs.bytes, free: free.bytes });
    }
    if needs.inodes > free.inodes {
        return Err(TooLittle::Inodes { needs: needs.inodes, free: free.inodes });
    }
    match shared {
        Some(shared) if needs.bytes > free.bytes / 2 => {
            Err(TooLittle::Half { needs: needs.bytes, free: free.bytes, memory: shared == SharedRoom::Memory })
        }
        _ => Ok(()),
    }
}

/// Room that others need as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedRoom {
    /// Memory: what is there counts to the container's limit.
    Memory,
    /// The container's writable layer, which ends with it.
    Layer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_both_numbers() {
        let room = |bytes, inodes| Room { bytes, inodes };
        assert_eq!(judge(room(10, 2), room(10, 2), None), Ok(()));
        assert_eq!(judge(room(11, 2), room(10, 2), None), Err(TooLittle::Bytes { needs: 11, free: 10 }));
        assert_eq!(judge(room(1, 3), room(10, 2), None), Err(TooLittle::Inodes { needs: 3, free: 2 }));
        let half = |memory| Err(TooLittle::Half { needs: 6, free: 10, memory });
        assert_eq!(judge(room(6, 1), room(10, 2), Some(SharedRoom::Memory)), half(true));
        assert_eq!(judge(room(6, 1), room(10, 2), Some(SharedRoom::Layer)), half(false));
        assert_eq!(judge(room(5, 1), room(10, 2), Some(SharedRoom::Layer)), Ok(()));
    }

    #[test]
    fn a_file_system_tells_its_room() {
        let found = look(Path::new("/")).unwrap();
        assert!(found.bytes > 0 && found.free.bytes <= found.bytes && found.free.inodes > 0);
    }
}
