//! `on_failure: hold`: a failed container is kept open for a while, so that a person can look at it.
//!
//! No process of the workload is left then. PID 1 sleeps until the time is over or the container is stopped.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::timers::{Timer, Timers};
use protocol::handover::HoldPolicy;

/// Keeps the container open instead of ending with this code.
pub(crate) fn begin(policy: &HoldPolicy, code: u8, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
    timers.set(Timer::HoldEnd, now + policy.time);
    act.push(Action::Account(code));
    act.push(Action::Say(LogEvent::Holding { time: policy.time, code }));
    act.extend(policy.look.lines().map(|line| Action::Say(LogEvent::Note(line.to_owned()))));
}

/// Handles the deadline of the hold; returns whether the container ends now.
pub(crate) fn tick(timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> bool {
    let over = timers.take_due(Timer::HoldEnd, now);
    if over {
        act.push(Action::Say(LogEvent::Held));
    }
    over
}
