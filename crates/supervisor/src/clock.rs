//! PID 1's clock, and the durations of the phases of a start.

use std::time::Duration;

/// Time since PID 1 started, which never goes back.
pub(crate) type Clock = Duration;

/// Returns whether a deadline has come.
pub(crate) fn due(at: Option<Clock>, now: Clock) -> bool {
    at.is_some_and(|at| now >= at)
}

/// The durations of the phases of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Time until the workload ran.
    pub prepared: Duration,
    /// Time that the workload ran before a stop.
    pub ran: Duration,
    /// Time since the stop; `None` without a stop.
    pub stopping: Option<Duration>,
}
