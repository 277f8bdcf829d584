//! The supplementary groups of a new user: those given to the container, its own, and those of devices. Never root's.

use super::names::Accounts;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use sys::Root;
use sys::credentials::UNMAPPED;

/// Directories of devices, and the prefixes of devices whose group may use them.
type Devices = [(&'static str, &'static str)];

/// AMD's gate, all render nodes, and RDMA.
const DEVICES: &Devices = &[("/dev", "kfd"), ("/dev/dri", "renderD"), ("/dev/infiniband", "")];
/// NVIDIA's GPUs and MIG instances; a Jetson's; WSL2; Gaudi, TPU and Neuron. `gpu.access` says more about them.
const ACCELERATORS: &Devices = &[
    ("/dev", "nvidia"),
    ("/dev/nvidia-caps", "nvidia-cap"),
    ("/dev/nvidia-caps-imex-channels", "channel"),
    ("/dev", "gdrdrv"),
    ("/dev", "nvmap"),
    ("/dev", "nvhost-"),
    ("/dev/nvgpu/igpu0", ""),
    ("/dev", "dxg"),
    ("/dev", "hl"),
    ("/dev", "accel"),
    ("/dev/accel", "accel"),
    ("/dev/vfio", ""),
    ("/dev", "neuron"),
];

/// Read and write for the group, nothing for others.
const GROUP_ONLY: u32 = 0o060;
const OTHERS: u32 = 0o006;

/// Returns the groups of render nodes and RDMA devices in this container that only their group may use.
pub fn of_devices(root: &Root) -> Vec<u32> {
    of(root, DEVICES)
}

/// Returns the groups of all those devices, which a new user joins.
pub(super) fn of_all_devices(root: &Root) -> Vec<u32> {
    let mut all = of(root, DEVICES);
    all.extend(of(root, ACCELERATORS));
    all
}

/// A group of the machine that a user namespace does not have can be neither joined nor named.
fn of(root: &Root, devices: &Devices) -> Vec<u32> {
    let nodes = devices.iter().flat_map(|(directory, prefix)| {
        let entries = std::fs::read_dir(root.path(directory)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()))
    });
    let closed = nodes.filter_map(|node| node.metadata().ok()).filter(|node| !node.is_dir());
    let closed = closed.filter(|node| node.mode() & GROUP_ONLY == GROUP_ONLY && node.mode() & OTHERS == 0);
    closed.map(|node| node.gid()).filter(|gid| *gid != UNMAPPED).collect()
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
