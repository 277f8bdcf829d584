//! Who this process is, and becoming somebody else (credentials(7)). One thread only: the C library changes all of them, but a
//! thread would be a second owner of root's rights for a moment.

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, isatty, setgroups, setresgid, setresuid, setuid};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

/// The number that the kernel shows for owners that have none in a user namespace (/proc/sys/kernel/overflowuid).
pub const UNMAPPED: u32 = 65534;

/// Capabilities that a change of user needs, by their numbers (capabilities(7)).
pub const SETGID: u32 = 6;
/// The same for the user's number.
pub const SETUID: u32 = 7;

/// This process's effective user.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// This process's effective group.
pub fn own_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// The groups beside that one.
pub fn own_groups() -> Vec<u32> {
    getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect()
}

/// Becomes a user for good: groups, group, user, in this order, since each step needs rights that the last one gives up. What
/// cannot be verified counts as failed.
///
/// # Errors
/// EPERM: a capability is missing, or something of the old user is left. EINVAL: the namespace has no such user or group.
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

/// From now on no exec gives rights: set-uid bits and file capabilities count for nothing (PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// EINVAL before Linux 3.5.
pub fn never_gain_rights() -> nix::Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Gives the pipes, sockets and terminals among 0, 1 and 2 that are ours to a user, so that it may open /dev/stdout by name. Files and
/// devices such as /dev/null stay whose they are. What is not permitted is left: writing to them works anyway.
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

/// Whether /proc/self/uid_map (user_namespaces(7)) is the machine's own: every number means itself.
pub fn is_whole(map: &[u8]) -> bool {
    ranges(map).eq([(0, u32::MAX)])
}

/// Whether a user namespace with this map has this number.
pub fn is_mapped(map: &[u8], id: u32) -> bool {
    ranges(map).any(|(first, count)| id >= first && id - first < count)
}

/// Whether this owner is shown for somebody who has no number in our user namespace. Without root's right to map them those are, in a
/// rootless container, root of the machine and all of its users.
pub fn is_of_no_user_here(owner: u32) -> bool {
    owner == UNMAPPED && std::fs::read("/proc/self/uid_map").is_ok_and(|map| !is_mapped(&map, UNMAPPED))
}

/// First number inside, and how many follow.
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
