//! Shares environments that are built once, between the replicas of a job and its later starts. A directory on a common volume contains
//! each environment as one file. A start works without the store if the store fails.
//!
//! `election` decides which start builds. Other starts see its decision as `lease`, `failed` and the packed file. `archive`, `pack` and
//! `unpack` handle that file, and `garbage` keeps the directory small.

pub mod archive;
mod election;
mod entry;
mod error;
pub mod failed;
mod garbage;
mod install_root;
pub mod lease;
mod names;
mod pack;
mod queue;
mod store_dir;
mod unpack;

pub use entry::{EntryState, StoreEntry};
pub use error::{FileError, PublishError, StoreError};
pub use garbage::{GarbageCandidate, RemovedEntry, chosen, inventory, prune};
pub use install_root::InstallRoot;
pub use unpack::below;

use super::protect;
use super::stamp::VersionsByName as Versions;
use super::ticker::Ticker;
use crate::error::{Error, ErrorKind, Result};
use crate::report;
use archive::{ArchiveIndex, ArchiveManifest};
use election::{Election, ElectionStep};
use failed::FailedAttempt;
use lease::{Lease, LeaseOwner, Takeover};
use protocol::exit_code::FailureFamily;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time for another start to finish taking a dead builder's lease away.
const AFTER_ANOTHER: Duration = Duration::from_secs(1);

/// The store's answer to a start.
#[derive(Debug)]
pub enum StoreAnswer {
    /// The environment exists.
    Packed(Packed),
    /// This start has to build for all, and holds the lease.
    Build(Lease),
    /// This start has to build for itself only.
    Nothing,
}

/// A packed environment that is whole and of a trusted owner.
#[derive(Debug)]
pub struct Packed {
    index: ArchiveIndex,
    file: File,
}

impl Packed {
    /// Returns the description of the environment.
    pub fn manifest(&self) -> &ArchiveManifest {
        &self.index.manifest
    }

    /// Unpacks the environment; after an error the files made so far are removed.
    ///
    /// # Errors
    /// Returns the error of reading or writing.
    pub fn unpack(self, place: &InstallRoot, ticker: &mut Ticker, tell: &mut dyn FnMut(&str)) -> io::Result<()> {
        let (whole, mut made) = (self.index.manifest.bytes, unpack::UnpackState::default());
        let mut told =
            |bytes| ticker.tick(|| format!("unpacking {} of {}", text::size(bytes), text::size(whole)), tell);
        let done = unpack::unpack(&self.index, self.file, &place.root, &mut made, &mut told);
        if done.is_err() {
            made.undo();
        }
        done
    }
}

impl StoreEntry {
    /// Waits until the environment exists, or until this start is elected to build it.
    ///
    /// # Errors
    /// Fails if an earlier start found that it cannot be built (116, 216), or if the time is over (216).
    pub fn get(
        &self,
        deadline: Option<Instant>,
        ticker: &mut Ticker,
        tell: &mut dyn FnMut(&str),
    ) -> Result<StoreAnswer> {
        let (began, mut turn, me) = (Instant::now(), Election::default(), LeaseOwner::this());
        let mut takeover = Takeover::default();
        loop {
            let (look, packed) = match self.snapshot() {
                Ok(seen) => seen,
                Err(error) => return Ok(self.without(&report::chain(&error), tell)),
            };
            let owner = look.lease.as_deref().and_then(lease::read).unwrap_or_default();
            match turn.step(began.elapsed(), look) {
                ElectionStep::Take => {
                    self.touch();
                    return Ok(packed.map_or(StoreAnswer::Nothing, StoreAnswer::Packed));
                }
                ElectionStep::Fail(failed) => return Err(failed.error(&self.names.failed)),
                ElectionStep::Alone(failed) => {
                    return Ok(self.without(&format!("{}, seen on {}", failed.what(), failed.host), tell));
                }
                ElectionStep::TakeOver(judged) if !takeover.may_begin(&self.names.lease, &judged) => {
                    wait(deadline, AFTER_ANOTHER, &owner)?;
                }
                ElectionStep::TakeOver(judged) => {
                    let who = name(&owner);
                    tell(&format!("{who}, which began to build the environment for all, is gone: it is begun anew"));
                    Lease::take_away(&self.names.lease, &judged, &me);
                }
                ElectionStep::Build => match self.build(&me) {
                    Ok(Some(mut lease)) => {
                        lease.keep(takeover);
                        return Ok(StoreAnswer::Build(lease));
                    }
                    Ok(None) => {}
                    Err(error) => return Ok(self.without(&report::chain(&StoreError::Lease(error)), tell)),
                },
                ElectionStep::Wait(pause) => {
                    wait(deadline, pause, &owner)?;
                    ticker.tick(|| words(&owner), tell);
                }
            }
        }
    }

    /// Tries to get the lease. Another start may have published since the snapshot, so the environment is looked for once more.
    fn build(&self, me: &LeaseOwner) -> io::Result<Option<Lease>> {
        let Some(lease) = Lease::take(&self.names.lease, me.clone())? else { return Ok(None) };
        Ok((!self.names.packed.exists() || self.is_bad()).then_some(lease))
    }

    fn without(&self, why: &str, tell: &mut dyn FnMut(&str)) -> StoreAnswer {
        tell(&format!("deps.store is of no use for this start: {}: {why}", self.directory.display()));
        StoreAnswer::Nothing
    }

    /// Publishes the installed environment; a failure to do so does not fail the start.
    pub fn publish<'a>(
        &self,
        lease: &mut Lease,
        place: &InstallRoot,
        manifest: ArchiveManifest,
        metadata: impl Iterator<Item = &'a Path>,
        tell: &mut dyn FnMut(&str),
    ) {
        let began = Instant::now();
        let done = pack::files(place, metadata)
            .and_then(|files| self.write(lease, place, manifest, &files).map_err(PublishError::Write));
        match done {
            Ok((plain, packed)) => {
                let (plain, packed, took) = (text::size(plain), text::size(packed), text::time(began.elapsed()));
                tell(&format!(
                    "packed for other starts: {plain} as {packed}, in {took}; {}",
                    self.names.packed.display()
                ));
                garbage::prune(&self.directory, self.limit, None, false).iter().for_each(|taken| tell(&taken.words()));
            }
            Err(error) => {
                let why = report::chain(&error);
                tell(&format!("not shared with other starts (deps.store): {why}"));
                self.leave(&FailedAttempt::alone(&why, &lease.owner().host));
            }
        }
    }

    /// Leaves a marker that the environment cannot be built.
    pub fn fail(&self, error: &Error) {
        self.leave(&FailedAttempt::new(error, &LeaseOwner::this().host, self.failed().as_ref()));
    }

    fn leave(&self, failed: &FailedAttempt) {
        if let Ok(json) = serde_json::to_vec(failed) {
            let _ = super::stamp::replace(&self.names.failed, &json);
        }
    }
}

/// Sleeps, if time is left before the deadline.
fn wait(deadline: Option<Instant>, pause: Duration, owner: &LeaseOwner) -> Result<()> {
    if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
        let what = format!("{} did not finish building the environment in time", name(owner));
        return Err(Error::new(ErrorKind::Transient(FailureFamily::Deps), what)
            .because("this start waits for it, since deps.store is set")
            .hint("a longer time: TRAINIT_DEPS_TIMEOUT=1h; or build it before the job starts: trainit deps install"));
    }
    std::thread::sleep(pause);
    Ok(())
}

fn name(owner: &LeaseOwner) -> &str {
    if owner.host.is_empty() { "another start" } else { &owner.host }
}

fn words(owner: &LeaseOwner) -> String {
    let doing = if owner.doing.is_empty() { String::new() } else { format!(": {}", owner.doing) };
    format!("waiting for {}, which builds the environment for all{doing}", name(owner))
}

/// Lists the names of earlier packages that are gone or have another version now.
pub fn gone(before: &Versions, now: &Versions) -> Vec<String> {
    before.iter().filter(|(name, version)| now.get(*name) != Some(version)).map(|(name, _)| name.clone()).collect()
}

/// Lists the packages that came, with versions.
pub fn arrived_packages(before: &Versions, now: &requirements::installed::Installed) -> Vec<(String, String)> {
    let words = |found: &requirements::installed::Distribution| {
        Some((found.name.to_string(), found.version.as_ref()?.to_string()))
    };
    let mut all: Vec<_> = protect::new(before, now).filter_map(words).collect();
    all.sort();
    all
}
