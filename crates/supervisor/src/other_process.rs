//! A process that is not this one's child: another process reaps it, and its pid may then be used again.

use sys::{Pid, proc};

/// A process by its pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtherProcess {
    /// The pid.
    pub pid: Pid,
    /// When it started; `None` where /proc shows another pid namespace, and no process is known there.
    start: Option<u64>,
}

impl OtherProcess {
    /// Returns a process that exists; `None` if it does not, or cannot be known.
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        proc::start_time(pid).map(|start| OtherProcess { pid, start: Some(start) })
    }

    /// Returns a process that may not exist any more; then it does not run.
    pub(crate) fn named(pid: Pid) -> Self {
        OtherProcess { pid, start: proc::start_time(pid) }
    }

    /// Returns whether the process still runs: it exists, and does not only wait to be reaped.
    pub(crate) fn runs(&self) -> bool {
        self.start.is_some()
            && proc::start_time(self.pid) == self.start
            && proc::status(self.pid).is_some_and(|status| status.state != 'Z')
    }
}
