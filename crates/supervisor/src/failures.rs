//! Failed system calls: each reason is logged once, and a call that must succeed is repeated after a pause.

use super::clock::{Clock, due};
use super::log::Log;
use nix::errno::Errno;
use protocol::handover::Level;
use std::time::Duration;

/// The pause before a failed call is repeated.
const PAUSE: Duration = Duration::from_millis(50);

/// The failures so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    told: Vec<(&'static str, Errno)>,
    again_at: Option<Clock>,
}

impl Failures {
    /// Logs a failure that needs no repetition.
    pub(crate) fn tell(&mut self, log: Log<'_>, what: &'static str, errno: Errno) {
        if !self.told.contains(&(what, errno)) {
            self.told.push((what, errno));
            log.write(Level::Warn, &format!("{what} failed: {}", protocol::errno::words(errno)));
        }
    }

    /// Schedules the repetition of a failed call.
    pub(crate) fn again(&mut self, now: Clock) {
        self.again_at = Some(now + PAUSE);
    }

    /// Returns when the next repetition is due.
    pub(crate) fn deadline(&self) -> Option<Clock> {
        self.again_at
    }

    /// Returns whether a repetition is due, and clears it.
    pub(crate) fn is_due(&mut self, now: Clock) -> bool {
        let due = due(self.again_at, now);
        if due {
            self.again_at = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_made_again_once_after_a_pause() {
        let mut failures = Failures::default();
        assert_eq!((failures.deadline(), failures.is_due(PAUSE)), (None, false));
        failures.again(PAUSE);
        assert_eq!((failures.deadline(), failures.is_due(PAUSE)), (Some(2 * PAUSE), false));
        assert_eq!((failures.is_due(2 * PAUSE), failures.is_due(2 * PAUSE)), (true, false));
    }

    #[test]
    fn each_reason_is_told_once() {
        let mut failures = Failures::default();
        let errors = [Errno::EIO, Errno::ENOMEM, Errno::EIO];
        errors.into_iter().for_each(|errno| failures.tell(Log::default(), "a test's call", errno));
        assert_eq!(failures.told.len(), 2);
    }
}
