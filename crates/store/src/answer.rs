//! The store's answer to a start: the environment, the lease to build it, or the reason why the start cannot have it from there.

use super::entry::StoreEntry;
use super::error::StoreError;
use super::failed::FailedAttempt;
use super::lease::{Lease, LeaseOwner};
use super::packed::Packed;
use super::shared_work::{WaitEvent, WorkAnswer};
use std::time::Instant;

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

impl StoreEntry {
    /// Waits until the environment exists, until this start is elected to build it, or until neither can be.
    pub fn get(&self, deadline: Option<Instant>, tell: &mut dyn FnMut(WaitEvent<'_>)) -> StoreAnswer {
        match self.work.get(deadline, &mut || self.packed(), tell) {
            WorkAnswer::Done(packed) => {
                self.touch();
                StoreAnswer::Packed(packed)
            }
            WorkAnswer::Do(lease) => StoreAnswer::Build(lease),
            WorkAnswer::Alone(failed) => StoreAnswer::Alone(failed),
            WorkAnswer::Failed(failed) => StoreAnswer::Failed(failed),
            WorkAnswer::Late(owner) => StoreAnswer::Late(owner),
            WorkAnswer::Unusable(error) => StoreAnswer::Unusable(error),
        }
    }
}
