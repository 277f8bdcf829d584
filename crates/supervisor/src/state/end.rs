//! Steps after the end of the main process: draining, questions, hooks, another run, a hold, and the exit code.

use super::State;
use crate::action::Action;
use crate::after_stop::HookTime;
use crate::clock::Clock;
use crate::exit_account::{self, ExitAccount};
use crate::failure_hold;
use crate::killed_preparation::KilledPreparation;
use crate::life::{Draining, Life, Question};
use crate::log_event::LogEvent;
use crate::restart::{EndedRun, NextRun};
use crate::stop_protocol::{self, SETTLE};
use crate::timers::Timer;
use crate::watchdog;
use protocol::handover::{HelperTask, WorkloadKind};
use sys::Signal;
use sys::process::Ended;

impl State {
    pub(super) fn main_ended(&mut self, ended: Ended, now: Clock, act: &mut Vec<Action>) {
        let ran = self.is_running();
        let killed = self.killed_preparation(ended);
        self.drain(Some(ended), now);
        if let (Life::Draining(draining), Some(_)) = (&mut self.life, killed) {
            draining.end.prepare_killed = killed;
        }
        if self.stop.is_asked() {
            stop_protocol::main_ended(!self.is_plain(), &mut self.timers, now, act);
        } else if ran {
            self.timers.set(Timer::Settle, now + SETTLE);
        } else {
            act.push(Action::Tree(Signal::TERM));
            self.timers.set(Timer::Kill, now + SETTLE);
        }
    }

    /// Returns the end of a preparation that was killed without a stop.
    fn killed_preparation(&self, ended: Ended) -> Option<KilledPreparation> {
        match &self.life {
            Life::Preparing(preparing) if !self.stop.is_asked() && !self.stop.timed_out() => {
                KilledPreparation::of(ended, preparing.phase, preparing.memory_ran_out)
            }
            _ => None,
        }
    }

    /// Begins to drain, because the main process and everything that concerns a workload are gone.
    fn drain(&mut self, ended: Option<Ended>, now: Clock) {
        self.life.drain(ended, self.command.is_some(), now);
        self.timers.stop(&[Timer::PrepareTimeout, Timer::HoldEnd, Timer::PendingSignals, Timer::UsageLook]);
        watchdog::disarm(&mut self.timers);
        self.checkpoints.forget(&mut self.timers);
        self.sidecars.drain(self.policy.stop.drain, &mut self.timers, now);
    }

    pub(super) fn settle_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if self.timers.take_due(Timer::Settle, now) {
            act.push(Action::Tree(Signal::TERM));
            self.timers.set(Timer::Kill, now + self.policy.stop.drain);
            stop_protocol::name_later(!self.is_plain(), &mut self.timers, now);
        }
    }

    /// Handles the deadlines at the end of a run, and of a container that is kept open.
    pub(super) fn end_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.stop_tick(now, act);
        if failure_hold::tick(&mut self.timers, now, act) {
            self.exit(act);
        }
    }

    /// Takes the end of the last process: asks the next open question, or continues, or ends.
    pub(super) fn children_gone(&mut self, now: Clock, act: &mut Vec<Action>) {
        if self.done || matches!(self.life, Life::BackOff(_) | Life::Held(_)) {
            return;
        }
        if self.life.end().is_none() {
            // No end of the main process was reported, so it was lost.
            self.drain(None, now);
        }
        if self.asks_done_file(act)
            || self.records_end(now, act)
            || self.has_hooks(now, act)
            || self.requeues(act)
            || self.reports_kill(act)
        {
            return;
        }
        stop_protocol::over(&mut self.timers);
        self.timers.set(Timer::UploadEnd, None);
        if !self.starts_again(now, act) && !self.holds(now, act) {
            self.exit(act);
        }
    }

    pub(super) fn draining(&mut self) -> Option<&mut Draining> {
        match &mut self.life {
            Life::Draining(draining) => Some(draining),
            _ => None,
        }
    }

    /// Asks a helper once whether training was complete, if trainit has ended it; returns whether the end waits for the answer.
    fn asks_done_file(&mut self, act: &mut Vec<Action>) -> bool {
        let ours = self.stop.is_asked() || self.verdict().aborting;
        let asks = ours && self.ran() && self.policy.stop.done_file.is_some();
        let Some(draining) = self.draining().filter(|draining| asks && draining.done_file == Question::Open) else {
            return false;
        };
        draining.done_file = Question::Asked;
        act.push(Action::Send(HelperTask::DoneFile));
        true
    }

    /// Starts the hooks once; returns whether the end waits for them.
    fn has_hooks(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let may = self.ran() && !self.is_to_start_again(now);
        let recorded = || self.life.grace_until().map(|until| until.saturating_sub(now));
        let grace = self.timers.left(Timer::Kill, now).or_else(recorded).filter(|_| self.stop.is_asked());
        let Some(time) = self.policy.stop.after_stop.as_ref().map(|hooks| HookTime::of(hooks, grace)) else {
            return false;
        };
        let Some(draining) = self.draining().filter(|draining| may && !draining.hooked) else { return false };
        draining.hooked = true;
        stop_protocol::over(&mut self.timers);
        self.timers.set(Timer::Kill, now + time.kill);
        act.push(Action::Send(HelperTask::AfterStop { time: time.run, code: self.code() }));
        true
    }

    /// Has Slurm start the job again, once, after a stop in good order; returns whether the end waits for that.
    ///
    /// It comes last, and after the last line, because Slurm ends what is left of the job at once, with the output of its steps.
    fn requeues(&mut self, act: &mut Vec<Action>) -> bool {
        let Some(requeue) = &self.policy.requeue else { return false };
        let wanted = exit_account::stopped_in_good_order(&self.account(), &self.policy.exit);
        let is_clear = requeue.alone || !self.stop.may_be_a_failure_elsewhere();
        let Some(draining) = self.draining().filter(|draining| wanted && !draining.requeued) else { return false };
        draining.requeued = true;
        if !is_clear {
            act.push(Action::Say(LogEvent::NotRequeued));
            return false;
        }
        stop_protocol::over(&mut self.timers);
        act.push(Action::Account(self.code()));
        act.push(Action::Send(HelperTask::Requeue));
        true
    }

    /// Has the report of a killed preparation written, once, by a helper; returns whether that begins now.
    fn reports_kill(&mut self, act: &mut Vec<Action>) -> bool {
        let wanted = self.policy.report.file.is_some();
        let Some(draining) = self.draining().filter(|draining| wanted && !draining.reported) else { return false };
        let Some(killed) = draining.end.prepare_killed else { return false };
        draining.reported = true;
        act.push(Action::Send(HelperTask::Report { how: killed.words(), code: self.code() }));
        stop_protocol::over(&mut self.timers);
        true
    }

    /// Decides on another run, and if there is one, sets the time of its start.
    fn starts_again(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let (Some(run), Some(end)) = (self.ended_run(now), self.life.end().copied()) else { return false };
        match self.restarts.step(run, &self.policy.restart) {
            Some(NextRun::After(pause)) => {
                self.timers.set(Timer::Restart, now + pause);
                self.life = Life::BackOff(end);
                act.push(Action::Say(LogEvent::Restarting { attempt: self.attempt + 1, pause }));
                true
            }
            Some(NextRun::Refused(why)) => {
                act.push(Action::Say(LogEvent::NoRestart(why)));
                false
            }
            None => false,
        }
    }

    /// Returns what `starts_again` would decide once all processes are gone.
    pub(super) fn is_to_start_again(&self, now: Clock) -> bool {
        self.ended_run(now).is_some_and(|run| self.restarts.would_start(run, &self.policy.restart))
    }

    /// Returns the run that another one may follow; `None` if a stop ended it, or training is complete.
    fn ended_run(&self, now: Clock) -> Option<EndedRun> {
        let by_itself = !self.stop.is_asked() && !self.stop.timed_out() && !self.is_complete();
        let ended = self.ended().filter(|_| by_itself && self.ran())?;
        Some(EndedRun {
            code: ended.code(),
            ran: self.times(now).ran,
            aborted: self.verdict().aborting,
            on_hang: self.policy.watchdog.action,
            watched: self.policy.checkpoint.watched.is_some(),
        })
    }

    /// Keeps the container open instead of ending it, if there is a failure to look at; returns whether it does.
    fn holds(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let code = self.code();
        let Some(end) = self.life.end().copied().filter(|end| end.ended.is_some() && self.has_failed(code)) else {
            return false;
        };
        let Some(hold) = &self.policy.hold else { return false };
        failure_hold::begin(hold, code, &mut self.timers, now, act);
        self.life = Life::Held(end);
        true
    }

    /// Returns whether an end without a stop is a failure.
    ///
    /// The exit code of a build mode that ran says nothing: a shell's code is that of its last command.
    fn has_failed(&self, code: u8) -> bool {
        let asked_for = self.prepare_killed().is_some_and(KilledPreparation::was_asked_for);
        let by_itself = !self.stop.is_asked() && !asked_for;
        by_itself && code != 0 && !(self.ran() && self.policy.kind == WorkloadKind::Build)
    }

    pub(super) fn exit(&mut self, act: &mut Vec<Action>) {
        if !self.done {
            self.done = true;
            act.push(Action::Exit(self.code()));
        }
    }

    /// Returns whether `stop.done_file` says that training was complete.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(&self.life, Life::Draining(draining) if draining.done_file == Question::Answered(true))
    }

    /// Returns the present exit code.
    pub(super) fn code(&self) -> u8 {
        exit_account::code(&self.account(), &self.policy.exit)
    }

    fn account(&self) -> ExitAccount {
        ExitAccount {
            kind: self.policy.kind,
            ended: self.ended(),
            stop: self.stop.plan().copied(),
            killed: self.stop.kills() > 0,
            timed_out: self.stop.timed_out(),
            complete: self.is_complete(),
            plain: self.is_plain(),
            prepare_killed: self.prepare_killed().copied(),
            aborted: self.verdict().aborting,
            unmirrored: self
                .is_unmirrored()
                .then_some(self.mirror.refused)
                .filter(|refused| *refused || !self.may_be_unmirrored()),
        }
    }
}
