//! PID 1's deadlines: one slot for each, so that none can be forgotten; PID 1 wakes up at the earliest.
//!
//! The slots are an array and no map, because PID 1 keeps its memory small.

use super::clock::{Clock, due};
use std::time::Duration;

/// A deadline of PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Preparing has taken too long.
    PrepareTimeout,
    /// The main process has ended by itself, and what it left behind gets SIGTERM.
    Settle,
    /// The time for saving is over, and every process gets SIGTERM.
    Term,
    /// Every process gets SIGKILL.
    Kill,
    /// The processes that a stop still waits for are named.
    NameLeft,
    /// PID 1 looks whether the processes that were told of a stop have ended, and what traps have passed on.
    TargetsLook,
    /// The processes that were told of a stop have ended, and the others get SIGTERM.
    ReleaseSpared,
    /// The workload may have handlers by now for the signals that wait for it.
    PendingSignals,
    /// No checkpoint has come since it was asked for.
    NotSaved,
    /// A stop has brought no checkpoint, so the log shows what the trainer is doing.
    NothingSaved,
    /// The checkpoint that the stop waited for is complete, and the stop signal follows.
    StopAfterSave,
    /// The watchdog looks for signs of life.
    WatchdogLook,
    /// The workload hangs, its stacks have been logged, and it is ended.
    WatchdogAbort,
    /// A sidecar starts again.
    SidecarStart,
    /// What is left of the sidecars gets SIGKILL.
    SidecarKill,
    /// A helper looks whether the container is used.
    UsageLook,
    /// The next warning of `lifetime`, or its end.
    Lifetime,
    /// The time for uploads is over.
    UploadEnd,
    /// The next run begins.
    Restart,
    /// A failed container is not kept open any longer.
    HoldEnd,
}

/// Number of timers.
const COUNT: usize = Timer::HoldEnd as usize + 1;

/// All deadlines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    at: [Option<Clock>; COUNT],
}

impl Timers {
    /// Returns when a timer falls due; `None` if it does not run.
    pub fn at(&self, timer: Timer) -> Option<Clock> {
        self.at.get(timer as usize).copied().flatten()
    }

    /// Returns whether a timer runs.
    pub fn runs(&self, timer: Timer) -> bool {
        self.at(timer).is_some()
    }

    /// Sets a timer; `None` stops it.
    pub fn set(&mut self, timer: Timer, at: impl Into<Option<Clock>>) {
        if let Some(slot) = self.at.get_mut(timer as usize) {
            *slot = at.into();
        }
    }

    /// Sets a timer, unless it falls due earlier already.
    pub fn advance(&mut self, timer: Timer, at: Option<Clock>) {
        self.set(timer, [self.at(timer), at].into_iter().flatten().min());
    }

    /// Stops some timers.
    pub fn stop(&mut self, timers: &[Timer]) {
        timers.iter().for_each(|timer| self.set(*timer, None));
    }

    /// Returns whether a timer has fallen due.
    pub fn is_due(&self, timer: Timer, now: Clock) -> bool {
        due(self.at(timer), now)
    }

    /// Returns whether a timer has fallen due, and stops it in that case.
    pub fn take_due(&mut self, timer: Timer, now: Clock) -> bool {
        let due = self.is_due(timer, now);
        if due {
            self.set(timer, None);
        }
        due
    }

    /// Returns the time until a timer falls due; `None` if it does not run.
    pub fn left(&self, timer: Timer, now: Clock) -> Option<Duration> {
        self.at(timer).map(|at| at.saturating_sub(now))
    }

    /// Returns when the first of all timers falls due.
    pub fn next(&self) -> Option<Clock> {
        self.at.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Clock {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_next_and_one_that_was_taken_is_gone() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::HoldEnd, at(9));
        timers.set(Timer::PrepareTimeout, at(3));
        assert_eq!(timers.next(), Some(at(3)));
        assert!(!timers.take_due(Timer::PrepareTimeout, at(2)) && timers.take_due(Timer::PrepareTimeout, at(3)));
        assert_eq!((timers.next(), timers.left(Timer::HoldEnd, at(4))), (Some(at(9)), Some(at(5))));
        timers.stop(&[Timer::HoldEnd]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn one_that_is_advanced_is_never_put_off() {
        let mut timers = Timers::default();
        for (given, then) in [(None, None), (Some(at(5)), Some(at(5))), (Some(at(9)), Some(at(5))), (None, Some(at(5)))]
        {
            timers.advance(Timer::Kill, given);
            assert_eq!(timers.at(Timer::Kill), then);
        }
    }
}
