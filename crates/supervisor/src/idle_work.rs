//! Idle-time work of PID 1: it returns touched memory to the kernel, because it may sleep for weeks.
//!
//! At once that would cost a short command more than a tenth of a millisecond, for pages that are needed again at its end
//! (docs/performance.md). No other work depends on it.

use super::clock::{Clock, due};
use std::time::Duration;
use sys::memory;

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

    /// Does the work that is due.
    pub(crate) fn tick(&mut self, now: Clock) {
        if due(self.0, now) {
            self.0 = None;
            memory::forget_the_past();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_a_second_of_rest_and_then_nothing_wakes_pid_1() {
        let mut work = IdleWork::default();
        work.tick(SETTLED);
        assert_eq!(work.deadline(), None);
        work.touched(Clock::ZERO);
        work.touched(SETTLED);
        work.tick(SETTLED);
        assert_eq!(work.deadline(), Some(2 * SETTLED));
        work.tick(2 * SETTLED);
        assert_eq!(work.deadline(), None);
    }
}
