//! The mount that a path lies on, and other answers of statx(2).

use super::filesystem::FilesystemClass;
use super::mountinfo::{self, Mount};
use super::support::unsupported;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::{CString, OsStr, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The bit of `stx_mask` for `stx_mnt_id` (Linux 5.8). The unique id of later kernels is not used, because mountinfo does not have
/// it.
const MNT_ID: u32 = 0x1000;
/// The bit of `stx_attributes` for a path that is the root of a mount.
const ATTR_MOUNT_ROOT: u64 = 0x2000;

/// The mount that a path lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnMount {
    /// The id in mountinfo; `None` where the kernel or a sandbox does not tell it.
    pub id: Option<u64>,
    /// Whether the path is the mount's own root; `None` where the kernel does not tell.
    pub is_root: Option<bool>,
}

/// Asks for the mount of a path. Symbolic links are followed, and cached attributes are enough (AT_STATX_DONT_SYNC).
///
/// # Errors
/// The error of statx(2), or of open(2) where statx(2) is not there.
pub fn mount_of(path: &Path) -> nix::Result<OnMount> {
    match by_statx(path) {
        Ok(OnMount { id: None, is_root }) => Ok(OnMount { id: by_descriptor(path)?, is_root }),
        // The call is missing in a sandbox or an old kernel.
        Err(errno) if unsupported(errno) => Ok(OnMount { id: by_descriptor(path)?, is_root: None }),
        answer => answer,
    }
}

/// Finds the row of the mount that a path lies on: by its id where the kernel tells it, else by the longest mount point above the
/// path.
pub fn row_of<'a>(path: &Path, table: &'a [Mount]) -> Option<&'a Mount> {
    match mount_of(path) {
        Ok(on) if on.id.is_some() => mountinfo::with_id(table, on.id?),
        Ok(_) => mountinfo::covering(table, &std::fs::canonicalize(path).ok()?),
        Err(_) => None,
    }
}

/// Reads the id from /proc for an open file, for kernels before 5.8.
fn by_descriptor(path: &Path) -> nix::Result<Option<u64>> {
    let file = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let told = std::fs::read(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap_or_default();
    let id = told.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"mnt_id:"));
    Ok(id.and_then(|id| std::str::from_utf8(id.trim_ascii()).ok()?.parse().ok()))
}

fn by_statx(path: &Path) -> nix::Result<OnMount> {
    let answer = statx(path, libc::AT_STATX_DONT_SYNC, libc::STATX_TYPE | MNT_ID)?;
    let told = |mask: u64, value| (answer.stx_attributes_mask & mask != 0).then_some(value);
    Ok(OnMount {
        id: (answer.stx_mask & MNT_ID != 0).then_some(answer.stx_mnt_id),
        is_root: told(ATTR_MOUNT_ROOT, answer.stx_attributes & ATTR_MOUNT_ROOT != 0),
    })
}

/// Tells whether an entry of a directory is the root of a mount; `None` where the kernel does not tell (before Linux 5.8). A link is
/// not followed, and an automount is not set off.
pub fn is_mount_root(directory: BorrowedFd<'_>, name: &OsStr) -> Option<bool> {
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    let answer = statx_at(directory.as_raw_fd(), name, flags, libc::STATX_TYPE).ok()?;
    let is_known = answer.stx_attributes_mask & ATTR_MOUNT_ROOT != 0;
    is_known.then_some(answer.stx_attributes & ATTR_MOUNT_ROOT != 0)
}

/// Returns when a file was made, where its file system keeps that time. The standard library asks for it only with glibc.
pub fn born(path: &Path) -> Option<SystemTime> {
    let answer = statx(path, 0, libc::STATX_BTIME).ok().filter(|answer| answer.stx_mask & libc::STATX_BTIME != 0)?;
    let seconds = Duration::from_secs(u64::try_from(answer.stx_btime.tv_sec).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + Duration::from_nanos(answer.stx_btime.tv_nsec.into()))
}

fn statx(path: &Path, flags: c_int, mask: u32) -> nix::Result<libc::statx> {
    statx_at(libc::AT_FDCWD, path.as_os_str(), flags, mask)
}

fn statx_at(directory: c_int, path: &OsStr, flags: c_int, mask: u32) -> nix::Result<libc::statx> {
    let path = CString::new(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with NUL, and the answer has the size that the call fills in.
    Errno::result(unsafe { libc::statx(directory, path.as_ptr(), flags, mask, answer.as_mut_ptr()) })?;
    // SAFETY: all bit patterns are valid, and the structure was zeroed before.
    Ok(unsafe { answer.assume_init() })
}

/// Returns the class of the file system that a path lies on, by the number that statfs(2) gives, for where the mount table does not
/// tell.
pub fn class_of(path: &Path) -> Option<FilesystemClass> {
    // The field's type differs between machines and C libraries; all numbers have 32 bits.
    let magic = nix::sys::statfs::statfs(path).ok()?.filesystem_type().0;
    FilesystemClass::numbered(magic as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn an_open_file_tells_the_same_mount() {
        for path in ["/proc/self", "/proc", "/dev/null", "/"].map(Path::new) {
            let Some(id) = by_statx(path).unwrap().id else {
                return println!("SKIPPED: this kernel's statx has no mount id");
            };
            assert_eq!(by_descriptor(path), Ok(Some(id)), "{path:?}");
        }
        assert_eq!(by_descriptor(Path::new("/no/such/path")), Err(Errno::ENOENT));
    }

    #[test]
    fn the_ids_of_statx_are_those_of_mountinfo() {
        let table = crate::mountinfo::parse(&std::fs::read("/proc/self/mountinfo").unwrap());
        let proc = mount_of(Path::new("/proc/self")).unwrap();
        let Some(id) = proc.id else { return println!("SKIPPED: this kernel's statx has no mount id") };
        assert_eq!(crate::mountinfo::with_id(&table, id).unwrap().kind(), b"proc");
        assert_eq!(mount_of(Path::new("/proc")).unwrap().is_root, Some(true));
        assert_eq!(proc.is_root, Some(false));
    }

    #[test]
    fn the_root_of_a_mount_is_told_from_a_directory() {
        let root = std::fs::File::open("/").unwrap();
        let Some(told) = is_mount_root(root.as_fd(), OsStr::new("proc")) else {
            return println!("SKIPPED: this kernel's statx does not tell roots of mounts");
        };
        assert!(told);
        let proc = std::fs::File::open("/proc").unwrap();
        assert_eq!(is_mount_root(proc.as_fd(), OsStr::new("self")), Some(false));
        assert_eq!(is_mount_root(proc.as_fd(), OsStr::new("no-such")), None);
    }

    #[test]
    fn what_was_made_just_now_is_young() {
        let place = tempfile::tempdir().unwrap();
        let Some(born) = born(place.path()) else { return println!("SKIPPED: this kernel's /tmp keeps no such time") };
        assert!(born.elapsed().is_ok_and(|age| age < Duration::from_secs(60)), "{born:?}");
        assert_eq!(super::born(Path::new("/no/such/path")), None);
    }

    #[test]
    fn a_missing_path_is_an_error_and_not_a_mount() {
        assert_eq!(mount_of(Path::new("/no/such/path")), Err(Errno::ENOENT));
    }
}
