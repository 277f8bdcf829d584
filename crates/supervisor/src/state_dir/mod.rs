//! The state directory: where it is, and how it is made, written, found and read. `protocol::state_file` defines the state file's
//! content.

mod directory;
mod find;
mod previous_run;

pub use directory::StateDir;
pub use find::{FoundState, directory_of, find, read, request};
pub use previous_run::previous_runs;

use nix::unistd::AccessFlags;
use protocol::state_file::{ProcessIdentity, REQUESTS};
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use sys::credentials::own_uid;
use sys::{Pid, proc, untrusted};

const FILE: &str = "state.json";

/// The reason why there is no state directory.
#[derive(Debug)]
pub enum NoStateDir {
    /// The directory has no name.
    Nameless,
    /// No base works, each for its own reason.
    NoBase(Vec<(PathBuf, io::Error)>),
}

impl fmt::Display for NoStateDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoStateDir::Nameless => f.write_str("/proc tells nothing of this container's processes"),
            NoStateDir::NoBase(tried) => {
                let told: Vec<_> = tried.iter().map(|(base, error)| told(base, error)).collect();
                f.write_str(&told.join("; "))
            }
        }
    }
}

impl std::error::Error for NoStateDir {}

fn told(base: &Path, error: &io::Error) -> String {
    let error = protocol::errno::words_of(error);
    if error.starts_with('/') { error } else { format!("{}: {error}", base.display()) }
}

/// Returns the identity of the process that has this pid now.
pub fn identity_of(pid: Pid) -> Option<ProcessIdentity> {
    proc::start_time(pid).map(|start| ProcessIdentity { pid: pid.number(), start })
}

/// Returns a process's age; `None` where the kernel does not say.
pub fn age(process: ProcessIdentity) -> Option<Duration> {
    proc::age(process.start)
}

/// Returns whether this very process still runs.
pub fn is_alive(process: ProcessIdentity) -> bool {
    Pid::new(process.pid).and_then(identity_of) == Some(process)
}

/// Returns the time in seconds since 1970.
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Returns the usual parents of state directories, in the order of preference; `runtime` is XDG_RUNTIME_DIR.
pub fn bases(runtime: Option<&Path>) -> Vec<PathBuf> {
    let usual = [Some(Path::new("/run")), runtime, Some(Path::new("/dev/shm")), Some(Path::new("/tmp"))];
    usual.into_iter().flatten().map(Path::to_path_buf).collect()
}

/// Returns the usual bases by this process's environment.
pub fn usual_bases() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    bases(runtime.as_deref())
}

/// Returns the path of a supervisor's state directory: `BASE/trainit-UID/NAMESPACE-PID-START`, in the first usual base that works.
///
/// The directory is made by its first user (`StateDir::make`): most short commands end before that.
///
/// # Errors
/// The reason why no base works.
pub fn place(runtime: Option<&Path>, supervisor: ProcessIdentity) -> Result<PathBuf, NoStateDir> {
    let usable = |base: &Path| match directory::there(base) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(nix::unistd::access(base, AccessFlags::W_OK | AccessFlags::X_OK)?)
        }
        found => found.map(drop),
    };
    let name = instance_name(supervisor).ok_or(NoStateDir::Nameless)?;
    first(&bases(runtime), usable).map(|(base, ())| base.join(home_name(own_uid())).join(name))
}

/// Makes the state directory of one supervisor now; only its owner may write there.
///
/// Readers know nothing of a configured base, so a link in the first usual base leads there.
///
/// # Errors
/// The reason why no base works.
pub fn make(
    configured: Option<&Path>,
    runtime: Option<&Path>,
    supervisor: ProcessIdentity,
) -> Result<StateDir, NoStateDir> {
    let name = instance_name(supervisor).ok_or(NoStateDir::Nameless)?;
    let make_below = |base: &Path| StateDir::make(&base.join(home_name(own_uid())).join(&name));
    let Some(base) = configured else { return first(&bases(runtime), make_below).map(|(_, made)| made) };
    let made = first(&[base.to_path_buf()], make_below).map(|(_, made)| made)?;
    let _ = first(&bases(runtime), |base| directory::link(base, made.path()));
    Ok(made)
}

/// Returns the first base where an attempt succeeds, with its result; else the error of each base.
///
/// Bases where no other user can rename entries come first. The others are for users that are not root: no file is written through a name
/// there either, and without a state the start cannot take requests.
fn first<T>(bases: &[PathBuf], attempt: impl Fn(&Path) -> io::Result<T>) -> Result<(&Path, T), NoStateDir> {
    let (mut open, mut wrong) = (Vec::new(), Vec::new());
    let mut tried = |base: &'_ PathBuf| attempt(base).map_err(|error| wrong.push((base.clone(), error))).ok();
    for base in bases {
        match untrusted::settled(base) {
            Ok(_) => match tried(base) {
                Some(done) => return Ok((base, done)),
                None => continue,
            },
            Err(error) => open.push((base, error)),
        }
    }
    for (base, _) in open.iter().filter(|_| own_uid() != 0) {
        if let Some(done) = tried(base) {
            return Ok((base, done));
        }
    }
    wrong.extend(open.into_iter().filter(|_| own_uid() == 0).map(|(base, error)| (base.clone(), error)));
    Err(NoStateDir::NoBase(wrong))
}

/// Makes a directory for files that only the workload's user may see, such as a token.
///
/// It is `NAME` in the directory of requests, else a new directory among the temporary files.
///
/// # Errors
/// The error of mkdir(2).
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
        _ => temporary(name),
    }
}

/// Makes a new directory among temporary files, if possible where no other user can exchange it.
fn temporary(name: &str) -> io::Result<PathBuf> {
    let make = |base: &Path| nix::unistd::mkdtemp(&base.join(format!("trainit-{name}-XXXXXX")));
    let usual = std::env::temp_dir();
    let places = [usual.as_path(), Path::new("/dev/shm"), Path::new("/tmp"), Path::new("/var/tmp")];
    let mut settled = places.into_iter().filter(|base| untrusted::settled(base).is_ok());
    Ok(settled.find_map(|base| make(base).ok()).map_or_else(|| make(&usual), Ok)?)
}

/// Returns the name of the state directory of a supervisor: its PID namespace, its pid and its start time.
pub fn instance_name(supervisor: ProcessIdentity) -> Option<String> {
    // The supervisor's namespace is this process's, and the kernel has its directory in /proc at hand.
    let namespace = Pid::new(supervisor.pid).and_then(proc::pid_namespace_of).or_else(proc::pid_namespace)?;
    Some([namespace, supervisor.pid.to_string(), supervisor.start.to_string()].join("-"))
}

/// Returns the supervisor that a state directory is named after.
pub fn supervisor_of(directory: &Path) -> Option<ProcessIdentity> {
    let mut numbers = directory.file_name()?.to_str()?.rsplit('-');
    let (start, pid) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(ProcessIdentity { pid, start })
}

fn home_name(uid: u32) -> String {
    ["trainit-", &uid.to_string()].concat()
}

#[cfg(test)]
mod tests;
