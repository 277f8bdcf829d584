//! `on_failure: hold`: what failed is not ended but kept open for a while, so that a person can look. Nothing of the workload is left
//! then; PID 1 sleeps until the time is over or somebody stops the container.

use super::action::Action;
use super::clock::{Clock, due};
use super::killed_preparation::KilledPreparation;
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use super::stop_plan::{StopCircumstance, StopPlan};
use protocol::handover::{HoldPolicy, WorkloadKind};
use sys::signal::Arrived;

impl State {
    /// Instead of the end, if there is something to look at: says whether it is held.
    pub(super) fn holds(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let Some(ended) = self.ended().filter(|_| self.has_failed()) else { return false };
        let Some(HoldPolicy { time, look }) = self.policy.hold.clone() else { return false };
        let code = self.code();
        (self.life, self.hold_until) = (Life::Held(ended), Some(now + time));
        act.push(Action::Account(code));
        act.push(Action::Say(LogEvent::Holding { time, code }));
        act.extend(look.lines().map(|line| Action::Say(LogEvent::Note(line.to_owned()))));
        true
    }

    /// Nobody asked for this end. What a build mode ends with says nothing, once it ran: a shell's code is that of its last command.
    fn has_failed(&self) -> bool {
        let asked_for = self.prepare_killed().is_some_and(KilledPreparation::was_asked_for);
        let by_itself = self.stop.is_none() && !asked_for;
        by_itself && self.code() != 0 && !(self.ran() && self.policy.kind == WorkloadKind::Build)
    }

    /// Whoever held it has seen enough: the code stays that of the failure.
    pub(super) fn stop_held(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        self.begin_stop(StopPlan {
            arrived,
            number: arrived.number,
            grace: None,
            at: now,
            met: StopCircumstance::Held,
        });
        self.say_stopping(act);
        self.exit(act);
    }

    pub(super) fn holding_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.hold_until, now) {
            self.hold_until = None;
            act.push(Action::Say(LogEvent::Held));
            self.exit(act);
        }
    }
}
