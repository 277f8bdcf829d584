//! Whether this process may read, write or execute a path, asked with its effective user as open(2) would.

use super::process::{Ended, Reaped, fork, wait_for};
use super::support::unsupported;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, eaccess, getegid, geteuid, getgid, getuid, setresgid, setresuid};
use std::path::Path;

/// Checks access to a path for the effective user and groups.
///
/// # Errors
/// The error of access(2).
pub fn may(path: &Path, mode: AccessFlags) -> nix::Result<()> {
    match eaccess(path, mode) {
        // The C library asks faccessat2(2), which Linux has since 5.8, and falls back to another way on ENOSYS only.
        Err(errno) if unsupported(errno) => may_by_the_older_call(path, mode),
        answer => answer,
    }
}

/// Checks access by access(2), which judges the real user. Where the real user is another one, a child first takes the effective
/// user as its real one.
fn may_by_the_older_call(path: &Path, mode: AccessFlags) -> nix::Result<()> {
    if getuid() == geteuid() && getgid() == getegid() {
        return access(path, mode);
    }
    let child = fork(|| {
        let (uid, gid) = (geteuid(), getegid());
        let switched = setresgid(gid, gid, gid).and_then(|()| setresuid(uid, uid, uid));
        switched.and_then(|()| access(path, mode)).map_or_else(|errno| errno as u8, |()| 0)
    })?;
    match wait_for(child) {
        Reaped::One(_, Ended::Exited(0)) => Ok(()),
        Reaped::One(_, Ended::Exited(errno)) => Err(Errno::from_raw(errno.into())),
        _ => Err(Errno::EAGAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_calls_give_the_same_answers() {
        let paths = ["/", "/dev/null", "/no/such/path", "/proc/self/status", "/etc/passwd"].map(Path::new);
        for (path, mode) in paths
            .iter()
            .flat_map(|path| [AccessFlags::R_OK, AccessFlags::W_OK, AccessFlags::X_OK].map(|mode| (path, mode)))
        {
            assert_eq!(may_by_the_older_call(path, mode), may(path, mode), "{path:?} {mode:?}");
        }
    }
}
