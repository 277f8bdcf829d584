//! Idle-time work of PID 1: when to return touched memory to the kernel, because it may sleep for weeks.
//!
//! At once that would cost a short command more than a tenth of a millisecond, for pages that are needed again at its end
//! (docs/performance.md). No other work depends on it.

use super::clock::{Clock, due};
use std::time::Duration;

/// Time without an event after which the work is done.
const SETTLED: Duration = Duration::from_secs(1);

/// When the work is due.
#[derive(Debug, Default)]
pub(crate) struct IdleWork(Option<Clock>);

impl IdleWork {
    /// Notes that more memory was touched than a sleep needs.
    pub(crate) fn touched(&mut self, now: Clock) {
        self.0 = Some(now + SETTLED);
    }

    /// Returns when there is work to do.
    pub(crate) fn deadline(&self) -> Option<Clock> {
        self.0
    }

    /// Returns whether the work is due, once.
    pub(crate) fn take_due(&mut self, now: Clock) -> bool {
        self.0.take_if(|at| due(Some(*at), now)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_a_second_of_rest_and_then_nothing_wakes_pid_1() {
        let mut work = IdleWork::default();
        assert!(!work.take_due(SETTLED));
        assert_eq!(work.deadline(), None);
        work.touched(Clock::ZERO);
        work.touched(SETTLED);
        assert!(!work.take_due(SETTLED));
        assert_eq!(work.deadline(), Some(2 * SETTLED));
        assert!(work.take_due(2 * SETTLED));
        assert_eq!(work.deadline(), None);
    }
}
