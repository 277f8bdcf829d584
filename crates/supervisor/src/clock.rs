//! PID 1's time: a clock of its own, and how long the parts of a start took.

use std::time::Duration;

/// Time since PID 1 started; never goes back.
pub type Clock = Duration;

/// Whether a deadline has come.
pub fn due(at: Option<Clock>, now: Clock) -> bool {
    at.is_some_and(|at| now >= at)
}

/// How long the parts of one start took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until the workload was there.
    pub prepared: Duration,
    /// The workload, undisturbed.
    pub ran: Duration,
    /// From the stop on.
    pub stopping: Option<Duration>,
}
