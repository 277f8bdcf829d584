//! The stop protocol: NOTICE → CHECKPOINT → TERM → KILL → DRAIN. What can be lost is a checkpoint, so time is never taken from a
//! workload that may be saving: without a known grace it is never killed, and a repeated SIGTERM shortens nothing.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::stop_plan::{Reason, StopBudget, StopCircumstance, StopPlan};
use super::timers::{Timer, Timers};
use std::ffi::c_int;
use std::time::Duration;

/// What installers and probes get between TERM and KILL when a stop comes before the workload runs.
pub const PREPARE_GRACE: Duration = Duration::from_secs(5);
/// A moment for what was forked last to end by itself, or to set its traps, before it is told to (measured in two-lives).
pub const SETTLE: Duration = Duration::from_millis(100);
/// Processes that end later than that are named: whoever waits wants to know for what.
const NAME_AFTER: Duration = Duration::from_secs(1);
/// A walk over the tree can miss a fork, so a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(200);
/// After so many kills what is left cannot be killed (it waits for a dead file system or driver): it is named and given up.
pub const KILLS: u32 = 15;

/// The stop in progress, and the last steps of every end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopProtocol {
    plan: Option<StopPlan>,
    /// Why PID 1 asked for it by itself.
    reason: Option<Reason>,
    /// `prepare.timeout` is over.
    timed_out: bool,
    interrupts: u32,
    kills: u32,
}

/// What a step of the protocol means for all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopStep {
    /// Nothing.
    Goes,
    /// A checkpoint is not waited for any more.
    SavingEnds,
    /// What is left cannot be killed: it is not waited for any more.
    GivenUp,
}

impl StopProtocol {
    /// Returns the stop in progress.
    pub fn plan(&self) -> Option<&StopPlan> {
        self.plan.as_ref()
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        self.plan.is_some()
    }

    /// Returns why PID 1 asked for the stop by itself, if it did.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether preparing took too long.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// Returns how often SIGKILL was sent to every process.
    pub fn kills(&self) -> u32 {
        self.kills
    }

    /// Notes why PID 1 is about to ask for a stop by itself.
    pub fn because(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// Begins a stop.
    pub fn begin(&mut self, plan: StopPlan) {
        self.plan = Some(plan);
    }

    /// Counts a signal that asks for a stop.
    pub fn count(&mut self, number: c_int) {
        if number == libc::SIGINT {
            self.interrupts += 1;
        }
    }

    /// Logs that a stop begins.
    pub fn say(&self, grace_from: &str, act: &mut Vec<Action>) {
        if let Some(stop) = self.plan {
            let grace_from = grace_from.to_owned();
            act.push(Action::Say(LogEvent::Stopping { stop, grace_from, reason: self.reason }));
        }
    }

    /// Sends the stop signal itself; `hang_up`: to a shell, too, which ignores SIGTERM.
    pub fn deliver(&self, hang_up: bool, act: &mut Vec<Action>) {
        let Some(stop) = self.plan else { return };
        let chosen = stop.number != stop.arrived.number && stop.number != libc::SIGTERM;
        act.push(Action::Deliver { number: stop.number, chosen });
        if hang_up {
            act.push(Action::HangUp);
        }
    }

    /// Goes over to a workload's budget: the stop came a moment too late for prepare.
    pub fn reaches_workload(&mut self, grace: Option<Duration>, timers: &mut Timers) {
        if let Some(stop) = &mut self.plan {
            (stop.met, stop.grace) = (StopCircumstance::Running, grace);
            timers.set(Timer::Kill, None);
            self.budget(timers);
        }
    }

    /// Divides the grace. SIGKILL never comes later than was decided before, for a workload that hangs and is being aborted.
    pub fn budget(&self, timers: &mut Timers) {
        let budget = self.plan.and_then(|stop| stop.grace.map(|grace| StopBudget::of(stop.at, grace)));
        timers.set(Timer::Term, budget.map(|budget| budget.term_at));
        timers.advance(Timer::Kill, budget.map(|budget| budget.kill_at));
    }

    /// Takes a signal that asks once more for a stop in progress. Engines repeat SIGTERM (Slurm, a second `docker stop`): that must
    /// never cost a checkpoint. A person at a terminal presses Ctrl-C again: twice means now, thrice means kill.
    pub fn repeated(
        &mut self,
        number: c_int,
        main_runs: bool,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> StopStep {
        match self.interrupts {
            2 if number == libc::SIGINT => escalate(timers, now, act),
            3.. if number == libc::SIGINT => self.kill(main_runs, timers, now, act),
            _ => {
                act.push(Action::Say(LogEvent::Again { number, left: timers.left(Timer::Kill, now) }));
                StopStep::Goes
            }
        }
    }

    /// Ends a preparation that has taken too long.
    pub fn prepare_timed_out(&mut self, limit: Duration, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        self.timed_out = true;
        act.push(Action::Say(LogEvent::PrepareTimeout(limit)));
        act.push(Action::Tree(libc::SIGTERM));
        timers.set(Timer::Kill, now + PREPARE_GRACE);
    }

    /// Lets time pass.
    pub fn tick(&mut self, main_runs: bool, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> StopStep {
        if timers.take_due(Timer::NameLeft, now) {
            act.push(Action::NameLeft(timers.left(Timer::Kill, now)));
        }
        match () {
            () if timers.is_due(Timer::Kill, now) => self.kill(main_runs, timers, now, act),
            () if timers.is_due(Timer::Term, now) => escalate(timers, now, act),
            () => StopStep::Goes,
        }
    }

    fn kill(&mut self, main_runs: bool, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> StopStep {
        timers.set(Timer::Term, None);
        self.kills += 1;
        if self.kills == 1 && main_runs {
            act.push(Action::Say(LogEvent::Killing));
        }
        if self.kills > KILLS {
            timers.set(Timer::Kill, None);
            act.push(Action::Say(LogEvent::GivenUp));
            return StopStep::GivenUp;
        }
        timers.set(Timer::Kill, now + KILL_AGAIN);
        act.push(Action::Kill);
        StopStep::SavingEnds
    }
}

/// Sends SIGTERM to everything; the one that was to follow a checkpoint is this one.
fn escalate(timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> StopStep {
    timers.set(Timer::Term, None);
    act.push(Action::Say(LogEvent::Escalating { left: timers.left(Timer::Kill, now) }));
    act.push(Action::Tree(libc::SIGTERM));
    StopStep::SavingEnds
}

/// Waits for what a stopped main process has left behind, and names it (`names`) if that takes long.
pub fn main_ended(names: bool, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
    act.push(Action::DeliverToOrphans);
    timers.set(Timer::NameLeft, names.then(|| now + NAME_AFTER));
}

/// Stops the last steps of an end: nothing is left.
pub fn over(timers: &mut Timers) {
    timers.stop(&[Timer::Settle, Timer::Term, Timer::Kill, Timer::NameLeft]);
}
