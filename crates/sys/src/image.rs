//! A program that is executed from an open file. The file may be in memory (memfd_create(2)), or, where that is forbidden, a file
//! without a name (O_TMPFILE), so that the program needs no path in the file system.

use super::process::{execute_file, list};
use super::signal::owned;
use super::support::unsupported;
use nix::errno::Errno;
use std::ffi::{CStr, CString, c_uint};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Lowest number of a descriptor that is executed; the lower ones are for the program's own descriptors.
const ABOVE: RawFd = 10;

/// Makes a sealed file in memory with this program, which no process can change.
///
/// # Errors
/// EACCES or EPERM where the system forbids it (vm.memfd_noexec, seccomp), ENOSYS, ENOMEM.
pub fn in_memory(name: &CStr, program: &[u8]) -> nix::Result<OwnedFd> {
    const SEALABLE: c_uint = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Since Linux 6.3 a file in memory has a flag for being executable; older kernels do not know the flag.
    let made = match memory_file(name, SEALABLE | libc::MFD_EXEC) {
        Err(Errno::EINVAL) => memory_file(name, SEALABLE),
        made => made,
    };
    let mut file = File::from(made?);
    file.write_all(program).map_err(errno_of)?;
    // SAFETY: fcntl(2) with F_ADD_SEALS takes a number.
    unsafe {
        libc::fcntl(
            file.as_raw_fd(),
            libc::F_ADD_SEALS,
            libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE,
        )
    };
    raised(OwnedFd::from(file))
}

fn memory_file(name: &CStr, flags: c_uint) -> nix::Result<OwnedFd> {
    // SAFETY: the name ends with NUL.
    Errno::result(unsafe { libc::memfd_create(name.as_ptr(), flags) }).map(owned)
}

/// Makes a file with this program that has no name, in this directory.
///
/// # Errors
/// EOPNOTSUPP, ENOENT, EACCES, EROFS, ENOSPC.
pub fn unnamed(directory: &Path, program: &[u8]) -> nix::Result<OwnedFd> {
    let flags = libc::O_TMPFILE | libc::O_CLOEXEC;
    let mut file =
        File::options().read(true).write(true).mode(0o700).custom_flags(flags).open(directory).map_err(errno_of)?;
    file.write_all(program).map_err(errno_of)?;
    file.set_permissions(PermissionsExt::from_mode(0o500)).map_err(errno_of)?;
    // A file that is open for writing is not executed (ETXTBSY), so it is opened again, and the writing descriptor is closed.
    let again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(errno_of)?;
    raised(OwnedFd::from(again))
}

/// Opens a file that is executed where it lies.
///
/// # Errors
/// The error of open(2).
pub fn on_disk(file: &Path) -> nix::Result<OwnedFd> {
    raised(OwnedFd::from(File::open(file).map_err(errno_of)?))
}

/// Moves a descriptor to a number that the set-up of the child does not replace.
fn raised(fd: OwnedFd) -> nix::Result<OwnedFd> {
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC takes a number.
    Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, ABOVE) }).map(owned)
}

fn errno_of(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Becomes the program in this file. The function returns only on failure, with the error.
pub fn execute(image: &OwnedFd, argv: &[CString], environment: &[&CStr]) -> Errno {
    match execute_open(image, argv, environment) {
        // A sandbox without execveat(2): the file is executed by its name in /proc, where /proc is mounted.
        errno if unsupported(errno) => match CString::new(format!("/proc/self/fd/{}", image.as_raw_fd())) {
            Ok(file) => execute_file(&file, &list(argv), list(environment).as_ptr()),
            Err(_) => errno,
        },
        errno => errno,
    }
}

fn execute_open(image: &OwnedFd, argv: &[CString], environment: &[&CStr]) -> Errno {
    let (argv, environment) = (list(argv), list(environment));
    let (fd, path) = (image.as_raw_fd(), c"".as_ptr());
    // SAFETY: both lists end with NULL, and the lists, their strings and the empty path outlive the call.
    unsafe { libc::syscall(libc::SYS_execveat, fd, path, argv.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH) };
    Errno::last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    fn exit_code(image: OwnedFd) -> process::Reaped {
        let words = [c"sh", c"-c", c"exit 7"].map(CStr::to_owned);
        let pid = process::fork(|| execute(&image, &words, &[]) as u8).unwrap();
        process::wait_for(pid)
    }

    #[test]
    fn a_program_runs_from_memory_and_from_a_file_without_a_name() {
        let shell = std::fs::read("/bin/sh").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let images = [in_memory(c"test", &shell), on_disk(Path::new("/bin/sh"))];
        for image in images {
            let image = image.unwrap();
            assert!(image.as_raw_fd() >= ABOVE);
            assert!(matches!(exit_code(image), process::Reaped::One(_, process::Ended::Exited(7))));
        }
        match unnamed(directory.path(), &shell) {
            Ok(image) => assert!(matches!(exit_code(image), process::Reaped::One(_, process::Ended::Exited(7)))),
            Err(errno) => println!("SKIPPED: {} has no unnamed files: {errno}", directory.path().display()),
        }
    }

    #[test]
    fn a_program_in_memory_cannot_be_changed() {
        let image = in_memory(c"test", b"#!").unwrap();
        assert_eq!(nix::unistd::write(&image, b"x"), Err(Errno::EPERM));
    }

    #[test]
    fn where_there_can_be_no_file_that_is_said() {
        assert_eq!(unnamed(Path::new("/no/such/directory"), b"").err(), Some(Errno::ENOENT));
        assert!(unnamed(Path::new("/proc"), b"").is_err());
    }
}
