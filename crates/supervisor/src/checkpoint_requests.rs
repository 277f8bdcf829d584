//! Checkpoint requests, completed checkpoints, and what follows from them.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::signal_policy::save_signal;
use super::stop_plan::StopPlan;
use super::timers::{Timer, Timers};
use protocol::handover::{CheckpointPolicy, HelperTask, SavedCheckpoint};
use std::time::Duration;
use sys::Signal;

/// Time from a complete checkpoint to the stop of a trainer that continues: the trainer may still delete old checkpoints.
const AFTER_SAVE: Duration = Duration::from_secs(3);

/// Longest wait for a requested checkpoint; then its absence is logged and the phase is `running` again.
const PATIENCE: Duration = Duration::from_secs(600);

/// A save that takes less than this is not logged as late, however short the grace is.
const WORRY: Duration = Duration::from_secs(10);

/// The state of checkpoints and of requests for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointRequests {
    /// The newest complete checkpoint that is known.
    pub newest: Option<SavedCheckpoint>,
    /// Number of requests from inside the container.
    pub asks: u32,
    /// Number of requests that failed at once.
    pub refusals: u32,
    /// A stop waits for a checkpoint.
    before_stop: bool,
    /// The last time that a checkpoint was completed while a helper watched.
    fresh_at: Option<Clock>,
}

impl CheckpointRequests {
    /// Returns what the next run needs to know.
    pub fn renewed(&self) -> Self {
        CheckpointRequests { before_stop: false, fresh_at: None, ..self.clone() }
    }

    /// Asks for a checkpoint by a request file or by the signal that is configured for it; returns whether a checkpoint can follow.
    pub fn request(
        &self,
        signal: Option<Signal>,
        policy: &CheckpointPolicy,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> bool {
        let signal = save_signal(policy).or(signal.filter(|_| policy.request_file.is_none()));
        let ask = match signal {
            Some(signal) => Action::Ask(signal),
            None if policy.request_file.is_some() => Action::Send(HelperTask::RequestSave),
            None => {
                act.push(Action::Say(LogEvent::NoWayToSave));
                return false;
            }
        };
        // Without a watched directory PID 1 never learns of the checkpoint.
        timers.set(Timer::NotSaved, policy.watched.as_ref().map(|_| now + PATIENCE));
        act.push(Action::Say(LogEvent::Asked { signal, stop: false, left: None }));
        act.push(ask);
        true
    }

    /// Asks for the checkpoint that a stop waits for.
    pub fn request_before_stop(&mut self, signal: Signal, timers: &Timers, now: Clock, act: &mut Vec<Action>) {
        self.before_stop = true;
        let left = timers.left(Timer::Term, now);
        act.push(Action::Say(LogEvent::Asked { signal: Some(signal), stop: true, left }));
        act.push(Action::Ask(signal));
    }

    /// Notes that a signal was not sent, because the trainer has no handler for it and would die of it.
    ///
    /// Returns whether the stop that waited for a checkpoint continues without one.
    pub fn not_asked(&mut self, signal: Signal, timers: &mut Timers, act: &mut Vec<Action>) -> bool {
        act.push(Action::Say(LogEvent::NoHandler(signal)));
        self.refusals += 1;
        timers.set(Timer::NotSaved, None);
        std::mem::take(&mut self.before_stop)
    }

    /// Takes a complete checkpoint, which ends a stop's wait while the workload still runs; returns whether the checkpoint is a new one.
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

    /// Returns the newest checkpoint that this run completed, and when PID 1 learnt of it.
    pub(crate) fn completed(&self) -> Option<(&SavedCheckpoint, Clock)> {
        Some((self.newest.as_ref()?, self.fresh_at?))
    }

    /// Returns whether a new checkpoint was completed after this time.
    pub fn saved_since(&self, at: Clock) -> bool {
        self.fresh_at.is_some_and(|fresh| fresh >= at)
    }

    /// Handles the deadlines of checkpoints; `unsaved` is a stop that has brought no checkpoint of a running workload.
    ///
    /// Returns whether the stop signal is due, because the checkpoint that the stop waited for is complete.
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

    /// Stops waiting for a checkpoint.
    pub fn forget(&mut self, timers: &mut Timers) {
        self.before_stop = false;
        timers.stop(&[Timer::NotSaved, Timer::NothingSaved, Timer::StopAfterSave]);
    }
}

/// Sets the time at which a stop without a checkpoint is looked into: half of the time for saving.
///
/// `seen` says whether a checkpoint could be seen at all; otherwise its absence means nothing.
pub(crate) fn worry_about_save(stop: &StopPlan, seen: bool, timers: &mut Timers) {
    let Some(term_at) = timers.at(Timer::Term) else { return };
    let half = term_at.saturating_sub(stop.at) / 2;
    timers.set(Timer::NothingSaved, Some(stop.at + half).filter(|_| seen && half >= WORRY));
}
