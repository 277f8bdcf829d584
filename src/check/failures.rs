//! The meaning of file system errors for a check: a failing storage, or a missing permission. The module `errno` classifies the numbers.

use super::step::Failure;
use super::{Change, Remedy};
use crate::engine::Platform;
use nix::errno::Errno;
use protocol::errno::{AUTOMOUNT, ErrnoCause, cause, cause_on};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::credentials;
use sys::mountinfo::Mount;
use sys::volume::Volume;

/// Returns the errno of an I/O error.
pub(super) fn errno(error: io::Error) -> Errno {
    protocol::errno::of(&error)
}

/// Returns whether an error means that the storage or the machine fails, and not that the path is wrong.
pub(super) fn is_sick(errno: Errno) -> bool {
    cause(errno).is_some()
}

/// Makes the failure for a file system or a machine that answers with an error of its own.
pub(super) fn sick(shown: &str, mount: Option<&Mount>, errno: Errno) -> Failure {
    // Without a row of the table only FUSE answers as if a daemon had died.
    let cause = cause_on(errno, mount.is_none_or(Mount::is_fuse))
        .unwrap_or(ErrnoCause { because: protocol::errno::words(errno), advice: "look at the mount on the host" });
    let kind = mount.map(|mount| format!(" ({})", text::bytes(mount.kind()))).unwrap_or_default();
    Failure::new(format!("{shown} cannot be used{kind}: {}", protocol::errno::words(errno)))
        .because(cause.because)
        .advice(cause.advice)
        .by_errno()
}

/// Makes the failure for an automount that does not reach into this container.
pub(super) fn not_mounted(shown: &str, kind: &[u8]) -> Failure {
    let kind = text::bytes(kind);
    Failure::new(format!("{shown} cannot be used ({kind}): {}", protocol::errno::words(Errno::ELOOP)))
        .because(AUTOMOUNT.because)
        .advice(AUTOMOUNT.advice)
        .by_errno()
}

/// Returns whether no part of a path is a link, so that ELOOP is the file system's own answer.
pub(super) fn has_no_links(path: &Path) -> bool {
    !path.ancestors().any(Path::is_symlink)
}

/// Opens a directory and reads an entry; X_OK says whether its entries can be reached.
pub(super) fn listable(directory: &Path) -> Result<(), Errno> {
    std::fs::read_dir(directory).and_then(|mut entries| entries.next().transpose()).map_err(errno)?;
    sys::access::may(directory, nix::unistd::AccessFlags::X_OK)
}

/// Opens a file and reads one byte. No other kind of file may be opened: opening a pipe waits for its writer.
pub(super) fn one_byte(file: &Path) -> Result<(), Errno> {
    if !std::fs::metadata(file).map_err(errno)?.is_file() {
        return Ok(());
    }
    File::open(file).and_then(|mut file| file.read(&mut [0])).map(drop).map_err(errno)
}

/// A refused access.
pub(super) struct AccessDenied<'a> {
    /// The path.
    pub path: &'a Path,
    /// Where the path lies on the host, if that is certain.
    pub on_host: Option<PathBuf>,
    /// Whether another start cannot choose the user.
    pub user_is_locked: bool,
    /// The path as messages show it.
    pub shown: &'a str,
    /// The refused operation: `read`, `written`.
    pub verb: &'static str,
    /// The errno that the kernel returned.
    pub errno: Errno,
    /// The metadata of the path, for its owner and mode.
    pub meta: Option<&'a Metadata>,
    /// The mount that the path lies on.
    pub mount: Option<&'a Mount>,
    /// The platform of this process.
    pub place: Platform,
}

impl AccessDenied<'_> {
    /// Names the refused user, the owner of the path, and the user that would have access.
    pub(super) fn failure(&self) -> Failure {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let what =
            format!("{} cannot be {} as {uid}:{gid}: {}", self.shown, self.verb, protocol::errno::words(self.errno));
        if let Some(failure) = self.mount.and_then(|mount| self.of_mount(mount, uid, &what)) {
            return failure;
        }
        let Some(meta) = self.meta.filter(|_| matches!(self.errno, Errno::EACCES | Errno::EPERM)) else {
            return Failure::new(what);
        };
        let new = meta.uid() == 0 && self.mount.is_some_and(|mount| matches!(mount.volume(), Volume::Named(_)));
        let new = if new { "; the engine gives a new volume to root" } else { "" };
        let owner = format!("it belongs to {}:{} with mode {:04o}{new}", meta.uid(), meta.gid(), meta.mode() & 0o7777);
        if uid == 0 && self.mount.is_some_and(Mount::is_far) {
            let squashed = "root has no rights there (root_squash, or FUSE without allow_other)";
            return Failure::new(what).because(format!("{owner}; {squashed}")).remedy(self.as_owner(meta));
        }
        Failure::new(what).because(owner).remedy(self.as_owner(meta))
    }

    /// Explains a refusal by the options of the mount, whatever owner and mode say.
    fn of_mount(&self, mount: &Mount, uid: u32, what: &str) -> Option<Failure> {
        if self.errno != Errno::EACCES {
            return None;
        }
        if let Some(user) = mount.private_to().filter(|user| *user != uid) {
            let source = text::bytes(mount.source());
            let remedy = match self.place {
                Platform::Pod => {
                    "mountOptions: [allow-other] in the PersistentVolume (allow_other for drivers other than Mountpoint's)"
                }
                _ => {
                    "mount it on the host with -o allow_other (mount-s3, rclone, blobfuse2: --allow-other), then recreate the container"
                }
            };
            return Some(
                Failure::new(what.to_owned())
                    .because(format!("it is a FUSE mount of {source} for user {user} alone, without allow_other"))
                    .advice(remedy),
            );
        }
        mount.is_kerberized().then(|| {
            Failure::new(what.to_owned())
                .because("it is mounted with Kerberos, which gives nothing to users without a ticket, root included")
                .advice(format!("get a ticket for user {uid} on the host (kinit), or look at its keytab"))
        })
    }

    /// Suggests another owner or user. A directory of root's is better given to the user than the user made root; a directory that is only
    /// read keeps its owner.
    fn as_owner(&self, meta: &Metadata) -> Remedy {
        let (uid, gid) = (meta.uid(), meta.gid());
        let (own_uid, own_gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let target = self.path.to_string_lossy().into_owned();
        let owned = Change::Owned { target, uid: own_uid, gid: own_gid };
        let fenced = || std::fs::read("/proc/self/uid_map").is_ok_and(|map| !credentials::is_whole(&map));
        match self.place {
            Platform::Pod if own_uid == 0 && uid == 0 => Remedy::Do(
                "securityContext: {runAsUser: UID, runAsGroup: GID} of a user who may; or no_root_squash in the server's exports".to_owned(),
            ),
            Platform::Host => Remedy::Do(format!("run as {uid}:{gid}, or: chown {own_uid}:{own_gid} {}", self.shown)),
            _ if own_uid == 0 && uid == 0 => Remedy::Do(
                "start it as a user who may; or let root count: no_root_squash in the server's exports, allow_other of the FUSE daemon".to_owned(),
            ),
            Platform::Container if uid == 0 && fenced() => Remedy::Start(Change::KeepId { uid: own_uid, gid: own_gid }),
            _ if uid == 0 && self.verb == "written" && !self.is_out_of_reach() && may_be_given() => Remedy::Start(owned),
            Platform::Pod if uid == 0 && !self.is_far() => Remedy::Start(owned),
            _ if uid == 0 => self.opened(own_uid, own_gid),
            _ if self.user_is_locked => self.opened(own_uid, own_gid),
            _ => Remedy::Start(Change::User { uid, gid }),
        }
    }

    /// Returns whether the path is on another machine, which obeys neither root here nor the kubelet.
    fn is_far(&self) -> bool {
        self.mount.is_some_and(Mount::is_far)
    }

    /// Returns whether a start as root could not give the path to the user.
    fn is_out_of_reach(&self) -> bool {
        self.user_is_locked || self.is_far()
    }

    /// Suggests a permission for everybody, or another owner, on the host.
    fn opened(&self, uid: u32, gid: u32) -> Remedy {
        let command = match self.verb {
            "written" => format!("chown {uid}:{gid}"),
            _ => "chmod -R a+rX".to_owned(),
        };
        match &self.on_host {
            Some(path) => Remedy::Start(Change::Before(format!("{command} {}", text::quoted(path.as_os_str())))),
            None => Remedy::Do(format!("on the host: {command} what is mounted at {}", self.shown)),
        }
    }
}

/// Returns whether a start as root can give a directory to the user and then become the user: the container has the capabilities CHOWN,
/// SETGID and SETUID.
fn may_be_given() -> bool {
    const NEEDED: u64 = 1 | 1 << 6 | 1 << 7;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bound = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    bound.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & NEEDED == NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_storage_are_told_from_errors_of_paths() {
        let sick = [Errno::ENOTCONN, Errno::ESTALE, Errno::EIO, Errno::ETIMEDOUT].map(is_sick);
        let paths = [Errno::ENOENT, Errno::EACCES, Errno::EPERM, Errno::ELOOP, Errno::ENAMETOOLONG].map(is_sick);
        assert_eq!((sick, paths), ([true; 4], [false; 5]));
    }

    #[test]
    fn a_pipe_is_not_opened_to_look() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(one_byte(&pipe), Ok(()));
    }
}
