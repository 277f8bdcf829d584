//! Signals that came while prepare ran: kept until the workload has a handler for them, because without one most would kill it. A
//! program that was just executed has none, so it is looked at again after a while, ever less often; then they are dropped.

use super::clock::{Clock, due};
use std::ffi::c_int;
use std::time::Duration;
use sys::signal;

/// From the workload's begin to the first look; doubled each time.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// The last pause; with those before it a program has some fifty seconds to set its handlers.
const LAST_PAUSE: Duration = Duration::from_secs(26);

/// What waits, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PendingSignals {
    signals: u64,
    pause: Duration,
    look_at: Option<Clock>,
}

impl PendingSignals {
    pub fn keep(&mut self, number: c_int) {
        self.signals |= signal::bit(number);
    }

    /// The workload is there.
    pub fn begin(&mut self, now: Clock) {
        if self.signals != 0 {
            (self.pause, self.look_at) = (FIRST_LOOK, Some(now + FIRST_LOOK));
        }
    }

    pub fn deadline(&self) -> Option<Clock> {
        self.look_at
    }

    /// What is to be delivered now to whom it fits; nothing, if it is not yet time.
    pub fn look(&mut self, now: Clock) -> Option<u64> {
        if !due(self.look_at, now) {
            return None;
        }
        self.pause *= 2;
        self.look_at = (self.pause <= LAST_PAUSE).then(|| now + self.pause);
        Some(self.signals)
    }

    /// These were delivered.
    pub fn delivered(&mut self, signals: u64) {
        self.signals &= !signals;
        if self.signals == 0 {
            self.look_at = None;
        }
    }

    pub fn forget(&mut self) {
        *self = PendingSignals::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_ever_less_often_and_not_for_ever() {
        let mut held = PendingSignals::default();
        held.begin(Duration::ZERO);
        assert_eq!(held.deadline(), None);
        held.keep(libc::SIGUSR1);
        held.keep(libc::SIGWINCH);
        held.begin(Duration::from_secs(3));
        let mut looks = Vec::new();
        while let Some(at) = held.deadline() {
            assert_eq!(held.look(at - Duration::from_millis(1)), None);
            looks.push(held.look(at).unwrap());
        }
        assert_eq!(looks, [signal::bit(libc::SIGUSR1) | signal::bit(libc::SIGWINCH); 10]);
    }

    #[test]
    fn what_was_delivered_is_not_delivered_again() {
        let mut held = PendingSignals::default();
        held.keep(libc::SIGUSR1);
        held.begin(Duration::ZERO);
        held.delivered(signal::bit(libc::SIGUSR1));
        assert_eq!(held.deadline(), None);
    }
}
