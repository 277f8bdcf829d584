//! Whether the kernel, or the sandbox around this process, has a system call at all.

use nix::errno::Errno;

/// Tells whether an error means that the system call does not exist. Besides ENOSYS, EPERM means that: libseccomp before 2.5 and
/// Docker before 20.10.10 answer it to every call that is newer than their list (moby issue 40734, opencontainers/runc issue 2151).
/// Only for calls that never answer EPERM themselves, or whose older form, tried next, would answer it again.
pub fn unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSYS | Errno::EPERM)
}

/// Tells whether clone3(2) is refused with EPERM. The C library falls back to clone(2) only on ENOSYS, so its programs can start no
/// thread in such a sandbox. The test passes no arguments, which starts nothing: the kernel answers EINVAL.
pub fn clone3_is_forbidden() -> bool {
    // SAFETY: a null pointer with a size of 0 is refused before anything is read through it.
    let answer = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0_usize) };
    Errno::result(answer) == Err(Errno::EPERM)
}
