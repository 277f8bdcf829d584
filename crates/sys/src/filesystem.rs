//! Kinds of file systems: by the name of the type, which tells FUSE daemons apart, else by the magic number of statfs(2). The kind
//! decides how long an answer may take, and what is better not tried.

/// What a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
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
    /// A directory of the machine that this virtual machine runs on; owners may be made up.
    Share,
}

/// Type name and magic number (0: it has none of its own). What is not here counts as local.
const TYPES: [(&str, u32, Class); 50] = [
    ("ext4", 0xEF53, Class::Local),
    ("ext3", 0xEF53, Class::Local),
    ("ext2", 0xEF53, Class::Local),
    ("xfs", 0x5846_5342, Class::Local),
    ("btrfs", 0x9123_683E, Class::Local),
    ("zfs", 0x2FC1_2FC1, Class::Local),
    ("f2fs", 0xF2F5_2010, Class::Local),
    ("fuse.lxcfs", 0, Class::Local),
    ("fuseblk", 0, Class::Local),
    ("tmpfs", 0x0102_1994, Class::Memory),
    ("ramfs", 0x8584_58F6, Class::Memory),
    ("overlay", 0x794C_7630, Class::Image),
    ("aufs", 0x6175_6673, Class::Image),
    ("squashfs", 0x7371_7368, Class::Image),
    ("erofs", 0xE0F5_E1E2, Class::Image),
    ("fuse.fuse-overlayfs", 0, Class::Image),
    ("fuse.squashfuse", 0, Class::Image),
    ("fuse.squashfuse_ll", 0, Class::Image),
    ("nfs", 0x6969, Class::Network),
    ("nfs4", 0x6969, Class::Network),
    ("cifs", 0xFF53_4D42, Class::Network),
    ("smb3", 0xFE53_4D42, Class::Network),
    ("ceph", 0x00C3_6400, Class::Network),
    ("lustre", 0x0BD0_0BD0, Class::Network),
    ("gpfs", 0x4750_4653, Class::Network),
    ("beegfs", 0x1983_0326, Class::Network),
    ("wekafs", 0, Class::Network),
    ("afs", 0x5346_414F, Class::Network),
    ("ocfs2", 0x7461_636F, Class::Network),
    ("gfs2", 0x0116_1970, Class::Network),
    ("orangefs", 0x2003_0528, Class::Network),
    // A look at it mounts what is behind it.
    ("autofs", 0x0187, Class::Network),
    ("fuse.gcsfuse", 0, Class::Object),
    ("fuse.s3fs", 0, Class::Object),
    ("fuse.goofys", 0, Class::Object),
    ("fuse.geesefs", 0, Class::Object),
    ("fuse.mountpoint-s3", 0, Class::Object),
    ("fuse.mount-s3", 0, Class::Object),
    ("fuse.rclone", 0, Class::Object),
    ("fuse.blobfuse2", 0, Class::Object),
    ("fuse.alluxio-fuse", 0, Class::Object),
    ("9p", 0x0102_1997, Class::Share),
    ("virtiofs", 0, Class::Share),
    ("fakeowner", 0, Class::Share),
    ("drvfs", 0, Class::Share),
    ("vboxsf", 0x786F_4256, Class::Share),
    ("prl_fs", 0x7C7C_6673, Class::Share),
    // Docker Desktop's before virtiofs, and VMware's.
    ("fuse.grpcfuse", 0, Class::Share),
    ("fuse.osxfs", 0, Class::Share),
    ("fuse.vmhgfs-fuse", 0, Class::Share),
];

/// FUSE, whatever is behind it.
const FUSE: u32 = 0x6573_5546;

impl Class {
    /// By the type and the source in the mount table. A FUSE file system that is not in the list may talk to anyone.
    pub fn named(kind: &[u8], source: &[u8]) -> Option<Self> {
        // Mountpoint for S3 leaves its name in the source only.
        if kind == b"fuse" && source == b"mountpoint-s3" {
            return Some(Class::Object);
        }
        let known = TYPES.iter().find(|(name, ..)| name.as_bytes() == kind).map(|(_, _, class)| *class);
        known.or_else(|| kind.starts_with(b"fuse").then_some(Class::Network))
    }

    /// By the number that statfs(2) gives, where no name is known.
    pub fn numbered(magic: u32) -> Option<Self> {
        let known = TYPES.iter().find(|(_, number, _)| *number == magic && magic != 0).map(|(_, _, class)| *class);
        known.or_else(|| (magic == FUSE).then_some(Class::Network))
    }

    /// Whether its answer depends on more than this machine.
    pub fn is_far(self) -> bool {
        matches!(self, Class::Network | Class::Object | Class::Share)
    }

    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Class::Local => "local",
            Class::Memory => "memory",
            Class::Image => "image",
            Class::Network => "network",
            Class::Object => "object",
            Class::Share => "share",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_daemons_apart_and_an_unknown_daemon_is_far() {
        let named = |kind: &str, source: &str| Class::named(kind.as_bytes(), source.as_bytes());
        assert_eq!(named("fuse.gcsfuse", "bucket"), Some(Class::Object));
        assert_eq!(named("fuse", "mountpoint-s3"), Some(Class::Object));
        assert_eq!(named("fuse.sshfs", "nas:/x"), Some(Class::Network));
        assert_eq!(named("fuse.grpcfuse", "grpcfuse"), Some(Class::Share));
        assert_eq!(named("fuseblk", "/dev/sdb1"), Some(Class::Local));
        assert_eq!((named("bcachefs", ""), named("", "")), (None, None));
    }

    #[test]
    fn the_number_tells_a_kind_where_no_name_is_known() {
        assert_eq!(
            [0x6969, 0xEF53, FUSE].map(Class::numbered),
            [Class::Network, Class::Local, Class::Network].map(Some)
        );
        assert_eq!([0, 1].map(Class::numbered), [None, None]);
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
