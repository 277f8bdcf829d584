//! The supplementary groups of a new user: those given to the container, its own, and those of devices. Never root's.

use super::names::Accounts;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use sys::Root;

/// Directories of devices, and the prefixes of devices whose group may use them.
const DEVICES: [(&str, &str); 3] = [("/dev", "kfd"), ("/dev/dri", "renderD"), ("/dev/infiniband", "")];

/// Read and write for the group, nothing for others.
const GROUP_ONLY: u32 = 0o060;
const OTHERS: u32 = 0o006;

/// Returns the groups of the devices in this container that only their group may use.
pub fn of_devices(root: &Root) -> Vec<u32> {
    let nodes = DEVICES.iter().flat_map(|(directory, prefix)| {
        let entries = std::fs::read_dir(root.path(directory)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
    });
    let closed = nodes.filter_map(|node| node.metadata().ok()).filter(|node| !node.is_dir());
    let closed = closed.filter(|node| node.mode() & GROUP_ONLY == GROUP_ONLY && node.mode() & OTHERS == 0);
    closed.map(|node| node.gid()).collect()
}

/// Returns the groups of a new user.
///
/// Of the caller's groups only those stay that it was given (`--group-add`), not those that root has by /etc/group: in Alpine these are
/// disk, wheel and more.
pub(super) fn merged(caller: &[u32], accounts: &Accounts<'_>, name: &OsStr, gid: u32, more: Vec<u32>) -> Vec<u32> {
    let of = |name: &OsStr| -> BTreeSet<u32> {
        let has = |member: &std::ffi::OsString| member == name;
        accounts.groups().iter().filter(|group| group.members.iter().any(has)).map(|group| group.gid).collect()
    };
    let roots = of(OsStr::new("root"));
    let given = caller.iter().copied().filter(|group| !roots.contains(group));
    let all: BTreeSet<u32> = given.chain(of(name)).chain(more).filter(|group| *group != 0 && *group != gid).collect();
    all.into_iter().collect()
}
