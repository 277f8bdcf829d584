//! The page cache: how to have a file read from its disk and not from memory.

use std::fs::File;
use std::os::fd::AsRawFd;

/// RWF_NOWAIT of preadv2(2): read only bytes that are in memory.
const NOWAIT: libc::c_int = 8;

/// Asks the kernel to drop a file from the page cache, and returns whether its first byte is in memory nevertheless. A reading time
/// then says nothing about the disk. The answer is `false` where the kernel cannot tell.
pub fn still_holds(file: &File) -> bool {
    let _ = nix::fcntl::posix_fadvise(file, 0, 0, nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    let mut byte = [0u8; 1];
    let part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: the one part points to a byte that outlives the call, and the upper half of the offset is 0.
    let read =
        unsafe { libc::syscall(libc::SYS_preadv2, file.as_raw_fd(), &raw const part, 1, 0usize, 0usize, NOWAIT) };
    read > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_cannot_be_told_is_not_claimed() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(!still_holds(&file), "an empty file has nothing to hold");
        file.write_all(b"x").unwrap();
        file.sync_all().unwrap();
        still_holds(&file);
        let (read, _write) = nix::unistd::pipe().unwrap();
        assert!(!still_holds(&File::from(read)), "a pipe has no pages");
    }
}
