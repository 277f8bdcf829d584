//! Checkpoints as PID 1 sees them: asking for one, noticing that one is complete, and what follows from it.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::stop_plan::StopPlan;
use super::timers::{Timer, Timers};
use protocol::handover::{CheckpointPolicy, HelperTask, SavedCheckpoint};
use std::ffi::c_int;
use std::time::Duration;

/// From a complete checkpoint to the stop of a trainer that goes on: it may still be cleaning up old ones.
const AFTER_SAVE: Duration = Duration::from_secs(3);

/// When nothing newer came for so long after it was asked for, that is told, and the phase is `running` again.
const PATIENCE: Duration = Duration::from_secs(600);

/// A save that takes less is nothing to worry about, however short the grace is.
const WORRY: Duration = Duration::from_secs(10);

/// What is going on about checkpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointRequests {
    /// The newest complete checkpoint that is known.
    pub newest: Option<SavedCheckpoint>,
    /// How often one was asked for from inside the container.
    pub asks: u32,
    /// How often that came to nothing at once.
    pub refusals: u32,
    /// The stop waits for one.
    before_stop: bool,
    /// The last time that one became complete while a helper watched.
    fresh_at: Option<Clock>,
}

impl CheckpointRequests {
    /// Returns what the next run is to know.
    pub fn renewed(&self) -> Self {
        CheckpointRequests { before_stop: false, fresh_at: None, ..self.clone() }
    }

    /// Asks for a checkpoint: for a request file, or for a signal that is said to mean it. Says whether one can come of it.
    pub fn request(
        &self,
        signal: Option<c_int>,
        policy: &CheckpointPolicy,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> bool {
        let number = policy.signal.or(signal.filter(|_| policy.request_file.is_none()));
        let ask = match number {
            Some(number) => Action::Ask(number),
            None if policy.request_file.is_some() => Action::Send(HelperTask::RequestSave),
            None => {
                act.push(Action::Say(LogEvent::NoWayToSave));
                return false;
            }
        };
        // Without a watched directory nobody will see it come.
        timers.set(Timer::NotSaved, policy.watched.as_ref().map(|_| now + PATIENCE));
        act.push(Action::Say(LogEvent::Asked { number, stop: false, left: None }));
        act.push(ask);
        true
    }

    /// Asks for the checkpoint that a stop is to wait for.
    pub fn request_before_stop(&mut self, number: c_int, timers: &Timers, now: Clock, act: &mut Vec<Action>) {
        self.before_stop = true;
        let left = timers.left(Timer::Term, now);
        act.push(Action::Say(LogEvent::Asked { number: Some(number), stop: true, left }));
        act.push(Action::Ask(number));
    }

    /// Notes that a signal was not sent, since the trainer has no handler for it and would die of it. Says whether the stop that waited
    /// for a checkpoint is to go on without one.
    pub fn not_asked(&mut self, number: c_int, timers: &mut Timers, act: &mut Vec<Action>) -> bool {
        act.push(Action::Say(LogEvent::NobodyReady(number)));
        self.refusals += 1;
        timers.set(Timer::NotSaved, None);
        std::mem::take(&mut self.before_stop)
    }

    /// Takes a complete checkpoint; a stop that waited for it follows while the workload still runs. Says whether it is a new one.
    pub fn saved(
        &mut self,
        saved: SavedCheckpoint,
        running: bool,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> bool {
        let fresh = saved.fresh;
        if fresh {
            act.push(Action::Say(LogEvent::Saved(saved.clone())));
            self.fresh_at = Some(now);
            timers.set(Timer::NotSaved, None);
        }
        self.newest = Some(saved);
        if fresh && running && std::mem::take(&mut self.before_stop) {
            timers.set(Timer::StopAfterSave, now + AFTER_SAVE);
        }
        fresh
    }

    /// Whether a new checkpoint became complete after that.
    pub fn saved_since(&self, at: Clock) -> bool {
        self.fresh_at.is_some_and(|fresh| fresh >= at)
    }

    /// Lets time pass; `unsaved`: a stop that has brought no checkpoint to a workload that runs. Says whether the stop signal is to be
    /// delivered, since the checkpoint that the stop waited for is there.
    pub fn tick(&self, unsaved: Option<&StopPlan>, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) -> bool {
        let left = timers.left(Timer::Kill, now);
        if timers.take_due(Timer::NotSaved, now) {
            act.push(Action::Say(LogEvent::NotSaved(PATIENCE)));
        }
        if timers.take_due(Timer::NothingSaved, now)
            && let Some(stop) = unsaved
        {
            act.push(Action::Say(LogEvent::NothingSavedYet { after: now.saturating_sub(stop.at), left }));
            act.push(Action::Dump);
        }
        let stop = timers.take_due(Timer::StopAfterSave, now);
        if stop {
            act.push(Action::Say(LogEvent::SavedSoStop { left }));
        }
        stop
    }

    /// Waits for no checkpoint any more.
    pub fn forget(&mut self, timers: &mut Timers) {
        self.before_stop = false;
        timers.stop(&[Timer::NotSaved, Timer::NothingSaved, Timer::StopAfterSave]);
    }
}

/// Half of the time for saving is for hoping; then what the trainer does is looked into, unless its absence means nothing (`seen`).
pub fn worry_about_save(stop: &StopPlan, seen: bool, timers: &mut Timers) {
    let Some(term_at) = timers.at(Timer::Term) else { return };
    let half = term_at.saturating_sub(stop.at) / 2;
    timers.set(Timer::NothingSaved, Some(stop.at + half).filter(|_| seen && half >= WORRY));
}
