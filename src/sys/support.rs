//! Whether the kernel, or the sandbox around this process, has a system call at all.

use nix::errno::Errno;

/// Whether an answer means that the system call is not there. Besides ENOSYS that is EPERM: libseccomp before 2.5 and Docker before
/// 20.10.10 answer it to every call that is newer than their list (moby issue 40734, opencontainers/runc issue 2151). Only for calls
/// that do not answer EPERM by themselves, or whose older form, tried next, would answer it again.
pub fn unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSYS | Errno::EPERM)
}
