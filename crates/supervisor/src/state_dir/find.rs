//! Finds and reads the state of a supervisor.
//!
//! Other users in the container may put anything where readers look. A state therefore counts only if it belongs to the user that its
//! supervisor runs as, and no file is opened in a way that can block.

use super::{FILE, home_name, identity_of, instance_name, is_alive, supervisor_of};
use nix::fcntl::{AT_FDCWD, readlinkat};
use protocol::state_file::{ProcessIdentity, REQUESTS, StateRecord};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::untrusted::{self, Owners};
use sys::{Pid, credentials, proc};

/// Longest state file that is read; most of it is a command line.
const MAX: u64 = 1 << 20;

/// Most instances of one user that are looked at.
const INSTANCES: usize = 256;

/// The result of a search for a state.
#[derive(Debug)]
pub enum FoundState {
    /// There is one instance.
    One(PathBuf, Box<StateRecord>),
    /// A supervisor has written no state: it has just begun, it keeps none (`trainit init`), or it cannot write anywhere.
    Silent(ProcessIdentity),
    /// There is no instance.
    None,
    /// There are several, and a person must name one.
    Several(Vec<PathBuf>),
}

/// A state directory that belongs to the user of its living supervisor.
struct StateInstance {
    supervisor: ProcessIdentity,
    path: PathBuf,
    record: Option<StateRecord>,
}

impl From<StateInstance> for FoundState {
    fn from(StateInstance { supervisor, path, record }: StateInstance) -> Self {
        record.map_or(FoundState::Silent(supervisor), |record| FoundState::One(path, Box::new(record)))
    }
}

/// Finds the instance to read.
///
/// The named directory comes first, then the instance of the container's first process. Then follows the only living instance of this pid
/// namespace that root or this user supervises, and last the only one of other users.
pub fn find(named: Option<&Path>, bases: &[PathBuf]) -> FoundState {
    if let Some(directory) = named {
        return told(directory);
    }
    if let Some(instance) = identity_of(Pid::FIRST).and_then(|first| instance_of(first, bases)) {
        return instance.into();
    }
    let near: BTreeSet<u32> = [0, credentials::own_uid()].into();
    let mut living = of_users(&near, bases);
    if living.is_empty() {
        living = of_users(&users().difference(&near).copied().collect(), bases);
    }
    match living.len() {
        0 => first_alike().map_or(FoundState::None, FoundState::Silent),
        1 => living.pop().map_or(FoundState::None, FoundState::from),
        _ => FoundState::Several(living.into_iter().map(|instance| instance.path).collect()),
    }
}

/// Reads the state of a named directory, whoever owns it.
fn told(directory: &Path) -> FoundState {
    match read(directory) {
        Ok(record) => FoundState::One(directory.into(), Box::new(record)),
        Err(_) => supervisor_of(directory).filter(|of| is_alive(*of)).map_or(FoundState::None, FoundState::Silent),
    }
}

/// Reads the state in a named directory.
///
/// # Errors
/// The file is not there, cannot be read, or is no state file.
pub fn read(directory: &Path) -> io::Result<StateRecord> {
    let directory = nix::fcntl::openat(AT_FDCWD, directory, DIRECTORY, nix::sys::stat::Mode::empty())?;
    read_in(&File::from(directory), Owners::Anyone)
}

/// Leaves a request in a state directory.
///
/// The workload can write the directory, and the caller may be root: an entry that has this name already, perhaps a link, is not written
/// through.
///
/// # Errors
/// The error of openat(2).
pub fn request(directory: &Path, name: &str) -> io::Result<()> {
    let directory = nix::fcntl::openat(AT_FDCWD, directory, DIRECTORY, nix::sys::stat::Mode::empty())?;
    let requests = untrusted::directory(directory, Path::new(REQUESTS), Owners::Anyone)?;
    untrusted::create(requests, Path::new(name), 0o600).map(drop)
}

const DIRECTORY: nix::fcntl::OFlag =
    nix::fcntl::OFlag::O_PATH.union(nix::fcntl::OFlag::O_DIRECTORY).union(nix::fcntl::OFlag::O_CLOEXEC);

pub(super) fn read_in(directory: &File, owners: Owners<'_>) -> io::Result<StateRecord> {
    Ok(serde_json::from_slice(&untrusted::read(directory, Path::new(FILE), MAX, owners)?)?)
}

/// Returns the state directory of one living supervisor of this pid namespace.
pub fn directory_of(supervisor: Pid, bases: &[PathBuf]) -> Option<PathBuf> {
    instance_of(identity_of(supervisor)?, bases).map(|instance| instance.path)
}

fn instance_of(supervisor: ProcessIdentity, bases: &[PathBuf]) -> Option<StateInstance> {
    let (uid, name) = (user_of(supervisor)?, instance_name(supervisor)?);
    bases.iter().find_map(|base| instance(base, &home(base, uid)?, uid, OsStr::new(&name)))
}

/// Returns the living instances of this pid namespace that these users supervise.
fn of_users(users: &BTreeSet<u32>, bases: &[PathBuf]) -> Vec<StateInstance> {
    let Some(prefix) = proc::pid_namespace().map(|namespace| namespace + "-") else { return Vec::new() };
    let of_user = |(uid, base): (u32, &PathBuf)| {
        let Some(home) = home(base, uid) else { return Vec::new() };
        let names = names(&home).into_iter().filter(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        names.take(INSTANCES).filter_map(|name| instance(base, &home, uid, &name)).collect()
    };
    users.iter().flat_map(|uid| bases.iter().map(|base| (*uid, base))).flat_map(of_user).collect()
}

/// Opens `trainit-UID` in a base, if only that user can write there.
fn home(base: &Path, uid: u32) -> Option<File> {
    let base = nix::fcntl::openat(AT_FDCWD, base, DIRECTORY, nix::sys::stat::Mode::empty()).ok()?;
    untrusted::directory(base, Path::new(&home_name(uid)), Owners::These(&[uid])).ok()
}

/// Returns one of a user's instances, if a living process of this user is its supervisor.
fn instance(base: &Path, home: &File, uid: u32, name: &OsStr) -> Option<StateInstance> {
    let supervisor = supervisor_of(Path::new(name)).filter(|of| is_alive(*of) && user_of(*of) == Some(uid))?;
    let path = base.join(home_name(uid)).join(name);
    let (path, directory) = match untrusted::directory(home, Path::new(name), Owners::These(&[uid])) {
        Ok(directory) => (path, directory),
        // `state_dir` is elsewhere.
        Err(_) => {
            let leads = PathBuf::from(readlinkat(home, name).ok()?);
            let directory = untrusted::directory(AT_FDCWD, &leads, Owners::These(&[uid])).ok()?;
            (leads, directory)
        }
    };
    Some(StateInstance { supervisor, path, record: read_in(&directory, Owners::These(&[uid])).ok() })
}

/// Returns the user that a process runs as.
fn user_of(process: ProcessIdentity) -> Option<u32> {
    Pid::new(process.pid).and_then(proc::status).map(|status| status.uid)
}

/// Returns every user that has a process here.
fn users() -> BTreeSet<u32> {
    let owner = |pid: Pid| std::fs::metadata(["/proc/", &pid.to_string()].concat()).ok().map(|found| found.uid());
    proc::pids().into_iter().filter_map(owner).collect()
}

/// Returns this namespace's first process, if it runs the same program as this one.
///
/// The program is compared by its file, where that is permitted, and by its name.
fn first_alike() -> Option<ProcessIdentity> {
    let own = Pid::own();
    let name = |pid| proc::status(pid).map(|status| status.name);
    let file = |pid: Pid| std::fs::metadata(format!("/proc/{pid}/exe")).map(|file| (file.dev(), file.ino())).ok();
    let alike = own != Pid::FIRST
        && (name(own) == name(Pid::FIRST) || file(own).is_some_and(|own| file(Pid::FIRST) == Some(own)));
    identity_of(Pid::FIRST).filter(|_| alike)
}

/// Returns the names in an open directory, up to a number well above what a person's supervisors leave.
pub(super) fn names(directory: &File) -> Vec<OsString> {
    let listed = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
    let entries = std::fs::read_dir(listed).into_iter().flatten().flatten();
    entries.take(10 * INSTANCES).map(|entry| entry.file_name()).collect()
}
