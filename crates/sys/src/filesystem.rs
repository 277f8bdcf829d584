//! Classes of file systems. A file system is known by its type's name, which tells FUSE daemons apart, or else by the magic number
//! of statfs(2). The class decides how long an answer may take, and which actions are not tried.

/// The class of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesystemClass {
    /// A disk of this machine.
    Local,
    /// The memory of this machine.
    Memory,
    /// The layers of a container's image.
    Image,
    /// Another machine, or a daemon that may talk to one.
    Network,
    /// An object store behind a daemon: writing costs money, deleting may be forbidden, free space is fiction.
    Object,
    /// A directory of the machine that runs this virtual machine; the owners of files may be made up.
    Share,
}

/// The type's name, its magic number (0 where it has none of its own), and its class. Other types count as local.
const TYPES: [(&str, u32, FilesystemClass); 55] = [
    ("ext4", 0xEF53, FilesystemClass::Local),
    ("ext3", 0xEF53, FilesystemClass::Local),
    ("ext2", 0xEF53, FilesystemClass::Local),
    ("xfs", 0x5846_5342, FilesystemClass::Local),
    ("btrfs", 0x9123_683E, FilesystemClass::Local),
    ("zfs", 0x2FC1_2FC1, FilesystemClass::Local),
    ("f2fs", 0xF2F5_2010, FilesystemClass::Local),
    ("fuse.lxcfs", 0, FilesystemClass::Local),
    ("fuseblk", 0, FilesystemClass::Local),
    ("tmpfs", 0x0102_1994, FilesystemClass::Memory),
    ("ramfs", 0x8584_58F6, FilesystemClass::Memory),
    ("overlay", 0x794C_7630, FilesystemClass::Image),
    ("aufs", 0x6175_6673, FilesystemClass::Image),
    ("squashfs", 0x7371_7368, FilesystemClass::Image),
    ("erofs", 0xE0F5_E1E2, FilesystemClass::Image),
    ("fuse.fuse-overlayfs", 0, FilesystemClass::Image),
    ("fuse.squashfuse", 0, FilesystemClass::Image),
    ("fuse.squashfuse_ll", 0, FilesystemClass::Image),
    ("nfs", 0x6969, FilesystemClass::Network),
    ("nfs4", 0x6969, FilesystemClass::Network),
    ("cifs", 0xFF53_4D42, FilesystemClass::Network),
    ("smb3", 0xFE53_4D42, FilesystemClass::Network),
    ("ceph", 0x00C3_6400, FilesystemClass::Network),
    ("lustre", 0x0BD0_0BD0, FilesystemClass::Network),
    ("gpfs", 0x4750_4653, FilesystemClass::Network),
    ("beegfs", 0x1983_0326, FilesystemClass::Network),
    ("wekafs", 0, FilesystemClass::Network),
    ("afs", 0x5346_414F, FilesystemClass::Network),
    ("ocfs2", 0x7461_636F, FilesystemClass::Network),
    ("gfs2", 0x0116_1970, FilesystemClass::Network),
    ("orangefs", 0x2003_0528, FilesystemClass::Network),
    // Opening a path below an automount mounts the file system behind it.
    ("autofs", 0x0187, FilesystemClass::Network),
    ("fuse.gcsfuse", 0, FilesystemClass::Object),
    ("fuse.s3fs", 0, FilesystemClass::Object),
    ("fuse.goofys", 0, FilesystemClass::Object),
    ("fuse.geesefs", 0, FilesystemClass::Object),
    ("fuse.mountpoint-s3", 0, FilesystemClass::Object),
    ("fuse.mount-s3", 0, FilesystemClass::Object),
    ("fuse.rclone", 0, FilesystemClass::Object),
    ("fuse.blobfuse2", 0, FilesystemClass::Object),
    ("fuse.alluxio-fuse", 0, FilesystemClass::Object),
    ("fuse.blobfuse", 0, FilesystemClass::Object),
    ("fuse.tigrisfs", 0, FilesystemClass::Object),
    ("fuse.ossfs", 0, FilesystemClass::Object),
    ("fuse.cosfs", 0, FilesystemClass::Object),
    ("fuse.obsfs", 0, FilesystemClass::Object),
    ("9p", 0x0102_1997, FilesystemClass::Share),
    ("virtiofs", 0, FilesystemClass::Share),
    ("fakeowner", 0, FilesystemClass::Share),
    ("drvfs", 0, FilesystemClass::Share),
    ("vboxsf", 0x786F_4256, FilesystemClass::Share),
    ("prl_fs", 0x7C7C_6673, FilesystemClass::Share),
    // The shares of Docker Desktop before virtiofs, and those of VMware.
    ("fuse.grpcfuse", 0, FilesystemClass::Share),
    ("fuse.osxfs", 0, FilesystemClass::Share),
    ("fuse.vmhgfs-fuse", 0, FilesystemClass::Share),
];

/// Sources of object stores whose type is `fuse` alone.
const SOURCES: [&str; 8] =
    [MOUNTPOINT_S3, "blobfuse", "blobfuse2", "s3fs", "goofys", "geesefs", "ossfs", "alluxio-fuse"];
/// The source of Mountpoint for S3.
const MOUNTPOINT_S3: &str = "mountpoint-s3";

/// The magic number of every FUSE file system.
const FUSE: u32 = 0x6573_5546;

impl FilesystemClass {
    /// Classifies by the type and the source of a row in the mount table. A FUSE file system that is not in the list counts as
    /// network, because its daemon may talk to any machine.
    pub fn named(kind: &[u8], source: &[u8]) -> Option<Self> {
        // Some daemons give their name in the source only.
        if kind == b"fuse" && SOURCES.iter().any(|name| name.as_bytes() == source) {
            return Some(FilesystemClass::Object);
        }
        let known = TYPES.iter().find(|(name, ..)| name.as_bytes() == kind).map(|(_, _, class)| *class);
        known.or_else(|| kind.starts_with(b"fuse").then_some(FilesystemClass::Network))
    }

    /// Returns whether a mount is one of Mountpoint for S3, which neither renames nor appends, and overwrites and deletes only where its
    /// options say so (its documentation, SEMANTICS.md).
    pub fn is_write_once(kind: &[u8], source: &[u8]) -> bool {
        source == MOUNTPOINT_S3.as_bytes() || matches!(kind, b"fuse.mountpoint-s3" | b"fuse.mount-s3")
    }

    /// Classifies by the magic number of statfs(2), for where no name is known.
    pub fn numbered(magic: u32) -> Option<Self> {
        let known = TYPES.iter().find(|(_, number, _)| *number == magic && magic != 0).map(|(_, _, class)| *class);
        known.or_else(|| (magic == FUSE).then_some(FilesystemClass::Network))
    }

    /// Tells whether an answer of the file system depends on more than this machine.
    pub fn is_far(self) -> bool {
        matches!(self, FilesystemClass::Network | FilesystemClass::Object | FilesystemClass::Share)
    }

    /// Returns the name for the report.
    pub fn name(self) -> &'static str {
        match self {
            FilesystemClass::Local => "local",
            FilesystemClass::Memory => "memory",
            FilesystemClass::Image => "image",
            FilesystemClass::Network => "network",
            FilesystemClass::Object => "object",
            FilesystemClass::Share => "share",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_daemons_apart_and_an_unknown_daemon_is_far() {
        let named = |kind: &str, source: &str| FilesystemClass::named(kind.as_bytes(), source.as_bytes());
        assert_eq!(named("fuse.gcsfuse", "bucket"), Some(FilesystemClass::Object));
        assert_eq!(named("fuse", "mountpoint-s3"), Some(FilesystemClass::Object));
        assert_eq!(named("fuse", "blobfuse2"), Some(FilesystemClass::Object));
        assert_eq!(named("fuse.sshfs", "nas:/x"), Some(FilesystemClass::Network));
        assert_eq!(named("fuse.grpcfuse", "grpcfuse"), Some(FilesystemClass::Share));
        assert_eq!(named("fuseblk", "/dev/sdb1"), Some(FilesystemClass::Local));
        assert_eq!((named("bcachefs", ""), named("", "")), (None, None));
    }

    #[test]
    fn the_number_tells_a_kind_where_no_name_is_known() {
        assert_eq!(
            [0x6969, 0xEF53, FUSE].map(FilesystemClass::numbered),
            [FilesystemClass::Network, FilesystemClass::Local, FilesystemClass::Network].map(Some)
        );
        assert_eq!([0, 1].map(FilesystemClass::numbered), [None, None]);
    }

    #[test]
    fn the_kernels_own_numbers_agree_with_the_names() {
        for path in ["/proc/self", "/dev/shm", "/tmp", "/"] {
            let table = crate::mountinfo::parse(&std::fs::read("/proc/self/mountinfo").unwrap());
            let id = crate::stat::mount_of(path.as_ref()).ok().and_then(|on| on.id);
            let Some(mount) = id.and_then(|id| crate::mountinfo::with_id(&table, id)) else { continue };
            let numbered = crate::stat::class_of(path.as_ref());
            assert!(mount.class() == numbered || mount.kind().starts_with(b"fuse"), "{path}: {mount:?} {numbered:?}");
        }
    }
}
