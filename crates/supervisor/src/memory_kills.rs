//! How often the kernel has killed in this control group for want of memory, since there was something that it could kill.

use sys::process::{Ended, is_first};
use sys::{Root, cgroup};

/// The code of a death by SIGKILL, which is what the kernel sends.
const KILLED: u8 = 128 + libc::SIGKILL as u8;

/// What the counter said at the start.
#[derive(Debug, Default)]
pub struct MemoryKills(Option<u64>);

impl MemoryKills {
    /// Looks at the counter, if nobody has yet.
    pub fn begin(&mut self) {
        self.0 = self.0.or_else(count);
    }

    /// For the next run, to which the last one's memory says nothing.
    pub fn begin_again(&mut self) {
        self.0 = self.0.and_then(|_| count());
    }

    /// How often since then, for a main process that ended so; 0 where that is not known. What was over before anybody had looked cannot
    /// be compared, but the control group of a container is as new as its PID 1.
    pub fn since(&self, ended: Option<Ended>) -> u64 {
        let new = ended.map(Ended::code) == Some(KILLED) && is_first();
        let Some(before) = self.0.or(new.then_some(0)) else { return 0 };
        count().map_or(0, |now| now.saturating_sub(before))
    }

    /// Whether a kill for want of memory explains this end. Others send SIGKILL, too: only the counter tells which it was.
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
