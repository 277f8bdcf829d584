//! Work that one start does and the others wait for, whatever it makes: the lease of its doer, the marker of a failed attempt, and the wait
//! by the decisions of `election`. What the work makes, and when that is there, its owner says.

use super::election::{self, Election, ElectionStep, Snapshot};
use super::error::StoreError;
use super::failed::{self, FailedAttempt, FailureMessage};
use super::lease::{self, Lease, LeaseOwner};
use super::store_dir::{StoreDir, UNFINISHED};
use nix::fcntl::AT_FDCWD;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::untrusted::{self, Owners};
use tempfile::NamedTempFile;

/// The wait after another start was first to follow a dead builder.
const AFTER_ANOTHER: Duration = Duration::from_millis(100);

/// A piece of work that several starts want done once.
#[derive(Clone, Debug)]
pub struct SharedWork {
    lease: PathBuf,
    /// The marker of a failed attempt.
    pub failed: PathBuf,
    /// The time after which a lease without a change counts as a dead doer's.
    pub stale: Duration,
    store_dir: StoreDir,
}

/// What a start has to do about shared work.
#[derive(Debug)]
pub enum WorkAnswer<T> {
    /// The work is done.
    Done(T),
    /// This start has to do it for all, and holds the lease.
    Do(Lease),
    /// Each start has to do it for itself, because an earlier one found that it cannot be shared.
    Alone(FailedAttempt),
    /// An earlier start found that it cannot be done.
    Failed(FailedAttempt),
    /// The time is over, and this doer has not finished.
    Late(LeaseOwner),
    /// The directory is of no use, for this reason.
    Unusable(StoreError),
}

/// A change that a waiting start may report.
#[derive(Clone, Copy, Debug)]
pub enum WaitEvent<'a> {
    /// The start goes on waiting for this doer.
    Waits(&'a LeaseOwner),
    /// This doer is dead, and its lease is taken away.
    TakesOver(&'a LeaseOwner),
}

impl SharedWork {
    /// Returns the work whose files in a directory begin with this name. The directory is examined with a file that is removed at once.
    pub fn of(directory: &Path, name: &str) -> Self {
        let file = |end: &str| directory.join(format!("{name}.{end}"));
        let store_dir = StoreDir::of(directory);
        SharedWork { lease: file("lease"), failed: file("failed"), stale: election::STALE, store_dir }
    }

    /// Waits until `done` finds the work done, until this start is elected to do it, or until neither can be.
    pub fn get<T>(
        &self,
        deadline: Option<Instant>,
        done: &mut dyn FnMut() -> Result<Option<T>, StoreError>,
        tell: &mut dyn FnMut(WaitEvent<'_>),
    ) -> WorkAnswer<T> {
        let (began, mut election) = (Instant::now(), Election::after(self.stale));
        loop {
            match done() {
                Ok(Some(made)) => return WorkAnswer::Done(made),
                Ok(None) => {}
                Err(error) => return WorkAnswer::Unusable(error),
            }
            let snapshot = match self.snapshot() {
                Ok(snapshot) => snapshot,
                Err(error) => return WorkAnswer::Unusable(error),
            };
            let owner = snapshot.lease.as_deref().and_then(lease::read).unwrap_or_default();
            let judged = match election.step(began.elapsed(), snapshot) {
                ElectionStep::Fail(failed) => return WorkAnswer::Failed(failed),
                ElectionStep::Alone(failed) => return WorkAnswer::Alone(failed),
                ElectionStep::Wait(pause) if !has_slept(deadline, pause) => return WorkAnswer::Late(owner),
                ElectionStep::Wait(_) => {
                    tell(WaitEvent::Waits(&owner));
                    continue;
                }
                ElectionStep::TakeOver(judged) => Some(judged),
                ElectionStep::Build => None,
            };
            match self.elected(judged.as_deref(), done) {
                Ok(Some(lease)) => {
                    judged.iter().for_each(|_| tell(WaitEvent::TakesOver(&owner)));
                    return WorkAnswer::Do(lease);
                }
                Ok(None) if judged.is_some() && !has_slept(deadline, AFTER_ANOTHER) => return WorkAnswer::Late(owner),
                Ok(None) => {}
                Err(error) => return WorkAnswer::Unusable(StoreError::Lease(error)),
            }
        }
    }

    /// Tries to get the lease, the first one or that behind a dead doer's. Another start may have finished since the snapshot, so the
    /// result is looked for once more.
    fn elected<T>(
        &self,
        judged: Option<&[u8]>,
        done: &mut dyn FnMut() -> Result<Option<T>, StoreError>,
    ) -> io::Result<Option<Lease>> {
        let me = LeaseOwner::this();
        let lease = match judged {
            Some(judged) => Lease::follow(&self.lease, judged, me, &self.store_dir)?,
            None => Lease::take(&self.lease, me, &self.store_dir)?,
        };
        Ok(lease.filter(|_| !matches!(done(), Ok(Some(_)))))
    }

    /// Returns what the directory says about work that is not done.
    ///
    /// # Errors
    /// Returns the reason why the directory cannot be used.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        if let Some(errno) = self.store_dir.closed {
            return Err(StoreError::Closed(errno));
        }
        let unusable = |error| StoreError::File(self.lease.clone(), error);
        let lease = lease::look(&self.lease, &self.store_dir).map_err(unusable)?;
        let orphaned = lease.as_deref().and_then(lease::read).is_some_and(|owner| owner.is_dead());
        Ok(Snapshot { failed: self.failed(), lease, orphaned })
    }

    /// Returns the facts about the directory's file system.
    pub(super) fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// Checks whether a trusted user alone may have written a file.
    ///
    /// # Errors
    /// Returns who could have written it.
    pub fn believes(&self, path: &Path, file: &Metadata) -> Result<(), StoreError> {
        self.store_dir.believes(file).map_err(|error| StoreError::File(path.to_owned(), error))
    }

    /// Returns the age of a file by the clock of its file system.
    pub fn age(&self, file: &Metadata) -> Duration {
        self.store_dir.age(file)
    }

    /// Returns the living doer, if there is one.
    pub fn doer(&self) -> Option<LeaseOwner> {
        let snapshot = self.snapshot().ok()?;
        snapshot.lease.as_deref().and_then(lease::read).filter(|_| !snapshot.orphaned)
    }

    /// Returns a failed attempt that still counts.
    pub fn failed(&self) -> Option<FailedAttempt> {
        let file = untrusted::open(AT_FDCWD, &self.failed, Owners::Anyone).ok()?;
        let found = file.metadata().ok()?;
        let counts = self.store_dir.believes(&found).is_ok() && self.store_dir.age(&found) < failed::HOLDS;
        failed::read(&untrusted::read_all(&file, failed::MAX).ok()?).filter(|_| counts)
    }

    /// Leaves a marker that the work cannot be done.
    pub fn fail(&self, permanent: bool, message: FailureMessage) {
        self.leave(&FailedAttempt::new(permanent, message, &LeaseOwner::this().host, self.failed().as_ref()));
    }

    /// Leaves a marker that each start has to do the work for itself.
    pub fn fail_to_share(&self, why: &str) {
        self.leave(&FailedAttempt::alone(why, &LeaseOwner::this().host));
    }

    /// Removes the marker.
    pub fn succeed(&self) {
        let _ = std::fs::remove_file(&self.failed);
    }

    /// Writes a marker. Without it the other starts try for themselves.
    fn leave(&self, failed: &FailedAttempt) {
        let directory = self.failed.parent().unwrap_or(Path::new("."));
        let _ = serde_json::to_vec(failed).map_err(io::Error::other).and_then(|json| {
            let mut new = temporary::make(directory, UNFINISHED)?;
            new.write_all(&json)?;
            put(new, &self.failed)
        });
    }
}

/// Gives a file its final name, durably.
pub(super) fn put(new: NamedTempFile, name: &Path) -> io::Result<()> {
    temporary::publish(new, name, 0o644, true)?;
    // An NFS server that gets a rename twice answers that there was nothing to rename, so the existing file decides.
    File::open(name.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Sleeps, if time is left before the deadline; returns whether there was.
fn has_slept(deadline: Option<Instant>, pause: Duration) -> bool {
    let in_time = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
    if in_time {
        std::thread::sleep(pause);
    }
    in_time
}
