//! The origin of a mount: an engine's volume or a pod's volume, as far as the path of the mounted directory in its file system
//! tells.

use super::mountinfo::Mount;

/// The origin of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume<'a> {
    /// Docker made it because the image declares a `VOLUME` and nothing was mounted there.
    Anonymous,
    /// A volume of Docker or Podman that has a name.
    Named(&'a [u8]),
    /// A volume of a pod.
    Pod {
        /// The kind of volume: `configmap`, `empty-dir`, `csi`.
        plugin: &'a [u8],
        /// The volume's name in the pod.
        name: &'a [u8],
        /// Whether only a part of the volume is mounted (`subPath`).
        part: bool,
    },
    /// A directory or file of the host, a device, or an export: its origin is unknown.
    Plain,
}

/// The text that the kernel writes behind the path of a directory that was deleted.
const DELETED: &[u8] = b"//deleted";
/// The beginning of the names that kubelet gives to the directories of its plugins.
const PLUGIN: &[u8] = b"kubernetes.io~";

impl Mount {
    /// Returns the origin of the mount.
    pub fn volume(&self) -> Volume<'_> {
        engine_volume(self.root()).or_else(|| pod_volume(self.root())).unwrap_or(Volume::Plain)
    }

    /// Tells whether the mounted directory or file was deleted since.
    pub fn is_deleted(&self) -> bool {
        self.root().ends_with(DELETED)
    }
}

/// Recognizes `…/volumes/NAME/_data`: 64 hexadecimal digits are a name that the engine made up.
fn engine_volume(root: &[u8]) -> Option<Volume<'_>> {
    let path = root.strip_suffix(DELETED).unwrap_or(root).strip_suffix(b"/_data")?;
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let name = parts.next().filter(|name| !name.is_empty())?;
    parts.next().filter(|parent| *parent == b"volumes")?;
    let unnamed = name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit);
    Some(if unnamed { Volume::Anonymous } else { Volume::Named(name) })
}

/// Recognizes `…/volumes/kubernetes.io~PLUGIN/NAME`, and behind it the part that a `subPath` chose.
fn pod_volume(root: &[u8]) -> Option<Volume<'_>> {
    let mut parts = root.split(|byte| *byte == b'/');
    let plugin = parts.find_map(|part| part.strip_prefix(PLUGIN))?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    // A CSI driver mounts at a directory of this name.
    let inner = parts.next().filter(|part| !part.is_empty() && (plugin != b"csi" || *part != b"mount"));
    Some(Volume::Pod { plugin, name, part: inner.is_some() || parts.next().is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::parse;
    use proptest::prelude::*;

    fn mount(root: &str) -> Mount {
        parse(format!("9 1 0:1 {root} /data rw - ext4 /dev/sda1 rw").as_bytes()).remove(0)
    }

    #[test]
    fn volumes_of_engines_are_told_by_their_names() {
        let unnamed = format!("/var/lib/docker/volumes/{}/_data", "a1".repeat(32));
        assert_eq!(mount(&unnamed).volume(), Volume::Anonymous);
        assert_eq!(mount("/var/lib/docker/volumes/mine/_data").volume(), Volume::Named(b"mine"));
        assert_eq!(mount(&format!("/srv/{}/_data", "a1".repeat(32))).volume(), Volume::Plain);
        assert_eq!((mount("/").volume(), mount("/srv/data").volume()), (Volume::Plain, Volume::Plain));
    }

    #[test]
    fn volumes_of_pods_are_told_by_their_plugins_and_a_part_of_one_is_told_too() {
        let volumes = "/var/lib/kubelet/pods/0a1b/volumes/kubernetes.io~";
        let told = |rest: &str| match mount(&format!("{volumes}{rest}")).volume() {
            Volume::Pod { plugin, name, part } => {
                format!("{} {} {part}", String::from_utf8_lossy(plugin), String::from_utf8_lossy(name))
            }
            other => format!("{other:?}"),
        };
        assert_eq!(told("empty-dir/scratch"), "empty-dir scratch false");
        assert_eq!(told("empty-dir/scratch/run7"), "empty-dir scratch true");
        assert_eq!(told("configmap/cfg"), "configmap cfg false");
        assert_eq!(told("configmap/cfg/..2026_11_24/train.yaml"), "configmap cfg true");
        assert_eq!(told("csi/pvc-1/mount"), "csi pvc-1 false");
        assert_eq!(told("csi/pvc-1/mount/run7"), "csi pvc-1 true");
        assert_eq!(told("nfs/"), "Plain");
    }

    #[test]
    fn a_deleted_source_is_told() {
        assert!(mount("/srv/data//deleted").is_deleted() && !mount("/srv/deleted").is_deleted());
    }

    proptest! {
        #[test]
        fn any_root_is_something(root in proptest::collection::vec(any::<u8>(), 0..80)) {
            let row = [b"9 1 0:1 ", &root[..], b" /data rw - ext4 /dev/sda1 rw"].concat();
            parse(&row).iter().for_each(|mount| _ = (mount.volume(), mount.is_deleted()));
        }
    }
}
