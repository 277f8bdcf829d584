//! The user and groups of this process, and changing to another user (credentials(7)). Only a process with one thread may change:
//! the C library would change all threads, but one after the other, so that a thread would keep root's rights for a moment.

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, isatty, setgroups, setresgid, setresuid, setuid};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

/// The number that the kernel shows in a user namespace for owners without a number there (/proc/sys/kernel/overflowuid).
pub const UNMAPPED: u32 = 65534;

/// The number of CAP_SETGID, which a change of groups needs (capabilities(7)).
pub const SETGID: u32 = 6;
/// The number of CAP_SETUID, which a change of the user needs (capabilities(7)).
pub const SETUID: u32 = 7;

/// Returns the effective user of this process.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Returns the effective group of this process.
pub fn own_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// Returns the supplementary groups of this process.
pub fn own_groups() -> Vec<u32> {
    getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect()
}

/// Becomes a user for good: first the supplementary groups, then the group, then the user, since each step needs rights that the
/// next one gives up. A change that cannot be verified counts as failed.
///
/// # Errors
/// EPERM: a capability is missing, or a right of the old user is left. EINVAL: the namespace has no such user or group.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    let (users, of_group) = (getresuid()?, getresgid()?);
    let changed = [users.real, users.effective, users.saved] == [user; 3]
        && [of_group.real, of_group.effective, of_group.saved] == [group; 3]
        && own_groups().iter().collect::<BTreeSet<_>>() == groups.iter().collect();
    let back = !user.is_root() && setuid(Uid::from_raw(0)).is_ok();
    if changed && !back { Ok(()) } else { Err(Errno::EPERM) }
}

/// Forbids that an exec gives rights from now on: set-uid bits and file capabilities count for nothing (PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// EINVAL before Linux 3.5.
pub fn never_gain_rights() -> nix::Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Gives those pipes, sockets and terminals among descriptors 0, 1 and 2 that are ours to a user, so that the user may open
/// /dev/stdout by its name. Files and devices such as /dev/null keep their owner. A refusal is ignored, because writing to the open
/// descriptors works anyway.
pub fn give_stdio_to(uid: u32) {
    give_one(&io::stdin(), uid);
    give_one(&io::stdout(), uid);
    give_one(&io::stderr(), uid);
}

fn give_one(fd: &impl AsFd, uid: u32) {
    let Ok(found) = fstat(fd) else { return };
    let kind = found.st_mode & SFlag::S_IFMT.bits();
    let stream = [SFlag::S_IFIFO, SFlag::S_IFSOCK].iter().any(|stream| kind == stream.bits());
    if found.st_uid == own_uid() && (stream || isatty(fd).unwrap_or(false)) {
        let _ = nix::unistd::fchown(fd, Some(Uid::from_raw(uid)), None);
    }
}

/// Tells whether a map is the machine's own, in which every number means itself (/proc/self/uid_map, user_namespaces(7)).
pub fn is_whole(map: &[u8]) -> bool {
    ranges(map).eq([(0, u32::MAX)])
}

/// Tells whether a user namespace with this map has this number.
pub fn is_mapped(map: &[u8], id: u32) -> bool {
    ranges(map).any(|(first, count)| id >= first && id - first < count)
}

/// Tells whether this owner stands for users without a number in our user namespace. In a rootless container without the right to
/// map numbers, those users are root of the machine and all its other users.
pub fn is_of_no_user_here(owner: u32) -> bool {
    owner == UNMAPPED && std::fs::read("/proc/self/uid_map").is_ok_and(|map| !is_mapped(&map, UNMAPPED))
}

/// The ranges of a map: the first number inside, and the count of numbers.
fn ranges(map: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    map.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let (first, _outside, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some((first.parse().ok()?, count.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"         0          0 4294967295\n";
    const ROOTLESS: &[u8] = b"         0       1000          1\n         1     100000      65536\n";

    #[test]
    fn the_machines_own_namespace_is_told_from_others() {
        assert!(is_whole(WHOLE) && !is_whole(ROOTLESS) && !is_whole(b"") && !is_whole(b"0 100000 4294967295 x\n0 1 2"));
    }

    #[test]
    fn numbers_that_a_namespace_has_are_known() {
        let mapped = |id| is_mapped(ROOTLESS, id);
        assert_eq!([mapped(0), mapped(1), mapped(65536), mapped(65537)], [true, true, true, false]);
        assert!(is_mapped(WHOLE, u32::MAX - 1) && !is_mapped(b"", 0));
    }
}
