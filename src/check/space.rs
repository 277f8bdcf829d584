//! The room of a directory: free space and inodes as the file system reports them, and a quota by allocating the space.

use super::failures;
use super::listing::PROBE;
use super::path_facts::PathFacts;
use super::step::{CheckResult, Failure};
use crate::config::{Severity, Size};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;
use std::path::Path;
use sys::filesystem::FilesystemClass;

/// Space that holds hardly one checkpoint.
const LITTLE: u64 = 1 << 30;
/// Space that is little if the rest of the disk is full.
const NEARLY_FULL: u64 = 10 << 30;
/// Number of inodes that are soon used up.
const FEW_INODES: u64 = 1000;

/// The room that is left for this user.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FreeSpace {
    /// Free bytes; `None` if the file system does not report them.
    pub free: Option<u64>,
    /// All bytes of the file system.
    size: u64,
    /// Free inodes; `None` if the file system does not report them.
    pub inodes: Option<u64>,
}

impl FreeSpace {
    /// Asks the file system. Object stores report no blocks, and btrfs no inodes.
    pub(super) fn of(directory: &Path) -> Self {
        let Ok(stat) = statvfs(directory) else { return FreeSpace::default() };
        let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
        FreeSpace {
            free: (stat.blocks() > 0).then(|| bytes(stat.blocks_available())),
            size: bytes(stat.blocks()),
            inodes: (stat.files() > 0).then(|| stat.files_available()),
        }
    }

    fn is_little(&self, free: u64) -> bool {
        free < LITTLE || (free < NEARLY_FULL && free < self.size / 20)
    }
}

/// Checks for the required free space, or for what a job will soon need.
pub(super) fn free(site: &PathFacts, room: &FreeSpace, wanted: Option<Size>) -> CheckResult {
    let Some(free) = room.free else { return Ok(()) };
    let told = format!("{} has {} free", site.shown, text::size(free));
    match wanted {
        Some(wanted) if free < wanted.0 => Failure::new(format!("{told}, min_free asks for {}", text::size(wanted.0)))
            .because("the job would end in the middle of a checkpoint")
            .advice("free some space, or mount another directory"),
        None if room.is_little(free) && site.class() != Some(FilesystemClass::Object) => {
            Failure::new(format!("{told} of {}", text::size(room.size)))
                .because("the job may end in the middle of a checkpoint")
                .advice("free some space, or say with `min_free=` behind the path what is enough")
                .level(Some(Severity::Warn))
        }
        _ => return Ok(()),
    }
    .found()
}

/// Checks for free inodes.
pub(super) fn inodes(site: &PathFacts, room: &FreeSpace) -> CheckResult {
    let Some(left) = room.inodes.filter(|left| *left < FEW_INODES) else { return Ok(()) };
    Failure::new(format!("{} has room for {} only", site.shown, text::count(left, "more file")))
        .because("the file system has a limit of files, too (df -i)")
        .advice("delete some, or mount another directory")
        .found()
}

/// Allocates the required space and releases it. Skips memory, which the job would lack, and object stores.
pub(super) fn allocate(site: &PathFacts, wanted: Option<Size>) -> CheckResult {
    let Some(wanted) =
        wanted.filter(|_| !matches!(site.class(), Some(FilesystemClass::Memory | FilesystemClass::Object)))
    else {
        return Ok(());
    };
    match try_to_allocate(&site.path, wanted.0) {
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
            let size = text::size(wanted.0);
            Failure::new(format!("{size} cannot be allocated in {}: {}", site.shown, protocol::errno::words(errno)))
                .because("the job would end in the middle of a checkpoint")
                .advice("raise the quota, free some space, or mount another directory")
                .found()
        }
        // A missing permission was reported before; not every file system can allocate.
        _ => Ok(()),
    }
}

/// Allocates in a file without a name, so that nothing remains afterwards.
fn try_to_allocate(directory: &Path, bytes: u64) -> Result<(), Errno> {
    let length = i64::try_from(bytes).map_err(|_| Errno::EFBIG)?;
    let file = temporary::unnamed(directory, PROBE).map_err(failures::errno)?;
    fallocate(&file, FallocateFlags::empty(), 0, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_a_gibibyte_or_ten_of_a_disk_that_is_nearly_full() {
        let little = |free: u64, size: u64| FreeSpace { free: Some(free), size, inodes: None }.is_little(free);
        assert!(little(LITTLE - 1, LITTLE) && little(9 << 30, 1 << 40));
        assert!(!little(LITTLE, 4 << 30) && !little(9 << 30, 100 << 30) && !little(NEARLY_FULL, 1 << 50));
    }

    #[test]
    fn what_was_allocated_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let tried = try_to_allocate(directory.path(), 1 << 16);
        assert!(matches!(tried, Ok(()) | Err(Errno::EOPNOTSUPP)), "{tried:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
