//! Whose turn it is to build an environment: decided from what the store shows, by times of one's own clock alone. No file lock is
//! trusted, and clocks of other machines are not compared. Pure.
//!
//! Builders are told apart from dead ones by their lease: its bytes change while they live. What is decided wrongly, because a
//! network was away for a minute, costs a second build and nothing else: environments are published whole and by one rename.

use super::failed::FailedAttempt;
use std::time::Duration;

/// A lease whose bytes have not changed for so long is a dead builder's.
pub const STALE: Duration = Duration::from_secs(60);

/// The shortest wait between two looks, and the longest. In between it is an eighth of the whole wait so far: nobody waits much longer
/// than the building takes, and a thousand replicas do not ask a server all the time.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What the store shows of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// It is there.
    pub finished: bool,
    /// An attempt that failed not long ago.
    pub failed: Option<FailedAttempt>,
    /// The bytes of the lease, if somebody has it.
    pub lease: Option<Vec<u8>>,
    /// Its owner is known to be dead.
    pub orphaned: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionStep {
    /// Take what is there.
    Take,
    /// Fail as the others did.
    Fail(FailedAttempt),
    /// Build for oneself: it cannot be shared.
    Alone(FailedAttempt),
    /// Try to get the lease.
    Build,
    /// Take this lease away from a dead builder.
    TakeOver(Vec<u8>),
    /// Look again after so long.
    Wait(Duration),
}

/// One start that waits.
#[derive(Clone, Debug, Default)]
pub struct Election {
    /// The lease as it was last seen, and since when.
    seen: Option<(Vec<u8>, Duration)>,
}

impl Election {
    /// Decides. `now` is a time that only grows.
    pub fn step(&mut self, now: Duration, look: Snapshot) -> ElectionStep {
        if look.finished {
            return ElectionStep::Take;
        }
        match look.failed {
            Some(failed) if failed.is_for_all() => return ElectionStep::Fail(failed),
            Some(failed) if failed.alone => return ElectionStep::Alone(failed),
            _ => {}
        }
        let Some(lease) = look.lease else {
            self.seen = None;
            return ElectionStep::Build;
        };
        let since = match &self.seen {
            Some((known, since)) if *known == lease => *since,
            _ => now,
        };
        if look.orphaned || now.saturating_sub(since) >= STALE {
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
