//! Checkpoints as PID 1 sees them: asking for one, noticing that one is complete, and what follows from it.

use super::action::Action;
use super::clock::{Clock, due};
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use protocol::handover::{HelperTask, SavedCheckpoint, WorkloadKind};
use std::ffi::c_int;
use std::time::Duration;

/// From a complete checkpoint to the stop of a trainer that goes on: it may still be cleaning up old ones.
const AFTER_SAVE: Duration = Duration::from_secs(3);

/// When nothing newer came for so long after it was asked for, that is told, and the phase is `running` again.
const PATIENCE: Duration = Duration::from_secs(600);

/// A save that takes less is nothing to worry about, however short the grace is.
const WORRY: Duration = Duration::from_secs(10);

/// What is going on about checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Saving {
    /// Somebody asked for one; told when nothing has come by then.
    asked_until: Option<Clock>,
    /// The stop waits for one.
    before_stop: bool,
    /// It is there: the moment of the stop signal.
    stop_at: Option<Clock>,
    /// A stop has brought nothing by then: what the trainer is doing is told while it can still be seen.
    worry_at: Option<Clock>,
    /// The last time that one became complete while somebody watched.
    fresh_at: Option<Clock>,
}

impl Saving {
    /// Whether a checkpoint was asked for and has not come.
    pub fn is_asked(&self) -> bool {
        self.asked_until.is_some()
    }

    pub fn deadline(&self) -> Option<Clock> {
        [self.asked_until, self.stop_at, self.worry_at].into_iter().flatten().min()
    }

    pub fn forget(&mut self) {
        *self = Saving { fresh_at: self.fresh_at, ..Saving::default() };
    }
}

impl State {
    /// Somebody in the container asks, and looks at what comes of it.
    pub(super) fn asked_from_inside(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.asks += 1;
        if !self.save_requested(None, now, act) {
            self.refusals += 1;
        }
    }

    /// Somebody asks for a checkpoint: by a request file, or by a signal that is said to mean it. Says whether one can come of it.
    pub(super) fn save_requested(&mut self, signal: Option<c_int>, now: Clock, act: &mut Vec<Action>) -> bool {
        if self.life != Life::Running || self.stop.is_some() {
            return false;
        }
        let number = self.policy.checkpoint.signal.or(signal.filter(|_| self.policy.checkpoint.request_file.is_none()));
        let ask = match number {
            Some(number) => Action::Ask(number),
            None if self.policy.checkpoint.request_file.is_some() => Action::Send(HelperTask::RequestSave),
            None => {
                act.push(Action::Say(LogEvent::NoWayToSave));
                return false;
            }
        };
        // Without a watched directory nobody will see it come.
        self.saving.asked_until = self.policy.checkpoint.watched.as_ref().map(|_| now + PATIENCE);
        act.push(Action::Say(LogEvent::Asked { number, stop: false, left: None }));
        act.push(ask);
        true
    }

    pub(super) fn save_before_stop(&mut self, number: c_int, now: Clock, act: &mut Vec<Action>) {
        self.saving.before_stop = true;
        let left = self.term_at.map(|at| at.saturating_sub(now));
        act.push(Action::Say(LogEvent::Asked { number: Some(number), stop: true, left }));
        act.push(Action::Ask(number));
    }

    /// The trainer has no handler for it, and would die of it: it was not sent.
    pub(super) fn nobody_ready(&mut self, number: c_int, act: &mut Vec<Action>) {
        act.push(Action::Say(LogEvent::NobodyReady(number)));
        self.refusals += 1;
        if std::mem::take(&mut self.saving.before_stop) {
            self.deliver(act);
        }
        self.saving.asked_until = None;
    }

    pub(super) fn saved(&mut self, saved: SavedCheckpoint, now: Clock, act: &mut Vec<Action>) {
        let fresh = saved.fresh;
        if fresh {
            act.push(Action::Say(LogEvent::Saved(saved.clone())));
            self.again.progressed();
            self.watch.saved(now);
            (self.saving.asked_until, self.saving.fresh_at) = (None, Some(now));
        }
        self.saved = Some(saved);
        if fresh && self.life == Life::Running && std::mem::take(&mut self.saving.before_stop) {
            self.saving.stop_at = Some(now + AFTER_SAVE);
        }
    }

    /// Somebody watched, a training was stopped, and nothing was saved after that.
    pub fn saved_nothing_since_stop(&self) -> bool {
        let Some(stop) = self.stop.filter(|_| self.policy.checkpoint.watched.is_some() && self.ran()) else {
            return false;
        };
        self.saving.fresh_at.is_none_or(|fresh| fresh < stop.at) && self.policy.kind == WorkloadKind::Train
    }

    /// Half of the time for saving is for hoping (a checkpoint has to be seen, if its absence is to mean anything).
    pub(super) fn worry_about_save(&mut self) {
        let Some((stop, term_at)) = self.stop.zip(self.term_at) else { return };
        let half = term_at.saturating_sub(stop.at) / 2;
        let seen = self.policy.checkpoint.watched.is_some() && self.policy.kind == WorkloadKind::Train;
        self.saving.worry_at = Some(stop.at + half).filter(|_| seen && half >= WORRY);
    }

    fn worry(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.saving.worry_at = None;
        let Some(stop) = self.stop.filter(|_| self.saved_nothing_since_stop() && self.ended().is_none()) else {
            return;
        };
        act.push(Action::Say(LogEvent::NothingSavedYet { after: now.saturating_sub(stop.at), left: self.left(now) }));
        act.push(Action::Dump);
    }

    pub(super) fn saving_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.saving.asked_until, now) {
            self.saving.asked_until = None;
            act.push(Action::Say(LogEvent::NotSaved(PATIENCE)));
        }
        if due(self.saving.worry_at, now) {
            self.worry(now, act);
        }
        if due(self.saving.stop_at, now) {
            self.saving.stop_at = None;
            act.push(Action::Say(LogEvent::SavedSoStop { left: self.left(now) }));
            self.deliver(act);
        }
    }
}
