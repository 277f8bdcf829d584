//! The directory that the code goes into: whether it is empty, trainit's or somebody else's, who is at work there, and what a killed git
//! left locked. Nothing outside of `.git` is removed here.

use super::failure::{Failure, FailureKind};
use super::stamp::{OURS, Stamp};
use nix::errno::Errno;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::lease::Lease;
use store::{SharedWork, WaitEvent, WorkAnswer};
use sys::lock::FileLock;

/// Entries that file systems put into an empty directory.
const OF_FILE_SYSTEMS: [&str; 2] = ["lost+found", ".snapshot"];

/// How many names a message has.
const NAMED: usize = 3;

/// How often a waiting start looks again.
const LOOK: Duration = Duration::from_millis(100);

/// How old a lock has to be before it counts as a killed git's, where trainit was not at work itself.
const STALE: Duration = Duration::from_secs(10);

/// The right to work in the directory, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _lock: Option<FileLock>,
    lease: Option<Lease>,
}

impl Hold {
    /// Shows the other starts that this one lives; cheap when it is called often.
    pub(crate) fn beat(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.beat(|| "bringing code".to_owned());
        }
    }
}

/// The directory of the code.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory.
    pub directory: PathBuf,
    /// Its `.git`.
    pub git: PathBuf,
}

impl Place {
    /// Makes the directory if it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make(directory: &Path) -> Result<Self, Failure> {
        let unwritable = |error| Failure::new(FailureKind::Unwritable(directory.to_owned(), error));
        fs::create_dir_all(directory).map_err(unwritable)?;
        Ok(Place { directory: directory.to_owned(), git: directory.join(".git") })
    }

    /// Returns the stamp of trainit; `None` for an empty directory.
    ///
    /// # Errors
    /// The directory holds something else.
    pub(crate) fn stamp(&self) -> Result<Option<Stamp>, Failure> {
        if let Some(stamp) = Stamp::read(&self.git) {
            return Ok(Some(stamp));
        }
        let unreadable = |error| Failure::new(FailureKind::Unwritable(self.directory.clone(), error));
        let mut names = names(&self.directory).map_err(unreadable)?;
        names.retain(|name| !OF_FILE_SYSTEMS.contains(&name.as_str()));
        // A start that was killed before its first stamp leaves only files of its own.
        if self.git_is_begun() {
            names.retain(|name| name != ".git");
        }
        if names.is_empty() { Ok(None) } else { Err(Failure::new(FailureKind::Foreign(shown(names)))) }
    }

    fn git_is_begun(&self) -> bool {
        let is_directory = fs::symlink_metadata(&self.git).is_ok_and(|found| found.is_dir());
        is_directory && names(&self.git).is_ok_and(|names| names.iter().all(|name| is_ours(name)))
    }

    /// Waits until no other start is at work here.
    ///
    /// On a file system of this machine the kernel's lock counts, which a killed start cannot leave behind. Elsewhere, and where there are
    /// no locks, a lease of the crate `store` does, which another start takes over once its owner is dead.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn hold(&self, far: bool, wait: &mut dyn FnMut(Duration)) -> Result<Hold, Failure> {
        let unwritable = |error| Failure::new(FailureKind::Unwritable(self.directory.clone(), error));
        match fs::create_dir(&self.git) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unwritable(error)),
            _ => {}
        }
        if far {
            return self.lease(wait);
        }
        let begun = Instant::now();
        let open = || File::options().create(true).truncate(false).write(true).open(self.git.join("trainit.lock"));
        let mut file = open().map_err(unwritable)?;
        loop {
            match FileLock::take(file) {
                Ok(lock) => return Ok(Hold { _lock: Some(lock), lease: None }),
                Err((same, Errno::EWOULDBLOCK)) => file = same,
                Err(_) => return self.lease(wait),
            }
            wait(begun.elapsed());
            std::thread::sleep(LOOK);
        }
    }

    fn lease(&self, wait: &mut dyn FnMut(Duration)) -> Result<Hold, Failure> {
        let begun = Instant::now();
        let mut tell = |_: WaitEvent<'_>| wait(begun.elapsed());
        // Whether the work is done is seen only by who asks the server, so each start does it.
        let answer = SharedWork::of(&self.git, OURS).get(None, &mut || Ok(None::<()>), &mut tell);
        match answer {
            WorkAnswer::Do(lease) => Ok(Hold { _lock: None, lease: Some(lease) }),
            WorkAnswer::Unusable(error) => {
                let error = io::Error::other(error.to_string());
                Err(Failure::new(FailureKind::Unwritable(self.directory.clone(), error)))
            }
            // Without a deadline, a result and a marker of a failure nothing else can come.
            WorkAnswer::Done(()) | WorkAnswer::Alone(_) | WorkAnswer::Failed(_) | WorkAnswer::Late(_) => {
                Ok(Hold { _lock: None, lease: None })
            }
        }
    }

    /// Removes all of `.git` but trainit's own files: nothing was ever checked out.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(crate) fn clear_git(&self) -> Result<(), Failure> {
        let unwritable = |error| Failure::new(FailureKind::Unwritable(self.git.clone(), error));
        for entry in fs::read_dir(&self.git).map_err(unwritable)?.flatten() {
            if is_ours(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_directory { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            removed.map_err(unwritable)?;
        }
        Ok(())
    }

    /// Removes what a killed git left locked. A lock that may be a living git's is given time to go.
    pub(crate) fn remove_locks(&self, ours: bool) {
        for lock in locks(&self.git, 0) {
            while !ours && lock.exists() && age(&lock) < STALE {
                std::thread::sleep(LOOK);
            }
            let _ = fs::remove_file(&lock);
        }
    }
}

fn age(path: &Path) -> Duration {
    let modified = fs::symlink_metadata(path).and_then(|found| found.modified());
    // A file of the future is as old as can be: clocks of file servers differ.
    modified.ok().and_then(|at| at.elapsed().ok()).unwrap_or(STALE)
}

/// Deepest directory below `.git` in which locks are looked for: references and submodules have a few levels.
const DEPTH: usize = 12;

/// Finds the locks of git: NAME.lock beside NAME.
fn locks(directory: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.flat_map(|entry| locks_at(&entry, depth)).collect()
}

fn locks_at(entry: &fs::DirEntry, depth: usize) -> Vec<PathBuf> {
    let (name, path) = (entry.file_name(), entry.path());
    match entry.file_type() {
        Ok(kind) if kind.is_dir() && name != "objects" && depth < DEPTH => locks(&path, depth + 1),
        Ok(kind) if kind.is_file() && is_lock(name.as_encoded_bytes()) => vec![path],
        _ => Vec::new(),
    }
}

/// Tells whether a file in `.git` is one of trainit's; unfinished ones of the lease have a name of their own.
fn is_ours(name: &str) -> bool {
    name.starts_with(OURS) || name.starts_with(".new-")
}

fn is_lock(name: &[u8]) -> bool {
    name.ends_with(b".lock") && !name.starts_with(OURS.as_bytes())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

fn shown(mut names: Vec<String>) -> String {
    names.sort();
    let more = names.len() > NAMED;
    names.truncate(NAMED);
    let names: Vec<String> = names.iter().map(|name| text::line(name).into_owned()).collect();
    names.join(", ") + if more { ", …" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(&directory.path().join("new/code")).unwrap();
        (directory, place)
    }

    #[test]
    fn only_an_empty_directory_or_one_with_the_stamp_is_taken() {
        let (_directory, place) = place();
        assert_eq!(place.stamp().unwrap(), None);
        fs::create_dir(place.directory.join("lost+found")).unwrap();
        let lock = place.hold(false, &mut |_| {}).unwrap();
        assert!(lock._lock.is_some() && place.stamp().unwrap().is_none(), "a start that was killed early");
        fs::write(place.git.join("HEAD"), "").unwrap();
        assert!(matches!(place.stamp().unwrap_err().kind, FailureKind::Foreign(names) if names == ".git"));
        Stamp::default().write(&place.git).unwrap();
        assert_eq!(place.stamp().unwrap(), Some(Stamp::default()));
    }

    #[test]
    fn a_lease_is_taken_by_one_start_after_the_other() {
        let (_directory, place) = place();
        let mut first = place.hold(true, &mut |_| {}).unwrap();
        first.beat();
        assert!(place.stamp().unwrap().is_none(), "the files of the lease are trainit's own");
        let mut first = Some(first);
        let mut waited = false;
        let second = place.hold(true, &mut |_| {
            waited = true;
            drop(first.take());
        });
        assert!(second.is_ok_and(|hold| hold.lease.is_some()) && waited);
    }

    #[test]
    fn what_somebody_put_there_is_named() {
        let (_directory, place) = place();
        for name in ["d", "a", "c\n", "b"] {
            fs::write(place.directory.join(name), "").unwrap();
        }
        assert!(matches!(place.stamp().unwrap_err().kind, FailureKind::Foreign(names) if names == "a, b, c\\n, …"));
    }

    #[test]
    fn a_killed_starts_locks_go_and_nothing_else_does() {
        let (_directory, place) = place();
        let kept = ["HEAD", "trainit.lock", "objects/x.lock", "refs/heads/main"];
        let gone = ["index.lock", "refs/heads/main.lock", "modules/a/index.lock"];
        for name in kept.iter().chain(&gone) {
            let path = place.git.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        place.remove_locks(true);
        assert!(kept.iter().all(|name| place.git.join(name).exists()));
        assert!(gone.iter().all(|name| !place.git.join(name).exists()));
        place.clear_git().unwrap();
        assert_eq!(names(&place.git).unwrap(), ["trainit.lock"]);
    }
}
