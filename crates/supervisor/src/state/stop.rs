//! The begin of a stop in each phase of the main process.

use super::State;
use crate::action::Action;
use crate::checkpoint_requests;
use crate::clock::Clock;
use crate::idle_shutdown;
use crate::life::Life;
use crate::log_event::LogEvent;
use crate::signal_policy::save_signal;
use crate::stop_plan::{Reason, StopCircumstance, StopPlan, outgoing};
use crate::stop_protocol::{MainProcess, PREPARE_GRACE, StopStep};
use crate::timers::Timer;
use crate::watchdog;
use protocol::handover::{Notice, StopSignal, WorkloadKind};
use std::time::Duration;
use sys::Signal;
use sys::signal::Arrived;

/// The signal of a stop that PID 1 begins itself.
const OWN: Arrived = Arrived { signal: Signal::TERM, pid: None, uid: 0, kernel: false };

impl State {
    pub(super) fn stop_signal(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        self.stop.count(arrived.signal);
        if self.stop.is_asked() && self.stop.engine_follows(&mut self.timers, now) {
            let left = self.timers.left(Timer::Kill, now);
            return act.push(Action::Say(LogEvent::EngineFollows { signal: arrived.signal, left }));
        }
        if self.stop.is_asked() {
            let main = self.main_process();
            let outgoing = outgoing(self.policy.stop.signal, arrived.signal, self.is_plain());
            let step = self.stop.repeated((arrived.signal, outgoing), main, &mut self.timers, now, act);
            return self.after_stop_step(step, act);
        }
        match self.life {
            Life::Preparing(_) => self.stop_preparing(arrived, now, act),
            Life::Running(_) => self.stop_running(arrived, now, act),
            Life::Draining(_) if self.is_mirroring() => self.stop_mirroring(arrived, now, act),
            Life::Draining(_) => self.leave_sooner(arrived, now, act),
            Life::BackOff(_) => self.stop_at_once(arrived, StopCircumstance::BetweenRuns, now, act),
            // The person has looked at the held container; the exit code stays that of the failure.
            Life::Held(_) => self.stop_at_once(arrived, StopCircumstance::Held, now, act),
        }
    }

    /// Stops an unused container, or one that has lived long enough.
    pub(super) fn stop_by_ourselves(&mut self, reason: Reason, now: Clock, act: &mut Vec<Action>) {
        self.stop.because(reason);
        let stop = &mut self.policy.stop;
        if stop.grace.is_none() {
            (stop.grace, stop.grace_from) = (Some(idle_shutdown::GRACE), "no engine ends it".to_owned());
        }
        self.stop_signal(OWN, now, act);
    }

    /// Stops because the cloud gave notice that the machine ends.
    ///
    /// The time is the notice's, even where `stop.grace` is shorter: that is how long the engine waits after its own signal, which has not
    /// come, and a longer time can only save more.
    pub(super) fn stop_by_notice(&mut self, notice: Notice, now: Clock, act: &mut Vec<Action>) {
        if self.stop.is_asked() {
            return act.push(Action::Say(LogEvent::Noticed(notice.kind)));
        }
        self.stop.because(Reason::Notice(notice.kind));
        let stop = &mut self.policy.stop;
        let engine_grace = stop.grace;
        if notice.left.is_some() {
            (stop.grace, stop.grace_from) = (notice.left, "the notice's own time".to_owned());
        }
        self.stop_signal(OWN, now, act);
        self.stop.keep_engine_grace(engine_grace.filter(|_| notice.left.is_some()));
    }

    /// Records a stop; preparing then has no other deadline.
    pub(super) fn begin_stop(&mut self, plan: StopPlan) {
        self.stop.begin(plan);
        self.timers.stop(&[Timer::PrepareTimeout, Timer::UsageLook, Timer::Lifetime]);
        self.sidecars.settle(&mut self.timers);
    }

    /// Stops the preparation: no work of a workload can be lost yet, so the configured grace does not apply.
    fn stop_preparing(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let (signal, grace, met) = (Signal::TERM, Some(PREPARE_GRACE), StopCircumstance::Preparing);
        self.begin_stop(StopPlan { arrived, signal, grace, at: now, met });
        // An exceeded prepare.timeout may have set an earlier deadline.
        self.timers.advance(Timer::Kill, Some(now + PREPARE_GRACE));
        self.say_stopping(act);
        act.push(Action::Tree(Signal::TERM));
    }

    fn stop_running(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let signal = outgoing(self.policy.stop.signal, arrived.signal, self.is_plain());
        let (grace, met) = (self.policy.stop.grace, StopCircumstance::Running);
        self.begin_stop(StopPlan { arrived, signal, grace, at: now, met });
        self.stop.budget(&mut self.timers);
        self.worry_about_save();
        watchdog::disarm(&mut self.timers);
        self.say_stopping(act);
        match self.save_signal_for_stop() {
            Some(save) => self.checkpoints.request_before_stop(save, &self.timers, now, act),
            None => self.deliver(act),
        }
    }

    /// Stops a run whose workload has ended by itself: leftover processes get the usual time, and no run follows.
    fn leave_sooner(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let met = if self.is_to_start_again(now) { StopCircumstance::BetweenRuns } else { StopCircumstance::Over };
        let signal = outgoing(StopSignal::Same, arrived.signal, self.is_plain());
        self.timers.set(Timer::Settle, None);
        let left = self.timers.left(Timer::Kill, now).unwrap_or(self.policy.stop.drain);
        self.timers.advance(Timer::Kill, Some(now + left));
        self.begin_stop(StopPlan { arrived, signal, grace: Some(left), at: now, met });
        self.say_stopping(act);
        act.push(Action::Tree(signal));
    }

    /// Ends at once, because no process runs.
    fn stop_at_once(&mut self, arrived: Arrived, met: StopCircumstance, now: Clock, act: &mut Vec<Action>) {
        self.begin_stop(StopPlan { arrived, signal: arrived.signal, grace: None, at: now, met });
        self.timers.set(Timer::Restart, None);
        self.say_stopping(act);
        self.exit(act);
    }

    /// Gives a stop that came a moment too late for prepare a workload's budget.
    pub(super) fn stop_reaches_workload(&mut self, act: &mut Vec<Action>) {
        self.stop.reaches_workload(self.policy.stop.grace, &mut self.timers);
        self.worry_about_save();
        self.say_stopping(act);
    }

    fn worry_about_save(&mut self) {
        let seen = self.watches_training();
        if let Some(stop) = self.stop.plan() {
            checkpoint_requests::worry_about_save(stop, seen, &mut self.timers);
        }
    }

    pub(super) fn say_stopping(&self, act: &mut Vec<Action>) {
        if !self.is_plain() {
            self.stop.say(&self.policy.stop.grace_from, act);
        }
    }

    /// Returns the signal with which a trainer saves and continues, if PID 1 can see when it has saved.
    ///
    /// Such a trainer is asked to save before it gets the stop signal.
    fn save_signal_for_stop(&self) -> Option<Signal> {
        let asks = self.watches_training() && self.policy.stop.signal == StopSignal::Same;
        save_signal(&self.policy.checkpoint).filter(|save| asks && *save != Signal::TERM)
    }

    /// Sends the stop signal.
    pub(super) fn deliver(&self, act: &mut Vec<Action>) {
        self.stop.deliver(self.policy.kind == WorkloadKind::Build && !self.is_plain(), act);
    }

    /// Handles a trainer that has no handler for the signal that means "save".
    pub(super) fn not_asked(&mut self, signal: Signal, act: &mut Vec<Action>) {
        if self.checkpoints.not_asked(signal, &mut self.timers, act) {
            self.deliver(act);
        }
    }

    pub(super) fn preparing_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        let limit = self.timers.at(Timer::PrepareTimeout).unwrap_or(Duration::ZERO);
        if self.timers.take_due(Timer::PrepareTimeout, now) {
            self.stop.prepare_timed_out(limit, &mut self.timers, now, act);
        }
    }

    pub(super) fn stop_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        let main = self.main_process();
        let step = self.stop.tick(main, &mut self.timers, now, act);
        self.after_stop_step(step, act);
    }

    fn main_process(&self) -> MainProcess {
        match self.ended() {
            None => MainProcess::Runs,
            Some(_) if self.ran() => MainProcess::Ended,
            Some(_) => MainProcess::NeverRan,
        }
    }

    fn after_stop_step(&mut self, step: StopStep, act: &mut Vec<Action>) {
        if step != StopStep::Goes {
            self.checkpoints.forget(&mut self.timers);
        }
        if step == StopStep::GivenUp {
            self.exit(act);
        }
    }
}
