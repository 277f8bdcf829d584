//! Marks that a start builds an environment: one small file, made by the first start, whose bytes change while its owner lives. `election`
//! decides which start builds.
//!
//! A dead builder's file is never moved or replaced, since a start that is late could then do that to a living one's. It stays, and one
//! start makes the file that follows it, whose name holds the dead one's id. So the leases are a chain, and its last one counts. Only the
//! owner of the last one removes the chain.

use super::digest::{Digest, short};
use super::error::FileError;
use super::store_dir::{StoreDir, UNFINISHED};
use nix::fcntl::AT_FDCWD;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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

/// Identifies the boot and the PID namespace, outside of which a process id means nothing, and the time namespace, outside of which the
/// time of its beginning means nothing. A machine that was copied while it ran has the same boot, and perhaps another name.
fn space() -> String {
    match (kernel("random/boot_id"), proc::pid_namespace()) {
        (boot, Some(pids)) if !boot.is_empty() => {
            format!("{boot} {pids} {} {}", proc::time_namespace().unwrap_or_default(), kernel("hostname"))
        }
        _ => String::new(),
    }
}

/// Parses the owner of a lease; `None` for anything else.
pub fn read(bytes: &[u8]) -> Option<LeaseOwner> {
    serde_json::from_slice(bytes.trim_ascii_end()).ok()
}

/// Reads the bytes of the lease that counts, which is the last of a chain; `None` if there is no lease.
///
/// # Errors
/// Returns why a file cannot be read, or whose it is.
pub(super) fn look(root: &Path, store_dir: &StoreDir) -> Result<Option<Vec<u8>>, FileError> {
    Ok(chain(root, store_dir)?.pop().map(|(_, bytes)| bytes))
}

fn look_at(path: &Path, store_dir: &StoreDir) -> Result<Option<Vec<u8>>, FileError> {
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

fn bytes(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Read::take(file, LENGTH as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Names the only lease that may follow another one. Of many starts that judge one lease, one can make this file; and the owner makes it
/// itself when it ends, so that no late start can follow a lease that is given back.
fn next(root: &Path, lease: &[u8]) -> PathBuf {
    let mut digest = Digest::default();
    match read(lease) {
        // The rest of a lease changes while its owner lives.
        Some(owner) => digest.add("owner", owner.id),
        None => digest.add("lease", lease),
    }
    root.with_extension(format!("stale-next-{}", short(&digest.hex())))
}

/// The most leases in a chain; each is one dead builder.
const CHAIN_MAX: usize = 100;

/// Lists the leases from the first one on, with their bytes: each but the last is a dead builder's.
fn chain(root: &Path, store_dir: &StoreDir) -> Result<Vec<(PathBuf, Vec<u8>)>, FileError> {
    let (mut found, mut path) = (Vec::new(), root.to_owned());
    while let Some(bytes) = look_at(&path, store_dir)?.filter(|_| found.len() < CHAIN_MAX) {
        let following = next(root, &bytes);
        found.push((std::mem::replace(&mut path, following), bytes));
    }
    Ok(found)
}

/// Makes a file that has its contents from the beginning; `None` if the name is taken. Link and exclusive creation are done by the server
/// of a network file system, and one of many succeeds.
fn make(path: &Path, bytes: &[u8]) -> io::Result<Option<File>> {
    let mut new = temporary::make(path.parent().unwrap_or(Path::new(".")), UNFINISHED)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(Permissions::from_mode(0o644))?;
    new.as_file().sync_data()?;
    let linked = fs::hard_link(new.path(), path);
    // A server that answers twice says that its own link is in the way.
    let is_ours = || new.as_file().metadata().is_ok_and(|found| found.nlink() == 2);
    match linked {
        Ok(()) => new.as_file().try_clone().map(Some),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_ours() => new.as_file().try_clone().map(Some),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(_) => make_without_links(path, bytes),
    }
}

/// Does the same where a file system has no links: for a moment the file is empty.
fn make_without_links(path: &Path, bytes: &[u8]) -> io::Result<Option<File>> {
    match File::options().write(true).create_new(true).mode(0o644).open(path) {
        Ok(file) => {
            file.write_all_at(bytes, 0)?;
            file.sync_data()?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// A lease of this start, which is given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
    /// The first lease of the chain that this one ends.
    root: PathBuf,
    store_dir: StoreDir,
    owner: LeaseOwner,
    last: Instant,
}

impl Lease {
    /// Creates the first lease; `None` if another start was first.
    ///
    /// # Errors
    /// Fails if the store cannot be written.
    pub(super) fn take(root: &Path, owner: LeaseOwner, store_dir: &StoreDir) -> io::Result<Option<Self>> {
        Self::make(root, root.to_owned(), owner, store_dir)
    }

    /// Creates the lease that follows a dead builder's; `None` if another start was first, or if the judged lease is not the last one any
    /// more.
    ///
    /// # Errors
    /// Fails if the store cannot be written.
    pub(super) fn follow(
        root: &Path,
        judged: &[u8],
        owner: LeaseOwner,
        store_dir: &StoreDir,
    ) -> io::Result<Option<Self>> {
        let Some(lease) = Self::make(root, next(root, judged), owner, store_dir)? else { return Ok(None) };
        // The judged lease may have been given back meanwhile, with all that belongs to it.
        let is_last = lease.chain().last().is_some_and(|(path, _)| *path == lease.path);
        Ok(is_last.then_some(lease))
    }

    fn make(root: &Path, path: PathBuf, owner: LeaseOwner, store_dir: &StoreDir) -> io::Result<Option<Self>> {
        let Some(file) = make(&path, &bytes_of(&owner)?)? else { return Ok(None) };
        let (root, store_dir) = (root.to_owned(), store_dir.clone());
        Ok(Some(Lease { file, path, root, store_dir, owner, last: Instant::now() }))
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
        let _ = bytes_of(&self.owner)
            .and_then(|bytes| self.file.write_all_at(&bytes, 0))
            .and_then(|()| self.file.sync_data());
    }

    /// Returns the owner, which is this process.
    pub fn owner(&self) -> &LeaseOwner {
        &self.owner
    }

    fn chain(&self) -> Vec<(PathBuf, Vec<u8>)> {
        chain(&self.root, &self.store_dir).unwrap_or_default()
    }

    /// Lists the files that this lease leaves: the chain that it closed, or only its own if that chain counts no more.
    fn files(&self, closed: PathBuf) -> Vec<PathBuf> {
        let is_own = |bytes: &[u8]| read(bytes).is_some_and(|found| found.id == self.owner.id);
        let chain = self.chain();
        match chain.iter().any(|(path, bytes)| *path == self.path && is_own(bytes)) {
            true => chain.into_iter().map(|(path, _)| path).collect(),
            false => [&self.path, &closed].into_iter().filter(|path| **path != self.root).cloned().collect(),
        }
    }
}

fn bytes_of(owner: &LeaseOwner) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(owner).map_err(io::Error::other)?;
    bytes.resize(LENGTH, b' ');
    Ok(bytes)
}

impl Drop for Lease {
    /// Gives the lease back: takes the place of a follower, and removes the chain from its first lease on. If another start has followed,
    /// because this one counted as dead, all is left to that one.
    fn drop(&mut self) {
        let end = LeaseOwner { id: format!("{}-end", self.owner.id), doing: "ending".to_owned(), ..self.owner.clone() };
        let Ok(own) = bytes_of(&self.owner) else { return };
        let closed = next(&self.root, &own);
        if !bytes_of(&end).and_then(|bytes| make(&closed, &bytes)).is_ok_and(|made| made.is_some()) {
            return;
        }
        // Without its first lease a chain counts no more, so that lease goes first. Each file goes once: the next start may make a first
        // lease right behind this.
        self.files(closed).iter().for_each(|file| _ = fs::remove_file(file));
    }
}

#[cfg(test)]
#[path = "lease/tests.rs"]
mod tests;
