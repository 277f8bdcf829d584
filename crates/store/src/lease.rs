//! Marks that a start builds an environment: one small file, made by the first start, whose bytes change while its owner lives. `election`
//! decides which start builds; correctness never depends on this file.

use super::digest::{Digest, short};
use super::error::FileError;
use super::store_dir::StoreDir;
use nix::fcntl::AT_FDCWD;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::untrusted::{self, Owners};
use sys::{Pid, proc};

/// The interval between two changes of the bytes, much shorter than the time after which a lease is stale.
const BEAT: Duration = Duration::from_secs(5);

/// The length of a lease. It overwrites the old one in one write, so that a reader sees a mixture at worst, which is a change as well.
const LENGTH: usize = 1024;

/// The owner of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseOwner {
    /// The name of its machine or container.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// The boot of the machine and the PID namespace that give the process id a meaning.
    space: String,
    /// The time when that process began, in the kernel's ticks.
    began: u64,
    /// A random text that no other owner has.
    id: String,
    /// The progress of its work.
    pub doing: String,
    beat: u64,
}

impl LeaseOwner {
    /// Describes this process as an owner.
    pub(super) fn this() -> Self {
        let pid = Pid::own();
        LeaseOwner {
            host: kernel("hostname").chars().take(100).collect(),
            pid: std::process::id(),
            space: space(),
            began: proc::start_time(pid).unwrap_or_default(),
            id: format!("{}-{pid}", kernel("random/uuid")),
            doing: "beginning".to_owned(),
            beat: 0,
        }
    }

    /// Returns the owner's process, if this process shares its PID namespace.
    fn process(&self) -> Option<Pid> {
        self.pid.try_into().ok().and_then(Pid::new)
    }

    /// Checks whether the owner is known to be dead. That can be known only of a process in this PID namespace.
    pub(super) fn is_dead(&self) -> bool {
        let here = !self.space.is_empty() && self.space == space();
        here && self.process().and_then(proc::start_time) != Some(self.began)
    }
}

/// Reads a text of this name that the kernel provides about itself.
fn kernel(name: &str) -> String {
    fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default().trim().to_owned()
}

/// Identifies the boot and the PID namespace, outside of which a process id means nothing.
fn space() -> String {
    match (kernel("random/boot_id"), proc::pid_namespace()) {
        (boot, Some(pids)) if !boot.is_empty() => format!("{boot} {pids}"),
        _ => String::new(),
    }
}

/// Parses the owner of a lease; `None` for anything else.
pub fn read(bytes: &[u8]) -> Option<LeaseOwner> {
    serde_json::from_slice(bytes.trim_ascii_end()).ok()
}

/// Reads the bytes of a lease; `None` if there is no lease.
///
/// # Errors
/// Returns why the file cannot be read, or whose it is.
pub(super) fn look(path: &Path, store_dir: &StoreDir) -> Result<Option<Vec<u8>>, FileError> {
    let opened = untrusted::open(AT_FDCWD, path, Owners::Anyone).and_then(|file| Ok((file.metadata()?, file)));
    let (found, file) = match opened {
        Err(error) if is_gone(&error) => return Ok(None),
        opened => opened?,
    };
    store_dir.owns(&found)?;
    match bytes(&file) {
        Err(error) if is_gone(&error) => Ok(None),
        read => Ok(Some(read?)),
    }
}

/// Checks whether an error means that a file is gone. NFS reports ESTALE for a file that another node removed.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::StaleNetworkFileHandle
}

fn bytes(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.by_ref().take(LENGTH as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One start's attempt to take over a dead builder's lease.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    claim: Option<Claim>,
    left_to_another: Vec<u8>,
}

impl Takeover {
    /// Checks whether this start may take the lease away. It may not while another start is about to. If the same lease is judged a second
    /// time, that other start is dead as well.
    pub(super) fn may_begin(&mut self, lease: &Path, judged: &[u8]) -> bool {
        if self.left_to_another == judged {
            return true;
        }
        self.claim = Claim::make(lease, judged);
        if self.claim.is_none() {
            self.left_to_another = judged.to_vec();
        }
        self.claim.is_some()
    }
}

/// The marker that a start takes one dead builder's lease away. Without it, two starts that judge the same lease could both take a lease
/// away. The second one would take away the first one's new lease, which an NFS client may confuse with the cached old one.
#[derive(Debug)]
struct Claim(PathBuf);

impl Claim {
    /// Creates the marker; `None` if another start was first, or if the directory is not writable.
    fn make(lease: &Path, judged: &[u8]) -> Option<Self> {
        let mut digest = Digest::default();
        digest.add("lease", judged);
        let path = lease.with_extension(format!("stale-claim-{}", short(&digest.hex())));
        File::options().write(true).create_new(true).mode(0o644).open(&path).ok().map(|_| Claim(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A lease of this start, which is removed when it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
    owner: LeaseOwner,
    last: Instant,
    /// The takeover that led to this lease. As long as its marker exists, no other start takes the same dead builder's lease away again.
    takeover: Takeover,
}

impl Lease {
    /// Creates the lease; `None` if another start was first.
    ///
    /// # Errors
    /// Fails if the store cannot be written.
    pub(super) fn take(path: &Path, owner: LeaseOwner) -> io::Result<Option<Self>> {
        let made = File::options().write(true).create_new(true).mode(0o644).open(path);
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lease =
            Lease { file, path: path.to_owned(), owner, last: Instant::now(), takeover: Takeover::default() };
        lease.write()?;
        Ok(Some(lease))
    }

    /// Takes a dead builder's lease away, and puts back a lease other than the judged one.
    pub(super) fn take_away(path: &Path, judged: &[u8], owner: &LeaseOwner) {
        let aside = path.with_extension(format!("stale-{}", owner.id));
        // Of several concurrent renames only one succeeds.
        if fs::rename(path, &aside).is_err() {
            return;
        }
        let moved = untrusted::open(AT_FDCWD, &aside, Owners::Anyone).and_then(|file| bytes(&file));
        if moved.ok().as_deref() != Some(judged) {
            // This fails if there is a new lease already; then two starts build, which does no harm.
            let _ = fs::hard_link(&aside, path);
        }
        let _ = fs::remove_file(&aside);
    }

    /// Keeps the marker of a takeover for as long as the lease exists.
    pub(super) fn keep(&mut self, takeover: Takeover) {
        self.takeover = takeover;
    }

    /// Renews the lease with the current progress, but not more often than each `BEAT`.
    pub fn beat(&mut self, doing: impl FnOnce() -> String) {
        if self.last.elapsed() < BEAT {
            return;
        }
        self.owner.beat += 1;
        self.owner.doing = doing().chars().take(100).collect();
        self.last = Instant::now();
        // A lease that cannot be renewed goes stale, and then another start builds as well.
        let _ = self.write();
    }

    /// Returns the owner, which is this process.
    pub fn owner(&self) -> &LeaseOwner {
        &self.owner
    }

    fn write(&mut self) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(&self.owner).map_err(io::Error::other)?;
        bytes.resize(LENGTH, b' ');
        self.file.write_all_at(&bytes, 0)?;
        self.file.sync_data()
    }
}

impl Drop for Lease {
    /// Removes the lease only if it still belongs to this start: another start may have taken it over.
    fn drop(&mut self) {
        let inode = |found: fs::Metadata| (found.dev(), found.ino());
        let ours = self.file.metadata().map(inode).ok();
        if ours.is_some() && ours == fs::symlink_metadata(&self.path).map(inode).ok() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::causes;
    use super::*;
    use proptest::prelude::*;

    fn look(path: &Path) -> Option<Vec<u8>> {
        super::look(path, &StoreDir::of(path.parent().unwrap())).unwrap()
    }

    #[test]
    fn a_lease_that_is_another_users_a_link_or_a_pipe_is_told_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store_dir) = (dir.path().join("a.lease"), StoreDir::of(dir.path()));
        let told = || causes(&super::look(&path, &store_dir).unwrap_err());
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        assert_eq!(told(), "it cannot be read: it is not a regular file");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(told(), "it cannot be read: it is a symbolic link");
        fs::remove_file(&path).unwrap();
        if nix::unistd::geteuid().is_root() {
            fs::write(&path, "{}").unwrap();
            std::os::unix::fs::chown(&path, Some(4321), None).unwrap();
            assert_eq!(told(), "it belongs to user 4321");
        }
    }

    fn owner(id: &str) -> LeaseOwner {
        LeaseOwner { id: id.into(), ..LeaseOwner::this() }
    }

    #[test]
    fn one_of_two_gets_it_and_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let lease = Lease::take(&path, owner("one")).unwrap().unwrap();
        assert!(Lease::take(&path, owner("two")).unwrap().is_none());
        assert_eq!(read(&look(&path).unwrap()), Some(lease.owner().clone()));
        drop(lease);
        assert!(Lease::take(&path, owner("two")).unwrap().is_some());
    }

    #[test]
    fn its_bytes_change_while_its_owner_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let mut lease = Lease::take(&path, owner("one")).unwrap().unwrap();
        let before = look(&path).unwrap();
        lease.beat(|| "too early".to_owned());
        assert_eq!(look(&path).unwrap(), before);
        lease.last -= BEAT;
        lease.beat(|| "installing (3 packages)".to_owned());
        assert_eq!(read(&look(&path).unwrap()).unwrap().doing, "installing (3 packages)");
    }

    #[test]
    fn a_lease_that_was_judged_dead_goes_and_another_stays_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let dead = Lease::take(&path, owner("dead")).unwrap().unwrap();
        let judged = look(&path).unwrap();
        Lease::take_away(&path, &judged, &owner("two"));
        let alive = Lease::take(&path, owner("two")).unwrap().unwrap();
        // A slow start judges the old lease, although its owner was alive after all.
        Lease::take_away(&path, &judged, &owner("three"));
        drop(dead);
        assert_eq!(read(&look(&path).unwrap()), Some(alive.owner().clone()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_of_two_takes_a_dead_builders_lease_over_until_the_other_judges_it_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lease");
        let (mut first, mut second) = (Takeover::default(), Takeover::default());
        assert!(first.may_begin(&path, b"dead"));
        assert!(!second.may_begin(&path, b"dead") && second.may_begin(&path, b"dead"));
        let mut lease = Lease::take(&path, owner("one")).unwrap().unwrap();
        lease.keep(first);
        assert!(!Takeover::default().may_begin(&path, b"dead") && Takeover::default().may_begin(&path, b"another"));
        drop(lease);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn of_a_process_here_it_is_known_whether_it_lives() {
        let alive = LeaseOwner::this();
        assert!(!alive.is_dead());
        assert!(LeaseOwner { began: alive.began + 1, ..alive.clone() }.is_dead());
        assert!(!LeaseOwner { space: "another machine".into(), began: 1, ..alive }.is_dead());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }
}
