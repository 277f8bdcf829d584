//! The clock of PID 1, which stands still while the container is suspended (`docker pause`, a frozen control group, SIGSTOP).
//!
//! The workload cannot use that time, so it is not taken from a grace. The kernel does not report a suspension. It shows as a sleep that
//! ends long after its deadline.

use super::clock::Clock;
use std::time::{Duration, Instant};

/// A sleep that ends later than this after its deadline was a suspension; a busy machine is less late.
const LATE: Duration = Duration::from_secs(2);

/// Longest sleep while deadlines matter: at most so much of a suspension counts.
pub(crate) const WATCHED: Duration = Duration::from_secs(1);

/// The time since PID 1 started, without suspensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AwakeClock {
    since: Instant,
    suspended: Duration,
}

impl AwakeClock {
    /// Returns a clock that began at this time.
    pub(crate) fn of(since: Instant) -> Self {
        AwakeClock { since, suspended: Duration::ZERO }
    }

    /// Returns when the clock began.
    pub(crate) fn began(&self) -> Instant {
        self.since
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Clock {
        self.since.elapsed().saturating_sub(self.suspended)
    }

    /// Takes note of the end of a sleep that was to end at `deadline`; returns how long a suspension was, if there was one.
    pub(crate) fn woke(&mut self, deadline: Option<Clock>) -> Option<Duration> {
        let suspension = suspension(deadline?, self.now())?;
        self.suspended += suspension;
        Some(suspension)
    }
}

fn suspension(deadline: Clock, now: Clock) -> Option<Duration> {
    let late = now.saturating_sub(deadline);
    (late > LATE).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_that_is_a_little_late_is_no_suspension() {
        let at = Duration::from_secs;
        assert_eq!((suspension(at(10), at(9)), suspension(at(10), at(12))), (None, None));
        assert_eq!(suspension(at(10), at(100)), Some(at(90)));
    }

    #[test]
    fn a_suspension_does_not_count() {
        let mut clock = AwakeClock::of(Instant::now() - Duration::from_secs(100));
        assert_eq!(clock.woke(None), None);
        assert!(clock.woke(Some(Duration::from_secs(40))).is_some_and(|time| time >= Duration::from_secs(60)));
        assert!(clock.now() >= Duration::from_secs(40) && clock.now() < Duration::from_secs(50));
        assert_eq!(clock.woke(Some(clock.now())), None);
    }
}
