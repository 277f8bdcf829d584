//! Signals that came while prepare ran: kept until the workload has a handler for them, because most would kill it without one.
//!
//! A program that was just executed has no handlers, so it is checked again after growing pauses; then the signals are dropped.

use super::clock::Clock;
use super::timers::{Timer, Timers};
use std::time::Duration;
use sys::Signal;

/// Time from the workload's start to the first check; doubled each time.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// The last pause; with the earlier ones a program has about fifty seconds to set its handlers.
const LAST_PAUSE: Duration = Duration::from_secs(26);

/// The set of waiting signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingSignals {
    signals: u64,
    pause: Duration,
}

impl PendingSignals {
    /// Keeps a signal.
    pub(crate) fn keep(&mut self, signal: Signal) {
        self.signals |= signal.bit();
    }

    /// Starts to check for handlers, because the workload is there.
    pub(crate) fn begin(&mut self, timers: &mut Timers, now: Clock) {
        if self.signals != 0 {
            self.pause = FIRST_LOOK;
            timers.set(Timer::PendingSignals, now + FIRST_LOOK);
        }
    }

    /// Returns the signals to deliver now to a process that catches them; `None` if it is not yet time.
    pub(crate) fn tick(&mut self, timers: &mut Timers, now: Clock) -> Option<u64> {
        if !timers.take_due(Timer::PendingSignals, now) {
            return None;
        }
        self.pause *= 2;
        timers.set(Timer::PendingSignals, (self.pause <= LAST_PAUSE).then(|| now + self.pause));
        Some(self.signals)
    }

    /// Removes signals that were delivered.
    pub(crate) fn delivered(&mut self, signals: u64, timers: &mut Timers) {
        self.signals &= !signals;
        if self.signals == 0 {
            timers.set(Timer::PendingSignals, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_ever_less_often_and_not_for_ever() {
        let (mut held, mut timers) = (PendingSignals::default(), Timers::default());
        held.begin(&mut timers, Duration::ZERO);
        assert_eq!(timers.next(), None);
        held.keep(Signal::USR1);
        held.keep(Signal::WINCH);
        held.begin(&mut timers, Duration::from_secs(3));
        let mut looks = Vec::new();
        while let Some(at) = timers.next() {
            assert_eq!(held.tick(&mut timers, at - Duration::from_millis(1)), None);
            looks.push(held.tick(&mut timers, at).unwrap());
        }
        assert_eq!(looks, [Signal::USR1.bit() | Signal::WINCH.bit(); 10]);
    }

    #[test]
    fn what_was_delivered_is_not_delivered_again() {
        let (mut held, mut timers) = (PendingSignals::default(), Timers::default());
        held.keep(Signal::USR1);
        held.begin(&mut timers, Duration::ZERO);
        held.delivered(Signal::USR1.bit(), &mut timers);
        assert_eq!(timers.next(), None);
    }
}
