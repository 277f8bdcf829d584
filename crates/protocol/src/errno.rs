//! The words of system call errors, and the causes of those that may pass by themselves. Network and cluster file systems answer such errors when a server, a
//! key or the network is gone, and a machine does when it is short of a resource. All code that reads a path that a user named
//! shares this table, so that an error has the same words and the same kind of exit code everywhere.

use nix::errno::Errno;

/// The cause behind an errno, with advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrnoCause {
    /// Why the call failed, as a fragment.
    pub because: &'static str,
    /// The advice, as a sentence.
    pub advice: &'static str,
}

/// The path lies on an automount (autofs), which answers ELOOP in a container that does not see its mounts.
pub const AUTOMOUNT: ErrnoCause = ErrnoCause {
    because: "its automount does not reach into this container",
    advice: "mount it on the host first, or mount its directory with the propagation rslave",
};

/// Returns the cause behind an error that may pass, here later or on another node. `None` means that the error is about the path
/// itself (missing, or not readable), and that trying again does not help. kubelet unmounts on the errors of the first rows
/// (`IsCorruptedMnt`).
pub fn cause(errno: Errno) -> Option<ErrnoCause> {
    of_storage(errno).or_else(|| of_server(errno)).or_else(|| of_machine(errno))
}

/// Returns the cause of an error of a daemon, a device or a file system on it.
fn of_storage(errno: Errno) -> Option<ErrnoCause> {
    let (because, advice) = match errno {
        Errno::ENOTCONN | Errno::ECONNABORTED => (
            "its FUSE daemon died",
            "mount it again on the host (or restart the node's CSI plugin), then recreate the container",
        ),
        // A CephFS client on the blocklist; an XFS or ext4 that shut itself down.
        Errno::ESHUTDOWN | Errno::EUNATCH => (
            "its file system was shut down, or its servers have excluded this node",
            "look at the host's kernel log (dmesg), mount it again there, then recreate the container",
        ),
        Errno::ESTALE => {
            ("its export was removed or moved on the server", "mount it again on the host, then recreate the container")
        }
        Errno::EIO
        | Errno::EREMOTEIO
        | Errno::EUCLEAN
        | Errno::EBADMSG
        | Errno::EPROTO
        | Errno::ENOTUNIQ
        | Errno::EMEDIUMTYPE
        | Errno::ENOMEDIUM
        // The block layer: a sector that cannot be read, and a disk that another machine reserves.
        | Errno::ENODATA
        | Errno::EBADE
        | Errno::EBADFD
        // Numbers above 512, which the kernel keeps to itself: NFS lets some through.
        | Errno::UnknownErrno => ("the storage reports an error", "look at the host's kernel log: dmesg"),
        // The block layer answers ENODEV for a disk that was taken offline (block/blk-core.c, BLK_STS_OFFLINE).
        Errno::ENODEV => (
            "the device below it is gone or offline",
            "look at the host's kernel log (dmesg) and at the volume: it may have to be attached to this node again",
        ),
        // Also a device file without its driver, or on a node without the device; and a socket (open(2)).
        Errno::ENXIO => (
            "there is no such device on this node, or its driver is not loaded",
            "look at the path (ls -l) and at the host's kernel log (dmesg); on another node the device may be there",
        ),
        _ => return None,
    };
    Some(ErrnoCause { because, advice })
}

/// Returns the cause of an error of a server, of the way to it, or of the proof who asks it.
fn of_server(errno: Errno) -> Option<ErrnoCause> {
    let (because, advice) = match errno {
        Errno::EHOSTDOWN
        | Errno::EHOSTUNREACH
        | Errno::ENETDOWN
        | Errno::ENETUNREACH
        | Errno::ENETRESET
        | Errno::ETIMEDOUT
        | Errno::ECONNREFUSED
        | Errno::ECONNRESET
        | Errno::ENONET
        | Errno::ENOLINK
        | Errno::ECOMM
        | Errno::ETIME => ("its server cannot be reached", "look at the network and the server, on the host"),
        // Lustre and CephFS, while a server starts again or this node's session is made anew.
        Errno::EINPROGRESS | Errno::EALREADY | Errno::ERESTART | Errno::ECANCELED => (
            "its server has not recovered yet, or has cut this node off",
            "wait for the server's recovery; look at the mount on the host (dmesg)",
        ),
        // A referral of DFS or NFSv4, or a migrated export.
        Errno::EREMOTE | Errno::EREMCHG | Errno::EMULTIHOP => (
            "its server refers to another one, which is not mounted",
            "mount the other server's share on the host, then recreate the container",
        ),
        Errno::EPROTONOSUPPORT | Errno::EPFNOSUPPORT => (
            "its server and this node do not speak the same version of the protocol",
            "look at the mount's options (vers=) and the server, on the host",
        ),
        Errno::EKEYEXPIRED | Errno::EKEYREVOKED | Errno::EKEYREJECTED | Errno::ENOKEY => (
            "the key or ticket for it (Kerberos, AFS) is missing, expired or refused",
            "get a new ticket for this user on the host (kinit, aklog), or look at its keytab",
        ),
        Errno::ENOLCK => ("its lock service does not answer", "look at rpc.statd and lockd on the host and the server"),
        _ => return None,
    };
    Some(ErrnoCause { because, advice })
}

/// Returns the cause of an error of this machine, which is short of something.
fn of_machine(errno: Errno) -> Option<ErrnoCause> {
    let (because, advice) = match errno {
        Errno::EDQUOT => ("a quota is used up", "free some space there, or raise the quota"),
        Errno::EBUSY | Errno::ETXTBSY => ("it is in use at this moment", "try again; look who holds it: fuser -v"),
        Errno::ENOMEM | Errno::ENOBUFS => {
            ("the machine or the container is out of memory", "raise the limit of memory")
        }
        Errno::EMFILE => ("a limit of open files is reached", "raise the limit of open files (nofile)"),
        Errno::ENFILE => ("the machine has no open files left", "raise fs.file-max on the host"),
        Errno::EAGAIN => {
            ("a resource is short at this moment", "try again; look at the limits of processes and memory")
        }
        Errno::EINTR => ("the call was interrupted", "try again"),
        _ => return None,
    };
    Some(ErrnoCause { because, advice })
}

/// Returns the cause behind an error of a mount: FUSE says with ENOTCONN that its daemon died, a cluster file system that it lost its server.
pub fn cause_on(errno: Errno, fuse: bool) -> Option<ErrnoCause> {
    match errno {
        Errno::ENOTCONN | Errno::ECONNABORTED if !fuse => cause(Errno::ECONNRESET),
        errno => cause(errno),
    }
}

/// Returns the words for an errno. They are the same in every libc, and for every type that carries the number.
pub fn words(errno: Errno) -> &'static str {
    errno.desc()
}

/// Returns the words for an I/O error: those of the table where the system answered, else the error's own.
pub fn words_of(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => words(Errno::from_raw(number)).to_owned(),
        None => error.to_string(),
    }
}

/// Tells whether the machine itself is short of a resource, so that no file system is to blame.
pub const fn is_shortage(errno: Errno) -> bool {
    use Errno::{EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(errno, ENOMEM | ENOBUFS | EMFILE | ENFILE | EAGAIN | EINTR)
}

/// Returns the errno of an I/O error; an error without one counts as EIO.
pub fn of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Returns the cause behind an I/O error that may pass; `None` also where the error is not the system's.
pub fn cause_of(error: &std::io::Error) -> Option<ErrnoCause> {
    error.raw_os_error().and_then(|number| cause(Errno::from_raw(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_device_is_not_blamed_on_a_server_and_may_pass_on_another_node() {
        for errno in [Errno::ENODEV, Errno::ENXIO] {
            let cause = cause(errno).unwrap();
            let told = format!("{} {}", cause.because, cause.advice);
            assert!(told.contains("device") && !told.contains("server") && !told.contains("network"), "{told}");
        }
    }

    #[test]
    fn only_fuse_has_a_daemon_that_dies() {
        let because = |fuse| cause_on(Errno::ENOTCONN, fuse).unwrap().because;
        assert_eq!((because(true), because(false)), ("its FUSE daemon died", "its server cannot be reached"));
    }

    #[test]
    fn errors_that_pass_are_told_from_errors_of_the_path() {
        use Errno::*;
        let passing = [
            ENOTCONN,
            ESTALE,
            EIO,
            ETIMEDOUT,
            EHOSTDOWN,
            EHOSTUNREACH,
            ENETUNREACH,
            ECONNREFUSED,
            ECONNRESET,
            ESHUTDOWN,
            EREMOTEIO,
            ENOLINK,
            ENODEV,
            ENXIO,
            EKEYEXPIRED,
            EKEYREVOKED,
            EKEYREJECTED,
            ENOKEY,
            EDQUOT,
            ENOLCK,
            EBUSY,
            EUCLEAN,
            EBADMSG,
            ENOTUNIQ,
            EPROTO,
            EINTR,
            ENOMEM,
            EAGAIN,
            EMFILE,
            ENFILE,
            ETXTBSY,
            // Lustre, CephFS and GPFS; DFS and NFS; AFS; disks.
            EINPROGRESS,
            EALREADY,
            ERESTART,
            ECANCELED,
            EUNATCH,
            EREMOTE,
            EREMCHG,
            EPROTONOSUPPORT,
            ENOMEDIUM,
            ENONET,
            ETIME,
            ENODATA,
            EBADE,
            UnknownErrno,
        ];
        assert_eq!(passing.into_iter().filter(|errno| cause(*errno).is_none()).collect::<Vec<_>>(), []);
        let permanent = [ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, EISDIR, EROFS, ENOEXEC, E2BIG, EINVAL];
        assert_eq!(permanent.into_iter().filter(|errno| cause(*errno).is_some()).collect::<Vec<_>>(), []);
    }
}
