//! A range of one file shared with another one, without copying a byte, where the file system can (ioctl_ficlonerange(2): btrfs, XFS,
//! overlay above them, NFS 4.2).

use std::fs::File;
use std::os::fd::AsRawFd;

/// The argument of the call (linux/fs.h, struct file_clone_range).
#[repr(C)]
struct CloneRange {
    from: i64,
    offset: u64,
    length: u64,
    at: u64,
}

/// `_IOW(0x94, 13, struct file_clone_range)`, the same on x86_64 and aarch64.
const FICLONERANGE: u32 = 0x4020_940d;

/// Shares a range, and returns whether that was possible; else it has to be copied.
pub fn clone_range(from: &File, offset: u64, to: &File, at: u64, length: u64) -> bool {
    let range = CloneRange { from: from.as_raw_fd().into(), offset, length, at };
    // SAFETY: the kernel reads one structure of the size that the number tells, and both descriptors are open.
    let done = unsafe { libc::ioctl(to.as_raw_fd(), FICLONERANGE as _, &raw const range) };
    done == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_shared_or_it_is_said_that_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), vec![7; 8192]).unwrap();
        let from = File::open(dir.path().join("a")).unwrap();
        let to = File::create_new(dir.path().join("b")).unwrap();
        let bytes = || std::fs::read(dir.path().join("b")).unwrap();
        match clone_range(&from, 0, &to, 0, 8192) {
            true => assert_eq!(bytes(), vec![7; 8192]),
            false => assert!(bytes().is_empty()),
        }
    }
}
