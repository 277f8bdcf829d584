//! A stop as data: its reason, its signal, and the division of its time. Pure.

use super::clock::Clock;
use super::signal_policy::stop_signal;
use protocol::handover::{NoticeKind, StopSignal};
use std::time::Duration;
use sys::Signal;
use sys::signal::Arrived;

/// A stop that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPlan {
    /// The signal that asked, and who sent it.
    pub arrived: Arrived,
    /// The signal that is passed on.
    pub signal: Signal,
    /// The whole budget; `None` if there is none.
    pub grace: Option<Duration>,
    /// When the stop began.
    pub at: Clock,
    /// What the stop met.
    pub met: StopCircumstance,
}

/// The phase that a stop meets, which decides what can be lost and what the exit code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCircumstance {
    /// The workload does not run yet.
    Preparing,
    /// The workload runs.
    Running,
    /// The workload has ended and was about to be started again.
    BetweenRuns,
    /// The workload failed, and the container is kept open for a person.
    Held,
    /// The workload has ended for good, and only leftover processes exist.
    Over,
}

/// Why PID 1 stops the workload by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The container was unused for this time.
    Idle(Duration),
    /// The container has reached this lifetime.
    Lifetime(Duration),
    /// The cloud gave notice that the machine ends.
    Notice(NoticeKind),
}

/// The division of a budget: up to `term_at` the workload saves undisturbed, then every process gets TERM, then KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StopBudget {
    /// When every process gets TERM.
    pub term_at: Clock,
    /// When every process gets KILL.
    pub kill_at: Clock,
}

impl StopBudget {
    /// Divides a grace: its last tenth is for TERM, but at least two seconds, and never more than half of it.
    pub(crate) fn of(start: Clock, grace: Duration) -> Self {
        StopBudget { term_at: start.saturating_add(saving_time(grace)), kill_at: start.saturating_add(grace) }
    }
}

/// Returns the part of a grace that is for saving.
pub fn saving_time(grace: Duration) -> Duration {
    grace.saturating_sub((grace / 10).max(Duration::from_secs(2)).min(grace / 2))
}

/// Returns the signal to send for the one that arrived.
///
/// A plain init sends what it got. Otherwise only TERM and INT mean the same to a trainer as to PID 1.
pub(crate) fn outgoing(configured: StopSignal, arrived: Signal, plain: bool) -> Signal {
    let same = if plain || arrived == Signal::INT { arrived } else { Signal::TERM };
    stop_signal(configured).unwrap_or(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_budget_is_used_in_order_and_never_exceeded(start in 0u64..1 << 40, grace in 0u64..1 << 40) {
            let (start, grace) = (Duration::from_millis(start), Duration::from_millis(grace));
            let budget = StopBudget::of(start, grace);
            prop_assert!(start <= budget.term_at && budget.term_at <= budget.kill_at);
            prop_assert_eq!(budget.kill_at, start + grace);
            prop_assert!(budget.term_at - start >= grace / 2);
        }
    }

    #[test]
    fn only_interrupt_is_passed_on_as_it_came() {
        assert_eq!(outgoing(StopSignal::Same, Signal::INT, false), Signal::INT);
        assert_eq!(outgoing(StopSignal::Same, Signal::PWR, false), Signal::TERM);
        assert_eq!(outgoing(StopSignal::Same, Signal::QUIT, true), Signal::QUIT);
        assert_eq!(outgoing(StopSignal::Number(10), Signal::TERM, false), Signal::USR1);
    }
}
