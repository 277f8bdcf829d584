//! Whether any process has a file open for writing. The kernel knows: it grants a read lease (fcntl(2), F_SETLEASE) only on a file
//! that no process has open for writing.

use std::fs::File;
use std::os::fd::AsRawFd;

/// The command of fcntl(2) that sets the signal for a lease's holder; the same on every architecture, and missing in libc for musl.
const F_SETSIG: libc::c_int = 10;

/// File systems of which every writer passes through this kernel: ext2/3/4, XFS, Btrfs, tmpfs, ramfs, overlay, F2FS, ZFS, bcachefs.
/// On others (NFS, Lustre, FUSE) another machine may write, of which a lease says nothing.
const LOCAL: &[u64] =
    &[0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];

/// Whether a file has writers just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// No process has the file open for writing.
    None,
    /// A process has the file open for writing.
    Some,
    /// The kernel cannot tell: the file system is not local, the file belongs to another user, or the kernel has no leases.
    Unknown,
}

/// Asks for the writers of a file that was opened for reading only. The lease is given back at once; a process that opens the file
/// for writing in between waits for these few microseconds.
pub fn writers(file: &File) -> Writers {
    if !nix::sys::statfs::fstatfs(file).is_ok_and(|fs| LOCAL.contains(&(fs.filesystem_type().0 as u32).into())) {
        return Writers::Unknown;
    }
    // The signal about such a writer is SIGIO by default, which ends a process; SIGURG is ignored by default.
    if control(file, F_SETSIG, libc::SIGURG).is_err() {
        return Writers::Unknown;
    }
    match control(file, libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => {
            let _ = control(file, libc::F_SETLEASE, libc::F_UNLCK);
            Writers::None
        }
        Err(nix::Error::EAGAIN) => Writers::Some,
        Err(_) => Writers::Unknown,
    }
}

fn control(file: &File, command: libc::c_int, argument: libc::c_int) -> nix::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed, and these commands take a plain number.
    nix::Error::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_while_the_file_is_open() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let written = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        match writers(&file) {
            Writers::Unknown => println!("SKIPPED: no leases on the file system of {}", path.display()),
            found => assert_eq!(found, Writers::Some),
        }
        drop(written);
        assert_ne!(writers(&file), Writers::Some);
        File::options().write(true).open(&path).expect("the lease was given back");
    }
}
