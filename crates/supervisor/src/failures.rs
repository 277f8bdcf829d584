//! Calls that failed: told once for each reason, however often that comes, and made again after a pause where something depends on them.

use super::clock::{Clock, due};
use super::log::Log;
use nix::errno::Errno;
use protocol::handover::Level;
use std::time::Duration;

/// The pause before a call that the kernel gave no answer to is made again.
const PAUSE: Duration = Duration::from_millis(50);

/// What failed so far.
#[derive(Debug, Default)]
pub struct Failures {
    told: Vec<(&'static str, Errno)>,
    again_at: Option<Clock>,
}

impl Failures {
    /// Something failed, and that is all.
    pub fn tell(&mut self, log: Log, what: &'static str, errno: Errno) {
        if !self.told.contains(&(what, errno)) {
            self.told.push((what, errno));
            log.write(Level::Warn, &format!("{what} failed: {}", errno.desc()));
        }
    }

    /// A call failed that is made again.
    pub fn again(&mut self, now: Clock) {
        self.again_at = Some(now + PAUSE);
    }

    /// When that is.
    pub fn deadline(&self) -> Option<Clock> {
        self.again_at
    }

    /// Whether it is now; says so once.
    pub fn is_due(&mut self, now: Clock) -> bool {
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
