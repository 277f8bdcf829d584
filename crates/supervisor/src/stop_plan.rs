//! A stop as data: why, with what, and how its time is divided. Pure.

use super::clock::Clock;
use protocol::handover::StopSignal;
use std::ffi::c_int;
use std::time::Duration;
use sys::signal::Arrived;

/// A stop that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPlan {
    /// The signal that asked, and who sent it.
    pub arrived: Arrived,
    /// The signal that is passed on.
    pub number: c_int,
    /// The whole budget, if there is one.
    pub grace: Option<Duration>,
    /// When it began.
    pub at: Clock,
    /// What it met.
    pub met: StopCircumstance,
}

/// What a stop meets, which decides what there is to lose and what the whole ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCircumstance {
    /// A workload that does not run yet.
    Preparing,
    /// A workload that runs.
    Running,
    /// One that has ended and was to be started again.
    BetweenRuns,
    /// One that failed and is kept open for a person.
    Held,
    /// One that has ended for good; only what it left behind is still there.
    Over,
}

/// Why PID 1 stops the workload by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody used it for so long.
    Idle(Duration),
    /// It has lived so long.
    Lifetime(Duration),
}

/// How the budget is divided: up to `term_at` the workload saves undisturbed, then everything gets TERM, then KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopBudget {
    /// The moment of TERM for all.
    pub term_at: Clock,
    /// The moment of the last resort.
    pub kill_at: Clock,
}

impl StopBudget {
    /// The last tenth of the grace, but at least two seconds, and never more than half of it, is for TERM.
    pub fn of(start: Clock, grace: Duration) -> Self {
        StopBudget { term_at: start.saturating_add(saving_time(grace)), kill_at: start.saturating_add(grace) }
    }
}

/// How much of a grace is for saving.
pub fn saving_time(grace: Duration) -> Duration {
    grace.saturating_sub((grace / 10).max(Duration::from_secs(2)).min(grace / 2))
}

/// The signal to send for the one that arrived. A plain init sends what it got; otherwise only TERM and INT mean the same to a
/// trainer as to PID 1.
pub fn outgoing(configured: StopSignal, arrived: c_int, plain: bool) -> c_int {
    match configured {
        StopSignal::Number(number) => number,
        StopSignal::Same if plain || arrived == libc::SIGINT => arrived,
        StopSignal::Same => libc::SIGTERM,
    }
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
        assert_eq!(outgoing(StopSignal::Same, libc::SIGINT, false), libc::SIGINT);
        assert_eq!(outgoing(StopSignal::Same, libc::SIGPWR, false), libc::SIGTERM);
        assert_eq!(outgoing(StopSignal::Same, libc::SIGQUIT, true), libc::SIGQUIT);
        assert_eq!(outgoing(StopSignal::Number(10), libc::SIGTERM, false), 10);
    }
}
