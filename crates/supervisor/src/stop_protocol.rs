//! The stop protocol: NOTICE → CHECKPOINT → TERM → KILL → DRAIN.
//!
//! A checkpoint is what can be lost, so a workload that may be saving never loses time. Without a known grace it is never killed, and a
//! repeated SIGTERM shortens nothing.

use super::action::Action;
use super::clock::Clock;
use super::delivery::Awaited;
use super::log_event::LogEvent;
use super::stop_plan::{Reason, StopBudget, StopCircumstance, StopPlan};
use super::timers::{Timer, Timers};
use super::trap_watch;
use std::time::Duration;
use sys::Signal;

/// Time between TERM and KILL for installers and probes when a stop comes before the workload runs.
pub(crate) const PREPARE_GRACE: Duration = Duration::from_secs(5);
/// Time in which a process that was forked last may end by itself, or set its traps, before it gets a signal (measured in two-lives).
pub(crate) const SETTLE: Duration = Duration::from_millis(100);
/// Time after which the processes that a stop waits for are named in the log.
const NAME_AFTER: Duration = Duration::from_secs(1);
/// The pause between two looks whether the processes that were told of a stop have ended.
const TARGETS_LOOK: Duration = Duration::from_millis(250);
/// Time that a wrapper has to end by itself after the trainer, before it gets TERM.
const SPARED: Duration = Duration::from_secs(1);
/// The pause between two kills: a walk over the process tree can miss a fork, so a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(200);
/// Number of kills after which the rest cannot be killed (it waits for a dead file system or driver), so it is named and given up.
pub(crate) const KILLS: u32 = 15;

/// The stop in progress, and the last steps of every end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StopProtocol {
    plan: Option<StopPlan>,
    /// Why PID 1 asked for it by itself.
    reason: Option<Reason>,
    /// `prepare.timeout` was exceeded.
    timed_out: bool,
    interrupts: u32,
    kills: u32,
    /// The grace of the engine, which has not asked yet for a stop that a notice of the cloud began.
    engine_grace: Option<Duration>,
}

/// The main process, as a stop's last steps see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MainProcess {
    /// It runs.
    Runs,
    /// It was the workload, and has ended.
    Ended,
    /// It was a preparation, and has ended.
    NeverRan,
}

/// The meaning of a step of the protocol for the rest of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopStep {
    /// Nothing else changes.
    Goes,
    /// PID 1 stops waiting for a checkpoint.
    SavingEnds,
    /// The leftover processes cannot be killed, and PID 1 stops waiting for them.
    GivenUp,
}

impl StopProtocol {
    /// Returns the stop in progress.
    pub(crate) fn plan(&self) -> Option<&StopPlan> {
        self.plan.as_ref()
    }

    /// Returns whether a stop was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.plan.is_some()
    }

    /// Returns why PID 1 asked for the stop by itself, if it did.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Returns whether an engine asked by the signal with which it also ends a job of which another process has failed.
    pub(crate) fn may_be_a_failure_elsewhere(&self) -> bool {
        self.reason.is_none() && self.plan.is_some_and(|stop| stop.arrived.signal == Signal::TERM)
    }

    /// Returns whether preparing took too long.
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// Returns how often SIGKILL was sent to every process.
    pub(crate) fn kills(&self) -> u32 {
        self.kills
    }

    /// Notes why PID 1 is about to ask for a stop by itself.
    pub(crate) fn because(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// Begins a stop.
    pub(crate) fn begin(&mut self, plan: StopPlan) {
        self.plan = Some(plan);
    }

    /// Keeps the engine's grace for the time at which the engine itself asks for the stop.
    pub(crate) fn keep_engine_grace(&mut self, grace: Option<Duration>) {
        self.engine_grace = grace;
    }

    /// Begins the engine's grace when its signal follows a notice of the cloud: its SIGKILL may come before the end of the machine.
    ///
    /// Returns whether it does.
    pub(crate) fn engine_follows(&mut self, timers: &mut Timers, now: Clock) -> bool {
        let Some(grace) = self.engine_grace.take() else { return false };
        let budget = StopBudget::of(now, grace);
        if timers.runs(Timer::Term) {
            timers.advance(Timer::Term, Some(budget.term_at));
        }
        timers.advance(Timer::Kill, Some(budget.kill_at));
        true
    }

    /// Counts a signal that asks for a stop.
    pub(crate) fn count(&mut self, signal: Signal) {
        if signal == Signal::INT {
            self.interrupts += 1;
        }
    }

    /// Logs that a stop begins.
    pub(crate) fn say(&self, grace_from: &str, act: &mut Vec<Action>) {
        if let Some(stop) = self.plan {
            let grace_from = grace_from.to_owned();
            act.push(Action::Say(LogEvent::Stopping { stop, grace_from, reason: self.reason }));
        }
    }

    /// Sends the stop signal; `hang_up` adds SIGHUP for a shell, which ignores SIGTERM.
    pub(crate) fn deliver(&self, hang_up: bool, act: &mut Vec<Action>) {
        let Some(stop) = self.plan else { return };
        let chosen = stop.signal != stop.arrived.signal && stop.signal != Signal::TERM;
        act.push(Action::Deliver { signal: stop.signal, chosen });
        if hang_up {
            act.push(Action::HangUp);
        }
    }

    /// Switches to a workload's budget, because the stop came a moment too late for prepare.
    pub(crate) fn reaches_workload(&mut self, grace: Option<Duration>, timers: &mut Timers) {
        if let Some(stop) = &mut self.plan {
            (stop.met, stop.grace) = (StopCircumstance::Running, grace);
            timers.set(Timer::Kill, None);
            self.budget(timers);
        }
    }

    /// Divides the grace; an abort of a hanging workload keeps an earlier SIGKILL.
    pub(crate) fn budget(&self, timers: &mut Timers) {
        let budget = self.plan.and_then(|stop| stop.grace.map(|grace| StopBudget::of(stop.at, grace)));
        timers.set(Timer::Term, budget.map(|budget| budget.term_at));
        timers.advance(Timer::Kill, budget.map(|budget| budget.kill_at));
    }

    /// Takes note of what a delivery waits for.
    pub(crate) fn awaits(awaited: Awaited, timers: &mut Timers, now: Clock) {
        let pause = if awaited.trap { trap_watch::LOOK } else { TARGETS_LOOK };
        if awaited.trap || awaited.targets && !timers.runs(Timer::ReleaseSpared) {
            timers.advance(Timer::TargetsLook, Some(now + pause));
        }
    }

    /// Takes note that the processes that were told have ended; the others follow.
    pub(crate) fn targets_gone(timers: &mut Timers, now: Clock) {
        timers.set(Timer::TargetsLook, None);
        timers.advance(Timer::ReleaseSpared, Some(now + SPARED));
    }

    /// Replaces the signal of a stop by a stronger one; returns whether that changes anything.
    ///
    /// INT is what Ctrl-C sends, and what jobs in the background ignore, so TERM after INT is no repetition.
    fn becomes_stronger(&mut self, signal: Signal, act: &mut Vec<Action>) -> bool {
        let Some(stop) = &mut self.plan else { return false };
        let weaker = stop.signal;
        if weaker != Signal::INT || signal == Signal::INT {
            return false;
        }
        stop.signal = signal;
        act.push(Action::Say(LogEvent::Stronger { signal, weaker }));
        act.push(Action::DeliverStronger(signal));
        true
    }

    /// Takes a signal that asks once more for a stop in progress. `outgoing` is the signal that is passed on for it.
    ///
    /// Engines repeat SIGTERM (Slurm, a second `docker stop`), which must never cost a checkpoint. A person at a terminal presses Ctrl-C
    /// again: twice means now, three times means kill.
    pub(crate) fn repeated(
        &mut self,
        (signal, outgoing): (Signal, Signal),
        main: MainProcess,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> StopStep {
        if self.becomes_stronger(outgoing, act) {
            return StopStep::Goes;
        }
        match self.interrupts {
            2 if signal == Signal::INT => escalate(timers, now, act),
            3.. if signal == Signal::INT => self.kill(main, timers, now, act),
            _ => {
                act.push(Action::Say(LogEvent::Again { signal, left: timers.left(Timer::Kill, now) }));
                StopStep::Goes
            }
        }
    }

    /// Ends a preparation that has taken too long.
    pub(crate) fn prepare_timed_out(
        &mut self,
        limit: Duration,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) {
        self.timed_out = true;
        act.push(Action::Say(LogEvent::PrepareTimeout(limit)));
        act.push(Action::Tree(Signal::TERM));
        timers.set(Timer::Kill, now + PREPARE_GRACE);
    }

    /// Handles the deadlines of the stop.
    pub(crate) fn tick(
        &mut self,
        main: MainProcess,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> StopStep {
        if timers.take_due(Timer::NameLeft, now) {
            act.push(Action::NameLeft(timers.left(Timer::Kill, now)));
        }
        if timers.take_due(Timer::TargetsLook, now) {
            act.push(Action::LookAtTargets);
        }
        if timers.take_due(Timer::ReleaseSpared, now) {
            act.push(Action::ReleaseSpared);
        }
        match () {
            () if timers.is_due(Timer::Kill, now) => self.kill(main, timers, now, act),
            () if timers.is_due(Timer::Term, now) => escalate(timers, now, act),
            () => StopStep::Goes,
        }
    }

    fn kill(&mut self, main: MainProcess, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> StopStep {
        timers.set(Timer::Term, None);
        self.kills += 1;
        match main {
            _ if self.kills > 1 => {}
            MainProcess::Runs => act.push(Action::Say(LogEvent::Killing)),
            MainProcess::Ended => act.push(Action::NameKilled),
            MainProcess::NeverRan => {}
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

/// Sends SIGTERM to every process; it replaces the stop signal that was to follow a checkpoint.
fn escalate(timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> StopStep {
    timers.set(Timer::Term, None);
    act.push(Action::Say(LogEvent::Escalating { left: timers.left(Timer::Kill, now) }));
    act.push(Action::Tree(Signal::TERM));
    StopStep::SavingEnds
}

/// Waits for the leftover processes of a stopped main process, and names them after a while if `names` is set.
pub(crate) fn main_ended(names: bool, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
    act.push(Action::DeliverToOrphans);
    name_later(names, timers, now);
}

/// Sets the time at which leftover processes are named, if `names` is set.
pub(crate) fn name_later(names: bool, timers: &mut Timers, now: Clock) {
    timers.set(Timer::NameLeft, names.then(|| now + NAME_AFTER));
}

/// Stops the timers of an end, because no process is left.
pub(crate) fn over(timers: &mut Timers) {
    timers.stop(&[Timer::Settle, Timer::Term, Timer::Kill, Timer::NameLeft, Timer::TargetsLook, Timer::ReleaseSpared]);
}
