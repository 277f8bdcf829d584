//! The state file: what PID 1 writes about itself, and how others find and read it. Knows nobody but `handover`.

use crate::handover::{Kind, Phase, Saved, Service};
use crate::sys::credentials::own_uid;
use crate::sys::proc;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The variable that tells a workload where the state is.
pub const RUN_DIR_VARIABLE: &str = "TRAINIT_RUN_DIR";

/// A file in the state directory that the workload touches to say that it lives.
pub const HEARTBEAT: &str = "heartbeat";

/// A directory in it where the workload's user asks for something.
pub const REQUESTS: &str = "requests";

/// What a request for a checkpoint is called, up to its own part.
pub const CHECKPOINT_REQUEST: &str = "checkpoint-";

/// Where the report of a held container is, unless it was wanted elsewhere.
pub const REPORT: &str = "report.json";

/// Version of what the state file holds.
pub const VERSION: u32 = 1;

const FILE: &str = "state.json";

/// Longer than it takes from making a state directory to holding its lock.
const BEGINNING: Duration = Duration::from_secs(60);

/// What `state.json` holds. No secrets, no environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Version of this layout.
    pub version: u32,
    /// Where the container is between start and end.
    pub phase: Phase,
    /// Seconds since 1970 when this phase began.
    pub since: f64,
    /// Seconds since 1970 when PID 1 started.
    pub started: f64,
    /// PID 1.
    pub supervisor: Identity,
    /// The main process, which prepares and then is the workload.
    pub main: i32,
    /// Which start this is, from 1.
    pub attempt: u32,
    /// The mode's name.
    pub mode: String,
    /// Train or build.
    pub kind: Kind,
    /// The command line that runs.
    pub command: Option<String>,
    /// The signal that asked for the stop.
    pub stopped_by: Option<String>,
    /// How the main process ended, in words.
    pub ended: Option<String>,
    /// The newest complete checkpoint that is known.
    pub saved: Option<Saved>,
    /// The watchdog found that nothing happens any more.
    pub hung: bool,
    /// How often a checkpoint was asked for by a request file.
    pub asks: u32,
    /// How often that came to nothing at once.
    pub refusals: u32,
    /// Something is configured that makes the trainer save and go on.
    pub can_save: bool,
    /// A checkpoint directory is watched.
    pub watches: bool,
    /// The TCP port that the workload serves.
    pub port: Option<u16>,
    /// How it is seen whether it answers there.
    pub service: Option<Service>,
    /// Where the JSON report is, or is going to be.
    pub report: Option<String>,
    /// A failed container is kept open for so many seconds since this phase began.
    pub hold_s: Option<u64>,
    /// Why preparing failed, in a few lines.
    pub refused: Option<String>,
    /// The modes that run beside the main one.
    pub companions: Vec<Companion>,
    /// Who uses it, where `idle.after` looks for that.
    pub used_by: Option<String>,
    /// Seconds since 1970 when that was seen last, if nobody does.
    pub unused_since: Option<f64>,
    /// It is stopped when it was not used for so many seconds.
    pub idle_s: Option<u64>,
}

/// A mode that runs beside the main one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Companion {
    /// Its name.
    pub mode: String,
    /// `running`, `waiting` (for its next start) or `ended`.
    pub phase: String,
    /// Its process, which prepares and then is its workload; 0: there is none.
    pub pid: i32,
    /// How often it was started.
    pub starts: u32,
}

/// A process, named so that a recycled pid is not mistaken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot.
    pub start: u64,
}

impl Identity {
    /// The process with this pid, now.
    pub fn of(pid: i32) -> Option<Self> {
        proc::start_time(pid).map(|start| Identity { pid, start })
    }

    /// For how long it has been there; none where the kernel does not tell.
    pub fn age(self) -> Option<Duration> {
        proc::age(self.start)
    }

    /// Whether this very process still runs.
    pub fn is_alive(self) -> bool {
        Identity::of(self.pid) == Some(self)
    }
}

/// Seconds since 1970.
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Replaces the state file in one step. A full disk costs the news, not the container.
///
/// # Errors
/// What open(2), write(2) and rename(2) say.
pub fn write(directory: &Path, record: &Record) -> io::Result<()> {
    let (new, file) = (directory.join("state.new"), directory.join(FILE));
    std::fs::write(&new, serde_json::to_vec(record)?)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(new, file)
}

/// Takes a state directory away, and the link that led readers to it.
pub fn remove(directory: &Path) {
    // After a short command there is nothing in it.
    if std::fs::remove_dir(directory).is_err() {
        // First what would be told as a sudden death, should anything else not go.
        let _ = std::fs::remove_file(directory.join(FILE));
        let _ = std::fs::remove_dir_all(directory);
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = bases(runtime.as_deref());
    let is_usual = bases.iter().any(|base| directory.parent().and_then(Path::parent) == Some(base));
    let Some(name) = directory.file_name().filter(|_| !is_usual) else { return };
    for base in bases {
        let link = base.join(home_name(own_uid())).join(name);
        if std::fs::read_link(&link).is_ok_and(|leads| leads == directory) {
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Reads a state file.
///
/// # Errors
/// It is not there, cannot be read, or is no state file.
pub fn read(directory: &Path) -> io::Result<Record> {
    Ok(serde_json::from_slice(&std::fs::read(directory.join(FILE))?)?)
}

/// Where state directories usually are, the first writable one first; `runtime` is XDG_RUNTIME_DIR.
pub fn bases(runtime: Option<&Path>) -> Vec<PathBuf> {
    let usual = [Some(Path::new("/run")), runtime, Some(Path::new("/dev/shm")), Some(Path::new("/tmp"))];
    usual.into_iter().flatten().map(Path::to_path_buf).collect()
}

/// Where the state directory of one supervisor is: `BASE/trainit-UID/NAMESPACE-PID-START`, in the first usual place where it can be
/// made. Whoever needs it makes it (`settle`): most short commands end before anybody does.
pub fn place(runtime: Option<&Path>, supervisor: Identity) -> Option<PathBuf> {
    let name = instance_name(supervisor)?;
    let uid = own_uid();
    let home = home_name(uid);
    let homes = bases(runtime).into_iter().map(|base| (base.join(&home), base));
    let usable = |(home, base): &(PathBuf, PathBuf)| match std::fs::symlink_metadata(home) {
        Ok(found) => is_of(uid, &found),
        Err(_) => nix::unistd::access(base, AccessFlags::W_OK | AccessFlags::X_OK).is_ok(),
    };
    homes.into_iter().find(usable).map(|(home, _)| home.join(name))
}

/// Makes what `place` named. Says whether it is there now.
pub fn settle(directory: &Path) -> bool {
    whatever_the_mask_is(|| directory.parent().and_then(own_directory).and_then(|_| own_directory(directory)).is_some())
}

/// Makes the state directory of one supervisor now. Only its owner may write there. When the base is configured, readers know
/// nothing of it, so a link in the first usual place leads there.
pub fn make(configured: Option<&Path>, runtime: Option<&Path>, supervisor: Identity) -> Option<PathBuf> {
    let name = instance_name(supervisor)?;
    whatever_the_mask_is(|| make_named(configured, runtime, &name))
}

/// Who asks for the state may be another user.
fn whatever_the_mask_is<T>(make: impl FnOnce() -> T) -> T {
    let mask = umask(Mode::from_bits_truncate(0o022));
    let made = make();
    umask(mask);
    made
}

fn make_named(configured: Option<&Path>, runtime: Option<&Path>, name: &str) -> Option<PathBuf> {
    let make_below = |base: &PathBuf| own_directory(&own_directory(&base.join(home_name(own_uid())))?.join(name));
    let Some(base) = configured else { return bases(runtime).iter().find_map(make_below) };
    let made = make_below(&base.to_path_buf())?;
    bases(runtime).iter().find_map(|base| {
        let link = own_directory(&base.join(home_name(own_uid())))?.join(name);
        std::os::unix::fs::symlink(&made, link).ok()
    });
    Some(made)
}

/// Makes what the workload writes in a state directory: for its user alone, who may be another one than we.
///
/// # Errors
/// What mkdir(2), open(2) and chown(2) say.
pub fn open_to_workload(directory: &Path, user: Option<(u32, u32)>) -> io::Result<()> {
    let requests = directory.join(REQUESTS);
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&requests)?;
    let heartbeat =
        std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(HEARTBEAT))?;
    let Some((uid, gid)) = user else { return Ok(()) };
    std::os::unix::fs::fchown(heartbeat, Some(uid), Some(gid))?;
    std::os::unix::fs::lchown(requests, Some(uid), Some(gid))
}

/// A directory for what only the workload's user may see, such as a token: `NAME` in the directory of its requests, else a new one in
/// the directory of temporary files.
///
/// # Errors
/// What mkdir(2) says.
pub fn private(directory: Option<&Path>, name: &str) -> io::Result<PathBuf> {
    let make = |path: PathBuf| {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        let found = std::fs::symlink_metadata(&path)?;
        let ours = found.is_dir() && found.uid() == own_uid() && found.mode() & 0o077 == 0;
        if ours { Ok(path) } else { Err(io::Error::other("it is there, and not ours alone")) }
    };
    let kept = directory.map(|directory| make(directory.join(REQUESTS).join(name)));
    match kept {
        Some(Ok(path)) => Ok(path),
        _ => Ok(nix::unistd::mkdtemp(&std::env::temp_dir().join(format!("trainit-{name}-XXXXXX")))?),
    }
}

fn instance_name(supervisor: Identity) -> Option<String> {
    // The supervisor's namespace is ours, and the kernel has its directory in /proc at hand.
    let namespace = proc::pid_namespace_of(supervisor.pid).or_else(proc::pid_namespace)?;
    Some([namespace, supervisor.pid.to_string(), supervisor.start.to_string()].join("-"))
}

fn home_name(uid: u32) -> String {
    ["trainit-", &uid.to_string()].concat()
}

/// A directory that is ours: made now, or found as a real directory of our own that nobody else may write.
fn own_directory(path: &Path) -> Option<PathBuf> {
    match std::fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => Some(path.to_path_buf()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => own_directory_there(path),
        Err(_) => None,
    }
}

fn own_directory_there(path: &Path) -> Option<PathBuf> {
    is_of(own_uid(), &std::fs::symlink_metadata(path).ok()?).then(|| path.to_path_buf())
}

/// Whether it is a directory that nobody but this user may write.
fn is_of(uid: u32, found: &Metadata) -> bool {
    found.is_dir() && found.uid() == uid && found.mode() & 0o022 == 0
}

/// Takes a state directory for as long as the lock is kept. Unlike a pid it tells life from death in every pid namespace.
pub fn lock(directory: &Path) -> Option<Flock<File>> {
    Flock::lock(File::open(directory).ok()?, FlockArg::LockExclusiveNonblock).ok()
}

/// What earlier starts of the same user left behind because they were killed with all they had, newest last. It is told once: the
/// directories are taken away, but for the caller's own.
pub fn breadcrumbs(bases: &[PathBuf], own: Option<&Path>) -> Vec<Record> {
    let uid = own_uid();
    let home = home_name(uid);
    let homes = bases.iter().map(|base| base.join(&home));
    let homes = homes.filter(|home| {
        std::fs::symlink_metadata(home)
            .is_ok_and(|found| is_of(uid, &found) && !is_known_to_be_empty(&found, home, own))
    });
    let own = own.and_then(Path::file_name);
    let others = homes.flat_map(|home| entries(&home, "")).filter(|directory| directory.file_name() != own);
    let left = others.filter_map(|directory| {
        let record = read(&directory).ok();
        // Whoever was killed before it wrote anything left an empty directory; one that is new is about to be used.
        if record.is_none() && !is_older_than(&directory, BEGINNING) {
            return None;
        }
        if !directory.exists() {
            let _ = std::fs::remove_file(&directory); // a link to a state that is gone
        }
        let _lock = lock(&directory)?;
        let _ = std::fs::remove_dir_all(&directory);
        record.filter(|record| record.phase != Phase::Ended)
    });
    let mut left: Vec<Record> = left.collect();
    left.sort_by(|a, b| a.started.total_cmp(&b.started));
    left
}

/// Whether a directory's link count says that no other is in it: most file systems count one for each, those that do not say 1.
fn is_known_to_be_empty(found: &Metadata, home: &Path, own: Option<&Path>) -> bool {
    let has_own = || own.is_some_and(|own| own.parent() == Some(home) && own.exists());
    found.nlink() == 2 || found.nlink() == 3 && has_own()
}

fn is_older_than(path: &Path, age: Duration) -> bool {
    let modified = std::fs::symlink_metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|passed| passed > age))
}

/// What a reader found.
#[derive(Debug)]
pub enum Found {
    /// The one instance.
    One(PathBuf, Box<Record>),
    /// A supervisor that has written no state: it has just begun, it keeps none (`trainit init`), or it can write nowhere.
    Silent(Identity),
    /// No instance.
    None,
    /// Several; a person must say which.
    Several(Vec<PathBuf>),
}

/// Finds the instance to read: the named directory, else the one that the environment names, else the only living one of this pid
/// namespace.
pub fn find(named: Option<&Path>, bases: &[PathBuf]) -> Found {
    if let Some(directory) = named {
        return found(directory.into(), read(directory).ok());
    }
    let mut living = instances(bases);
    living.retain(|(directory, record)| match record {
        Some(record) => record.supervisor.is_alive(),
        None => is_alive(directory),
    });
    match living.len() {
        0 => first_alike().map_or(Found::None, Found::Silent),
        1 => living.pop().map_or(Found::None, |(directory, record)| found(directory, record)),
        _ => Found::Several(living.into_iter().map(|(directory, _)| directory).collect()),
    }
}

fn found(directory: PathBuf, record: Option<Record>) -> Found {
    match record {
        Some(record) => Found::One(directory, Box::new(record)),
        None => supervisor_of(&directory).filter(|of| of.is_alive()).map_or(Found::None, Found::Silent),
    }
}

/// The state directory of one living supervisor of this pid namespace.
pub fn directory_of(supervisor: i32, bases: &[PathBuf]) -> Option<PathBuf> {
    let mut directories = instances(bases).into_iter().map(|(directory, _)| directory);
    let is_its = |directory: &PathBuf| supervisor_of(directory).is_some_and(|of| of.pid == supervisor && of.is_alive());
    directories.find(is_its)
}

/// Every instance of this pid namespace, of any user, with its state where it can be read.
fn instances(bases: &[PathBuf]) -> Vec<(PathBuf, Option<Record>)> {
    let Some(namespace) = proc::pid_namespace() else { return Vec::new() };
    let homes = bases.iter().flat_map(|base| entries(base, "trainit-"));
    let directories = homes.flat_map(|home| entries(&home, &format!("{namespace}-")));
    directories
        .map(|directory| (read(&directory).ok(), directory))
        .map(|(record, directory)| (directory, record))
        .collect()
}

/// This namespace's first process, if it runs the same program as this one. It is looked at by its file, where that is permitted, and
/// by its name.
fn first_alike() -> Option<Identity> {
    let own = std::process::id() as i32;
    let name = |pid| proc::status(pid).map(|status| status.name);
    let file = |pid: i32| std::fs::metadata(format!("/proc/{pid}/exe")).map(|file| (file.dev(), file.ino())).ok();
    let alike = own != 1 && (name(own) == name(1) || file(own).is_some_and(|own| file(1) == Some(own)));
    Identity::of(1).filter(|_| alike)
}

fn is_alive(directory: &Path) -> bool {
    supervisor_of(directory).is_some_and(Identity::is_alive)
}

/// The supervisor that a state directory is named after.
pub fn supervisor_of(directory: &Path) -> Option<Identity> {
    let mut numbers = directory.file_name()?.to_str()?.rsplit('-');
    let (start, pid) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(Identity { pid, start })
}

fn entries(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let named = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
    entries.flatten().filter(named).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_found_by_its_living_supervisor() {
        let base = tempfile::tempdir().unwrap();
        let me = Identity::of(std::process::id() as i32).unwrap();
        let directory = make(Some(base.path()), Some(base.path()), me).unwrap();
        let record = Record { supervisor: me, phase: Phase::Running, attempt: 1, ..Record::default() };
        write(&directory, &record).unwrap();
        match find(None, &[base.path().into()]) {
            Found::One(found, read) => assert_eq!((found, *read), (directory, record)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_recycled_pid_is_not_taken_for_the_supervisor() {
        let me = Identity::of(std::process::id() as i32).unwrap();
        assert!(!Identity { start: me.start + 1, ..me }.is_alive());
    }

    #[test]
    fn what_was_killed_before_it_wrote_anything_is_swept_away_once_it_is_no_longer_new() {
        let base = tempfile::tempdir().unwrap();
        let directory = make(Some(base.path()), None, Identity { pid: 1, start: 1 }).unwrap();
        assert_eq!((breadcrumbs(&[base.path().into()], None), directory.exists()), (vec![], true));
        let old = SystemTime::now() - 2 * BEGINNING;
        std::fs::File::open(&directory).unwrap().set_modified(old).unwrap();
        assert_eq!((breadcrumbs(&[base.path().into()], None), directory.exists()), (vec![], false));
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_used() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join(home_name(own_uid()));
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(make(Some(base.path()), None, Identity { pid: 1, start: 1 }), None);
    }
}
