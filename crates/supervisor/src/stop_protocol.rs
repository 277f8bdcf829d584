//! The stop protocol: NOTICE → CHECKPOINT → TERM → KILL → DRAIN. What can be lost is a checkpoint, so time is never taken from a
//! workload that may be saving: without a known grace it is never killed, and a repeated SIGTERM shortens nothing.

use super::action::Action;
use super::clock::{Clock, due};
use super::exit_account::{self, ExitAccount};
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use super::stop_plan::{StopBudget, StopCircumstance, StopPlan, outgoing};
use protocol::handover::{HelperTask, StopSignal, WorkloadKind};
use std::ffi::c_int;
use std::time::Duration;
use sys::signal::Arrived;

/// What installers and probes get between TERM and KILL when a stop comes before the workload runs.
pub(super) const PREPARE_GRACE: Duration = Duration::from_secs(5);
/// Who ends later than that is named: somebody waits, and wants to know for whom.
const NAME_AFTER: Duration = Duration::from_secs(1);
/// A walk over the tree can miss a fork, so a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(200);
/// After so many kills what is left cannot be killed (it waits for a dead file system or driver): it is named and given up.
pub(super) const KILLS: u32 = 15;

impl State {
    pub(super) fn stop_signal(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        if arrived.number == libc::SIGINT {
            self.interrupts += 1;
        }
        match (self.stop, self.life) {
            (Some(_), _) if arrived.number == libc::SIGINT => self.hurry(now, act),
            // Engines repeat SIGTERM (Slurm, a second `docker stop`): that must never cost a checkpoint.
            (Some(_), _) => self.say_again(arrived.number, now, act),
            (None, Life::Over(_)) => self.leave_sooner(arrived, now, act),
            (None, Life::Between(_)) => self.stop_between(arrived, now, act),
            (None, Life::Held(_)) => self.stop_held(arrived, now, act),
            (None, Life::Preparing) => self.stop_preparing(arrived, now, act),
            (None, Life::Running) => self.stop_running(arrived, now, act),
        }
    }

    /// Nothing of a workload is lost yet, so the configured grace does not apply.
    fn stop_preparing(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        self.begin_stop(StopPlan {
            arrived,
            number: libc::SIGTERM,
            grace: Some(PREPARE_GRACE),
            at: now,
            met: StopCircumstance::Preparing,
        });
        // A prepare.timeout that is over already may have set an earlier one.
        let kill_at = now + PREPARE_GRACE;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        self.say_stopping(act);
        act.push(Action::Tree(libc::SIGTERM));
    }

    fn stop_running(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let number = outgoing(self.policy.stop.signal, arrived.number, self.is_plain());
        self.begin_stop(StopPlan {
            arrived,
            number,
            grace: self.policy.stop.grace,
            at: now,
            met: StopCircumstance::Running,
        });
        self.budget();
        self.watch.disarm();
        self.say_stopping(act);
        match self.save_signal_for_stop() {
            Some(save) => self.save_before_stop(save, now, act),
            None => self.deliver(act),
        }
    }

    pub(super) fn say_stopping(&self, act: &mut Vec<Action>) {
        if let Some(stop) = self.stop.filter(|_| !self.is_plain()) {
            let grace_from = self.policy.stop.grace_from.clone();
            act.push(Action::Say(LogEvent::Stopping { stop, grace_from, reason: self.reason }));
        }
    }

    /// A trainer that saves on a signal of its own and goes on is asked for that first, if it can be seen when it has saved.
    fn save_signal_for_stop(&self) -> Option<c_int> {
        let seen = self.policy.checkpoint.watched.is_some() && self.policy.stop.signal == StopSignal::Same;
        self.policy
            .checkpoint
            .signal
            .filter(|save| seen && self.policy.kind == WorkloadKind::Train && *save != libc::SIGTERM)
    }

    /// The stop signal itself.
    pub(super) fn deliver(&mut self, act: &mut Vec<Action>) {
        let Some(stop) = self.stop else { return };
        let chosen = stop.number != stop.arrived.number && stop.number != libc::SIGTERM;
        act.push(Action::Deliver { number: stop.number, chosen });
        if self.policy.kind == WorkloadKind::Build && !self.is_plain() {
            act.push(Action::HangUp);
        }
    }

    /// The stop came a moment too late for prepare: what runs now is a workload, with a workload's budget.
    pub(super) fn stop_reaches_workload(&mut self, act: &mut Vec<Action>) {
        let Some(stop) = &mut self.stop else { return };
        (stop.met, stop.grace) = (StopCircumstance::Running, self.policy.stop.grace);
        self.kill_at = None;
        self.budget();
        self.say_stopping(act);
    }

    /// While nothing runs between two starts a stop is the end.
    fn stop_between(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        self.begin_stop(StopPlan {
            arrived,
            number: arrived.number,
            grace: None,
            at: now,
            met: StopCircumstance::BetweenRuns,
        });
        self.again.cancel();
        self.say_stopping(act);
        self.exit(act);
    }

    /// The workload had ended by itself; what is left of it need not be waited for any longer than usual, and it is not started again.
    fn leave_sooner(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let met = if self.is_to_start_again(now) { StopCircumstance::BetweenRuns } else { StopCircumstance::Over };
        let number = outgoing(StopSignal::Same, arrived.number, self.is_plain());
        self.settle_at = None;
        let kill_at = *self.kill_at.get_or_insert(now + self.policy.stop.drain);
        let left = kill_at.saturating_sub(now);
        self.begin_stop(StopPlan { arrived, number, grace: Some(left), at: now, met });
        self.say_stopping(act);
        act.push(Action::Tree(number));
    }

    /// Never later than what was decided before: a workload that hangs and is being aborted.
    fn budget(&mut self) {
        let budget = self.stop.and_then(|stop| stop.grace.map(|grace| StopBudget::of(stop.at, grace)));
        self.term_at = budget.map(|budget| budget.term_at);
        self.worry_about_save();
        self.kill_at = [self.kill_at, budget.map(|budget| budget.kill_at)].into_iter().flatten().min();
    }

    /// A person at a terminal presses Ctrl-C again: twice means now, thrice means kill.
    fn hurry(&mut self, now: Clock, act: &mut Vec<Action>) {
        match self.interrupts {
            0..=1 => self.say_again(libc::SIGINT, now, act),
            2 => self.escalate(now, act),
            _ => self.kill(now, act),
        }
    }

    fn say_again(&self, number: c_int, now: Clock, act: &mut Vec<Action>) {
        act.push(Action::Say(LogEvent::Again { number, left: self.left(now) }));
    }

    /// Until SIGKILL.
    pub(super) fn left(&self, now: Clock) -> Option<Duration> {
        self.kill_at.map(|at| at.saturating_sub(now))
    }

    fn escalate(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.term_at = None;
        // The TERM that was to follow a checkpoint is this one.
        self.saving.forget();
        act.push(Action::Say(LogEvent::Escalating { left: self.left(now) }));
        act.push(Action::Tree(libc::SIGTERM));
    }

    pub(super) fn prepare_timed_out(&mut self, limit: Duration, now: Clock, act: &mut Vec<Action>) {
        self.timed_out = true;
        act.push(Action::Say(LogEvent::PrepareTimeout(limit)));
        act.push(Action::Tree(libc::SIGTERM));
        self.kill_at = Some(now + PREPARE_GRACE);
    }

    /// The main process of a stopped workload has ended, and perhaps not all of it.
    pub(super) fn stopped_main_ended(&mut self, now: Clock, act: &mut Vec<Action>) {
        act.push(Action::DeliverToOrphans);
        self.name_at = Some(now + NAME_AFTER).filter(|_| !self.is_plain());
    }

    pub(super) fn stop_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.name_at, now) {
            self.name_at = None;
            act.push(Action::NameLeft(self.left(now)));
        }
        if due(self.term_at, now) && !due(self.kill_at, now) {
            self.escalate(now, act);
        }
        if due(self.kill_at, now) {
            self.kill(now, act);
        }
    }

    pub(super) fn kill(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.term_at = None;
        self.saving.forget();
        self.kills += 1;
        if self.kills == 1 && self.ended().is_none() {
            act.push(Action::Say(LogEvent::Killing));
        }
        if self.kills > KILLS {
            self.kill_at = None;
            act.push(Action::Say(LogEvent::GivenUp));
            return self.exit(act);
        }
        self.kill_at = Some(now + KILL_AGAIN);
        act.push(Action::Kill);
    }

    /// All that was started is gone: one more question may have to be asked, then it goes on or ends.
    pub(super) fn children_gone(&mut self, now: Clock, act: &mut Vec<Action>) {
        if self.done || matches!(self.life, Life::Between(_) | Life::Held(_)) {
            return;
        }
        let asks = self.stop.is_some() && self.ran() && self.policy.stop.done_file.is_some();
        if asks && self.complete.is_none() {
            self.complete = Some(None);
            return act.push(Action::Send(HelperTask::DoneFile));
        }
        if self.has_hooks(now, act) || self.reports_kill(act) {
            return;
        }
        (self.settle_at, self.term_at, self.kill_at, self.name_at) = (None, None, None, None);
        if !self.starts_again(now, act) && !self.holds(now, act) {
            self.exit(act);
        }
    }

    pub(super) fn exit(&mut self, act: &mut Vec<Action>) {
        if !self.done {
            self.done = true;
            act.push(Action::Exit(self.code()));
        }
    }

    /// The exit code as things are now.
    pub(super) fn code(&self) -> u8 {
        let account = ExitAccount {
            kind: self.policy.kind,
            ended: self.ended(),
            stop: self.stop,
            killed: self.killed(),
            timed_out: self.timed_out,
            complete: self.complete == Some(Some(true)),
            plain: self.is_plain(),
            prepare_killed: self.prepare_killed().copied(),
            aborted: self.watch.is_aborting(),
        };
        exit_account::code(&account, &self.policy.exit)
    }
}
