//! The platform: host, container or pod.
//!
//! It decides the wording of a remedy (`docker run -v …`, a pod's `volumeMounts`, `mount`), and whether a directory outside of all mounts
//! is lost at the end.

use serde::{Deserialize, Serialize};
use std::path::Path;
use sys::Root;
use sys::environment::Environment;
use sys::mountinfo::{self, Mount};

/// The platform that this process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A machine, beside other programs.
    Host,
    /// A container of Docker, Podman, Apptainer or a similar engine.
    Container,
    /// A container that Kubernetes started.
    Pod,
}

impl Platform {
    /// Returns whether the root directory is an image that disappears with the container.
    pub fn is_container(self) -> bool {
        self != Platform::Host
    }
}

/// Files that engines leave in their containers.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// Files of systemd's container interface (systemd-nspawn, LXC, Podman), in a /run that no image brings.
const RUNTIME_MARKS: [&str; 2] = ["/run/host/container-manager", "/run/systemd/container"];
/// Variables that engines set: systemd's convention (also Podman and LXC), Apptainer and its predecessor, Charliecloud (ch-run(1)).
const VARIABLES: [&str; 4] = ["container", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CH_RUNNING"];
/// What the kernel calls the machine's own namespace of processes (PROC_PID_INIT_INO).
const PIDS_OF_MACHINE: &str = "pid:[4026531836]";
/// Parts of engines' control group names, where those are visible (version 1, or the host's namespace).
const CGROUPS: [&str; 6] = ["/docker", "/kubepods", "/lxc", "/libpod", "containerd", "crio-"];

/// Returns the platform that variables name, if any does.
pub(super) fn named_by_variables(environment: &Environment) -> Option<Platform> {
    let set = |name: &&str| environment.get(name).is_some();
    let pod = set(&"KUBERNETES_SERVICE_HOST").then_some(Platform::Pod);
    pod.or_else(|| VARIABLES.iter().any(set).then_some(Platform::Container))
}

/// Detects the platform from marks that engines leave, of which no single one is universal; the most expensive one comes last.
pub(super) fn platform<'a>(root: &Root, named: Option<Platform>, mounts: &dyn Fn() -> &'a [Mount]) -> Platform {
    if named == Some(Platform::Pod) {
        return Platform::Pod;
    }
    let cgroup = root.text("/proc/self/cgroup").unwrap_or_default();
    if cgroup.contains("/kubepods") {
        return Platform::Pod;
    }
    let is_there = |mark: &str| root.path(mark).exists();
    let marked = named.is_some() || CGROUPS.iter().any(|name| cgroup.contains(name)) || {
        let below = mountinfo::covering(mounts(), Path::new("/"));
        below.is_some_and(Mount::is_image)
            || !below.is_some_and(is_whole_disk) && MARKS.iter().any(|mark| is_there(mark))
            || RUNTIME_MARKS.iter().any(|mark| is_there(mark))
            || below.is_some_and(is_part) && has_own_pids(root)
    };
    if marked { Platform::Container } else { Platform::Host }
}

/// Returns whether a mount is a whole disk: a virtual machine made from an image keeps the image's marks, and is a host all the same.
fn is_whole_disk(mount: &Mount) -> bool {
    mount.root() == b"/" && mount.source().starts_with(b"/dev/") && !mount.source().starts_with(b"/dev/mapper/docker")
}

/// Returns whether a root directory is a part of a file system: a directory that bubblewrap, Charliecloud or systemd-nspawn entered.
/// Machines have such roots, too: a subvolume of btrfs, a deployment of ostree.
fn is_part(mount: &Mount) -> bool {
    let is_subvolume = |option: &[u8]| option.strip_prefix(b"subvol=") == Some(mount.root());
    let of_machine = mount.super_options().split(|byte| *byte == b',').any(is_subvolume)
        || mount.root().starts_with(b"/ostree/deploy/");
    mount.root() != b"/" && !of_machine
}

/// Returns whether this is a namespace of processes beside the machine's own; without /proc that is not known.
pub(super) fn has_own_pids(root: &Root) -> bool {
    std::fs::read_link(root.path("/proc/self/ns/pid")).is_ok_and(|name| name != Path::new(PIDS_OF_MACHINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)], variables: &[(&str, &str)], mounts: &str) -> Platform {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for (path, text) in files {
            std::fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
            std::fs::write(root.path(path), text).unwrap();
        }
        let environment = variables.iter().copied().collect();
        let mounts = mountinfo::parse(mounts.as_bytes());
        platform(&root, named_by_variables(&environment), &|| &mounts)
    }

    #[test]
    fn a_machine_without_marks_is_a_host() {
        let cgroup = ("/proc/self/cgroup", "0::/user.slice/user-0.slice/session-1.scope\n");
        assert_eq!(told(&[cgroup], &[], "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), Platform::Host);
        assert_eq!(told(&[], &[], ""), Platform::Host);
    }

    #[test]
    fn each_mark_alone_tells_a_container() {
        assert_eq!(told(&[("/.dockerenv", "")], &[], ""), Platform::Container);
        assert_eq!(told(&[("/proc/self/cgroup", "4:pids:/docker/0123\n")], &[], ""), Platform::Container);
        assert_eq!(told(&[], &[("container", "podman")], ""), Platform::Container);
        assert_eq!(told(&[], &[], "1 0 0:1 / / rw - overlay overlay rw\n"), Platform::Container);
    }

    #[test]
    fn without_an_engines_mark_a_root_of_its_own_in_a_namespace_of_its_own_is_a_container() {
        let of = |pids: &str, mounts: &str| {
            let directory = tempfile::tempdir().unwrap();
            let root = Root::at(directory.path());
            std::fs::create_dir_all(root.path("/proc/self/ns")).unwrap();
            std::os::unix::fs::symlink(pids, root.path("/proc/self/ns/pid")).unwrap();
            let mounts = mountinfo::parse(mounts.as_bytes());
            platform(&root, None, &|| &mounts)
        };
        let (own, machine) = ("pid:[4026532201]", PIDS_OF_MACHINE);
        let part = "1 0 8:1 /srv/rootfs / rw - ext4 /dev/sda1 rw\n";
        assert_eq!([of(own, part), of(machine, part)], [Platform::Container, Platform::Host]);
        assert_eq!(of(own, "1 0 0:9 /newroot / rw - tmpfs tmpfs rw\n"), Platform::Container);
        for host in [
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
            "1 0 0:25 /@ / rw - btrfs /dev/sda1 rw,subvolid=256,subvol=/@\n",
            "1 0 8:1 /ostree/deploy/fedora/deploy/01.0 / rw - ext4 /dev/sda1 rw\n",
        ] {
            assert_eq!(of(own, host), Platform::Host, "{host}");
        }
        assert_eq!(of(own, "1 0 0:25 /@/rootfs / rw - btrfs /dev/sda1 rw,subvol=/@\n"), Platform::Container);
    }

    #[test]
    fn the_marks_of_systemds_interface_count_on_a_whole_disk_as_well() {
        let disk = "1 0 7:0 / / rw - ext4 /dev/loop0 rw\n";
        assert_eq!(told(&[("/run/host/container-manager", "systemd-nspawn")], &[], disk), Platform::Container);
        assert_eq!(told(&[("/run/systemd/container", "lxc")], &[], disk), Platform::Container);
        assert_eq!(told(&[], &[("CH_RUNNING", "yes")], disk), Platform::Container);
    }

    #[test]
    fn a_machine_made_from_an_image_is_a_machine() {
        let disk = "1 0 254:0 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(told(&[("/.dockerenv", "")], &[], disk), Platform::Host);
        let vfs = "1 0 254:0 /var/lib/docker/vfs/dir/01 / rw - ext4 /dev/vda rw\n";
        assert_eq!(told(&[("/.dockerenv", "")], &[], vfs), Platform::Container);
    }

    #[test]
    fn kubernetes_is_told_by_its_variables_or_control_group() {
        assert_eq!(told(&[("/.dockerenv", "")], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], ""), Platform::Pod);
        assert_eq!(told(&[("/proc/self/cgroup", "0::/kubepods/burstable/pod1\n")], &[], ""), Platform::Pod);
    }
}
