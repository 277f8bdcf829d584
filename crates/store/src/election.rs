//! Decides which start builds an environment, by the contents of the store and times of the local clock alone. It trusts no file lock, and
//! compares no clocks of different machines. Pure.
//!
//! A living builder changes the bytes of its lease, and a dead one does not. A wrong decision, for example after a minute without network,
//! costs a second build and nothing else. Environments are published whole and by one rename.

use super::failed::FailedAttempt;
use std::time::Duration;

/// The time without a change after which a lease counts as a dead builder's.
pub(super) const STALE: Duration = Duration::from_secs(60);

/// The shortest and the longest wait between two snapshots. In between, a wait is an eighth of the whole wait so far. A start then waits
/// little longer than the build takes, and a thousand replicas do not overload a file server.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The contents of the store for one environment that does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// A recent failed attempt.
    pub failed: Option<FailedAttempt>,
    /// The bytes of the lease, if there is one.
    pub lease: Option<Vec<u8>>,
    /// Whether the lease's owner is known to be dead.
    pub orphaned: bool,
}

/// The next step of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElectionStep {
    /// Fail with the error of the other starts.
    Fail(FailedAttempt),
    /// Build for this start only, because the environment cannot be shared.
    Alone(FailedAttempt),
    /// Try to get the lease.
    Build,
    /// Follow the dead builder of this lease.
    TakeOver(Vec<u8>),
    /// Take the next snapshot after so long.
    Wait(Duration),
}

/// The view of one waiting start.
#[derive(Clone, Debug)]
pub(super) struct Election {
    stale: Duration,
    /// The last seen lease, and the time since when it has been unchanged.
    seen: Option<(Vec<u8>, Duration)>,
}

impl Election {
    /// Begins an election in which a lease that did not change for so long is a dead builder's.
    pub(super) fn after(stale: Duration) -> Self {
        Election { stale, seen: None }
    }

    /// Decides the next step; `now` is a monotonic time.
    pub(super) fn step(&mut self, now: Duration, snapshot: Snapshot) -> ElectionStep {
        match snapshot.failed {
            Some(failed) if failed.is_for_all() => return ElectionStep::Fail(failed),
            Some(failed) if failed.alone => return ElectionStep::Alone(failed),
            _ => {}
        }
        let Some(lease) = snapshot.lease else {
            self.seen = None;
            return ElectionStep::Build;
        };
        let since = match &self.seen {
            Some((known, since)) if *known == lease => *since,
            _ => now,
        };
        if snapshot.orphaned || now.saturating_sub(since) >= self.stale {
            self.seen = None;
            return ElectionStep::TakeOver(lease);
        }
        self.seen = Some((lease, since));
        ElectionStep::Wait((now / 8).clamp(WAIT.0, WAIT.1))
    }
}

#[cfg(test)]
#[path = "election/tests.rs"]
mod tests;
