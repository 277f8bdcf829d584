//! Counts how often the kernel's out-of-memory killer acted in this control group since the start.

use sys::process::{Ended, is_first};
use sys::{Root, cgroup};

/// The exit code of a death by SIGKILL, which is the signal that the out-of-memory killer sends.
const KILLED: u8 = 128 + libc::SIGKILL as u8;

/// The value of the counter at the start.
#[derive(Debug, Default)]
pub struct MemoryKills(Option<u64>);

impl MemoryKills {
    /// Reads the counter, unless it was read before.
    pub fn begin(&mut self) {
        self.0 = self.0.or_else(count);
    }

    /// Reads the counter anew for the next run, because the last run's kills do not concern it.
    pub fn begin_again(&mut self) {
        self.0 = self.0.and_then(|_| count());
    }

    /// Returns the number of kills since the start, for a main process that ended this way; 0 if it is not known.
    ///
    /// Without a first reading the start value is 0 for a PID 1, because the control group of a container is as new as its PID 1.
    pub fn since(&self, ended: Option<Ended>) -> u64 {
        let new = ended.map(Ended::code) == Some(KILLED) && is_first();
        let Some(before) = self.0.or(new.then_some(0)) else { return 0 };
        count().map_or(0, |now| now.saturating_sub(before))
    }

    /// Returns whether an out-of-memory kill explains this end; other processes send SIGKILL, too, so the counter decides.
    pub fn explain(&self, ended: Ended) -> bool {
        ended == Ended::Killed(libc::SIGKILL) && self.since(Some(ended)) > 0
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
        for ended in [Ended::Exited(137), Ended::Killed(libc::SIGSEGV)] {
            assert!(!MemoryKills(Some(0)).explain(ended));
        }
        assert_eq!(MemoryKills(Some(u64::MAX)).since(None), 0);
    }
}
