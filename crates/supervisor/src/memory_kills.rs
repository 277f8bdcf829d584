//! Counts how often the kernel's out-of-memory killer acted in this control group since the start.

use sys::Signal;
use sys::process::{Ended, is_first};
use sys::{Root, cgroup};

/// The exit code of a death by SIGKILL, which is the signal that the out-of-memory killer sends.
const KILLED: u8 = 128 + Signal::KILL.number();

/// The value of the counter at the start.
#[derive(Debug, Default)]
pub(crate) struct MemoryKills(Option<u64>);

impl MemoryKills {
    /// Takes the counter for the start, unless that was done before. A main process that is dead afterwards may be one of those that the
    /// kernel killed: then there is nothing to compare with.
    pub(crate) fn begin(&mut self, main_lives: impl FnOnce() -> bool) {
        if self.0.is_none() {
            self.0 = count().filter(|_| main_lives());
        }
    }

    /// Reads the counter anew for the next run, because the last run's kills do not concern it.
    pub(crate) fn begin_again(&mut self) {
        self.0 = count();
    }

    /// Returns the number of kills since the start, for a main process that ended this way; 0 if it is not known.
    ///
    /// Without a first reading the start value is 0 for a PID 1, because the control group of a container is as new as its PID 1.
    pub(crate) fn since(&self, ended: Option<Ended>) -> u64 {
        let new = ended.map(Ended::code) == Some(KILLED) && is_first();
        let Some(before) = self.0.or(new.then_some(0)) else { return 0 };
        count().map_or(0, |now| now.saturating_sub(before))
    }

    /// Returns whether an out-of-memory kill explains this end; other processes send SIGKILL, too, so the counter decides.
    pub(crate) fn explain(&self, ended: Ended) -> bool {
        ended == Ended::Killed(Signal::KILL) && self.since(Some(ended)) > 0
    }
}

fn count() -> Option<u64> {
    cgroup::memory_kills(&Root::real())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ends_than_by_sigkill_are_not_explained() {
        for ended in [Ended::Exited(137), Ended::Killed(Signal::SEGV)] {
            assert!(!MemoryKills(Some(0)).explain(ended));
        }
        assert_eq!(MemoryKills(Some(u64::MAX)).since(None), 0);
    }

    #[test]
    fn a_count_that_was_taken_after_the_main_process_died_is_not_kept() {
        let mut kills = MemoryKills::default();
        kills.begin(|| false);
        assert_eq!(kills.0, None);
    }
}
