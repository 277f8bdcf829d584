//! statx(2): on which mount a path lies, and what kind of thing it is.

use nix::errno::Errno;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `stx_mnt_id` is filled in (Linux 5.8). The unique id of later kernels is not asked for: mountinfo does not have it.
const MNT_ID: u32 = 0x1000;
/// `stx_attributes`: the path is exactly the root of a mount.
const ATTR_MOUNT_ROOT: u64 = 0x2000;

/// Which mount a path lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnMount {
    /// The id in mountinfo; none: a kernel (or a sandbox) that does not tell.
    pub id: Option<u64>,
    /// The path is the mount's own root; none: not told.
    pub is_root: Option<bool>,
}

/// Asks for the mount of a path. Symbolic links are followed; cached knowledge will do.
///
/// # Errors
/// What statx(2) says.
pub fn mount_of(path: &Path) -> nix::Result<OnMount> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with NUL, and the answer has the size that the call fills in.
    let result = unsafe {
        libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_STATX_DONT_SYNC,
            libc::STATX_TYPE | MNT_ID,
            answer.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: all bit patterns are valid, and it was zeroed before.
    let answer = unsafe { answer.assume_init() };
    let told = |mask: u64, value| (answer.stx_attributes_mask & mask != 0).then_some(value);
    Ok(OnMount {
        id: (answer.stx_mask & MNT_ID != 0).then_some(answer.stx_mnt_id),
        is_root: told(ATTR_MOUNT_ROOT, answer.stx_attributes & ATTR_MOUNT_ROOT != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_statx_are_those_of_mountinfo() {
        let table = crate::sys::mountinfo::parse(&std::fs::read("/proc/self/mountinfo").unwrap());
        let proc = mount_of(Path::new("/proc/self")).unwrap();
        let Some(id) = proc.id else { return println!("SKIPPED: this kernel's statx has no mount id") };
        assert_eq!(crate::sys::mountinfo::with_id(&table, id).unwrap().kind, b"proc");
        assert_eq!(mount_of(Path::new("/proc")).unwrap().is_root, Some(true));
        assert_eq!(proc.is_root, Some(false));
    }

    #[test]
    fn a_missing_path_is_an_error_and_not_a_mount() {
        assert_eq!(mount_of(Path::new("/no/such/path")), Err(Errno::ENOENT));
    }
}
