//! The store's answer to a start: the environment, the lease to build it, or the reason why the start cannot have it from there. Waiting
//! for that answer happens here, by the decisions of `election`.

use super::election::{Election, ElectionStep};
use super::entry::{Found, StoreEntry};
use super::error::StoreError;
use super::failed::FailedAttempt;
use super::lease::{self, Lease, LeaseOwner, Takeover};
use super::packed::Packed;
use std::io;
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
    /// Each start has to build for itself, because an earlier one found that the environment cannot be shared.
    Alone(FailedAttempt),
    /// An earlier start found that the environment cannot be built.
    Failed(FailedAttempt),
    /// The time is over, and this builder has not finished.
    Late(LeaseOwner),
    /// The store is of no use, for this reason.
    Unusable(StoreError),
}

/// A change that a waiting start may report.
#[derive(Clone, Copy, Debug)]
pub enum WaitEvent<'a> {
    /// The start goes on waiting for this builder.
    Waits(&'a LeaseOwner),
    /// This builder is dead, and its lease is taken away.
    TakesOver(&'a LeaseOwner),
}

impl StoreEntry {
    /// Waits until the environment exists, until this start is elected to build it, or until neither can be.
    pub fn get(&self, deadline: Option<Instant>, tell: &mut dyn FnMut(WaitEvent<'_>)) -> StoreAnswer {
        let (began, mut election, me) = (Instant::now(), Election::default(), LeaseOwner::this());
        let mut takeover = Takeover::default();
        loop {
            let snapshot = match self.look() {
                Ok(Found::Packed(packed)) => {
                    self.touch();
                    return StoreAnswer::Packed(packed);
                }
                Ok(Found::Missing(snapshot)) => snapshot,
                Err(error) => return StoreAnswer::Unusable(error),
            };
            let owner = snapshot.lease.as_deref().and_then(lease::read).unwrap_or_default();
            match election.step(began.elapsed(), snapshot) {
                ElectionStep::Fail(failed) => return StoreAnswer::Failed(failed),
                ElectionStep::Alone(failed) => return StoreAnswer::Alone(failed),
                ElectionStep::TakeOver(judged) if !takeover.may_begin(&self.names.lease, &judged) => {
                    if !has_slept(deadline, AFTER_ANOTHER) {
                        return StoreAnswer::Late(owner);
                    }
                }
                ElectionStep::TakeOver(judged) => {
                    tell(WaitEvent::TakesOver(&owner));
                    Lease::take_away(&self.names.lease, &judged, &me);
                }
                ElectionStep::Build => match self.build(&me) {
                    Ok(Some(mut lease)) => {
                        lease.keep(takeover);
                        return StoreAnswer::Build(lease);
                    }
                    Ok(None) => {}
                    Err(error) => return StoreAnswer::Unusable(StoreError::Lease(error)),
                },
                ElectionStep::Wait(pause) => {
                    if !has_slept(deadline, pause) {
                        return StoreAnswer::Late(owner);
                    }
                    tell(WaitEvent::Waits(&owner));
                }
            }
        }
    }

    /// Tries to get the lease. Another start may have published since the snapshot, so the environment is looked for once more.
    fn build(&self, me: &LeaseOwner) -> io::Result<Option<Lease>> {
        let Some(lease) = Lease::take(&self.names.lease, me.clone())? else { return Ok(None) };
        Ok((!self.names.packed.exists() || self.is_bad()).then_some(lease))
    }
}

/// Sleeps, if time is left before the deadline; returns whether there was.
fn has_slept(deadline: Option<Instant>, pause: Duration) -> bool {
    let in_time = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
    if in_time {
        std::thread::sleep(pause);
    }
    in_time
}
