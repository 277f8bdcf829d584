//! The container's name outside of it, so that messages can say what to type there.

use sys::Root;
use sys::mountinfo::Mount;

/// Files that engines make for each container and bind into it.
const MADE: [&[u8]; 3] = [b"/etc/hostname", b"/etc/hosts", b"/etc/resolv.conf"];

/// Number of digits of an id that engines print.
const SHORT: usize = 12;

/// Returns the container's id, shortened as engines do; they keep its files in a directory of that name.
pub fn id(mounts: &[Mount]) -> Option<String> {
    let mut parts = made(mounts).flat_map(|mount| mount.root().split(|byte| *byte == b'/'));
    let id = parts.find(|part| part.len() == 64 && part.iter().all(u8::is_ascii_hexdigit))?;
    Some(String::from_utf8_lossy(id.get(..SHORT)?).into_owned())
}

/// Returns the mounts that an engine made for this container.
pub(super) fn made(mounts: &[Mount]) -> impl Iterator<Item = &Mount> {
    mounts.iter().filter(|mount| is_made(mount))
}

/// Returns whether an engine made a mount.
pub(super) fn is_made(mount: &Mount) -> bool {
    MADE.contains(&mount.point())
}

/// Returns the program that starts containers here.
pub fn program(root: &Root) -> &'static str {
    if root.path("/run/.containerenv").exists() { "podman" } else { "docker" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::mountinfo;

    #[test]
    fn the_id_is_the_directory_of_what_the_engine_made() {
        let table =
            |root: &str| mountinfo::parse(format!("1 0 8:1 {root} /etc/hosts rw - ext4 /dev/sda rw\n").as_bytes());
        let id_of = |root: String| id(&table(&root));
        let long = "4f".repeat(32);
        assert_eq!(id_of(format!("/var/lib/docker/containers/{long}/hosts")).as_deref(), Some("4f4f4f4f4f4f"));
        assert_eq!(
            id_of(format!("/storage/overlay-containers/{long}/userdata/hosts")).as_deref(),
            Some("4f4f4f4f4f4f")
        );
        assert_eq!(id_of("/var/lib/kubelet/pods/6a1f/etc-hosts".to_owned()), None);
    }
}
