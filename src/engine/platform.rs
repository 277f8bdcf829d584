//! Container, pod, or the machine itself. It decides how a remedy is worded (`docker run -v …`, a pod's `volumeMounts`, `mount`),
//! and whether a directory beside no mount is lost at the end.

use serde::{Deserialize, Serialize};
use std::path::Path;
use sys::Root;
use sys::environment::Environment;
use sys::mountinfo::{self, Mount};

/// Where this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// On a machine, beside everything else.
    Host,
    /// In a container of Docker, Podman, Apptainer or their like.
    Container,
    /// In a container that Kubernetes started.
    Pod,
}

impl Platform {
    /// Whether the root directory is an image, gone with the container.
    pub fn is_container(self) -> bool {
        self != Platform::Host
    }
}

/// Files that engines leave in their containers.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];
/// Variables that engines set: systemd's convention (also Podman and LXC), Apptainer and its ancestor.
const VARIABLES: [&str; 3] = ["container", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"];
/// What engines call their control groups, where they are visible (version 1, or the host's namespace).
const CGROUPS: [&str; 6] = ["/docker", "/kubepods", "/lxc", "/libpod", "containerd", "crio-"];

/// The place that variables name, if any does.
pub fn named_by_variables(environment: &Environment) -> Option<Platform> {
    let set = |name: &&str| environment.get(name).is_some();
    let pod = set(&"KUBERNETES_SERVICE_HOST").then_some(Platform::Pod);
    pod.or_else(|| VARIABLES.iter().any(set).then_some(Platform::Container))
}

/// Tells the place from what engines leave behind; no single mark is set by all of them. The dearest mark is looked at last.
pub fn platform<'a>(root: &Root, named: Option<Platform>, mounts: &dyn Fn() -> &'a [Mount]) -> Platform {
    if named == Some(Platform::Pod) {
        return Platform::Pod;
    }
    let cgroup = root.text("/proc/self/cgroup").unwrap_or_default();
    if cgroup.contains("/kubepods") {
        return Platform::Pod;
    }
    let marked = named.is_some() || CGROUPS.iter().any(|name| cgroup.contains(name)) || {
        let below = mountinfo::covering(mounts(), Path::new("/"));
        below.is_some_and(Mount::is_image)
            || !below.is_some_and(is_whole_disk) && MARKS.iter().any(|mark| root.path(mark).exists())
    };
    if marked { Platform::Container } else { Platform::Host }
}

/// A virtual machine whose disk was made from an image keeps the image's marks, and is a machine nevertheless.
fn is_whole_disk(mount: &Mount) -> bool {
    mount.root() == b"/" && mount.source().starts_with(b"/dev/") && !mount.source().starts_with(b"/dev/mapper/docker")
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
