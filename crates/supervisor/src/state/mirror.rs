//! The mirror of checkpoints: how long an end waits for an upload, and what it means that one is not done.

use super::State;
use crate::action::Action;
use crate::clock::Clock;
use crate::life::Life;
use crate::stop_plan::{StopCircumstance, StopPlan};
use crate::stop_protocol;
use crate::timers::Timer;
use protocol::handover::MirrorState;
use std::time::Duration;
use sys::signal::Arrived;

/// How long before the end of a grace an upload ends, so that the last line can still be written.
const BEFORE_KILL: Duration = Duration::from_secs(2);

/// Time for the upload of a workload that starts again: its next run goes on with what is left.
const BEFORE_RESTART: Duration = Duration::from_secs(2);

impl State {
    /// Returns what of the checkpoints is in the mirror; `None` where there is none.
    pub fn mirror(&self) -> Option<&MirrorState> {
        self.policy.mirror.as_ref().map(|_| &self.mirror)
    }

    /// Returns whether a checkpoint of a workload that ran may be missing in the mirror.
    pub(crate) fn is_unmirrored(&self) -> bool {
        self.policy.mirror.is_some() && self.ran() && !self.mirror.complete
    }

    /// Returns whether a training may end with 0 all the same.
    pub(super) fn may_be_unmirrored(&self) -> bool {
        self.policy.mirror.as_ref().is_some_and(|mirror| mirror.may_be_missing)
    }

    /// Returns whether the workload has ended by itself, and only an upload is left.
    pub(super) fn is_mirroring(&self) -> bool {
        matches!(&self.life, Life::Draining(draining) if draining.mirroring) && self.is_unmirrored()
    }

    /// Asks the helpers to finish, since nothing else is left. The first time, the upload gets its deadline, and no other one counts.
    pub(super) fn only_helpers(&mut self, now: Clock, act: &mut Vec<Action>) {
        let uploads = self.is_unmirrored();
        let grace_until = self.timers.at(Timer::Kill).filter(|_| self.stop.is_asked());
        let until = self.upload_until(grace_until, now);
        let Life::Draining(draining) = &mut self.life else { return act.push(Action::EndHelpers) };
        if uploads && !std::mem::replace(&mut draining.mirroring, true) {
            draining.grace_until = grace_until;
            stop_protocol::over(&mut self.timers);
            self.timers.set(Timer::UploadEnd, until);
        }
        act.push(Action::EndHelpers);
    }

    /// Returns when the upload has to end; `None` if it has all the time that it needs.
    fn upload_until(&self, grace_until: Option<Clock>, now: Clock) -> Option<Clock> {
        if self.is_to_start_again(now) {
            return Some(now + BEFORE_RESTART);
        }
        let lifetime = self.policy.idle.lifetime.filter(|_| !self.stop.is_asked()).map(|life| self.since + life);
        grace_until.map(|until| until.saturating_sub(BEFORE_KILL)).or(lifetime)
    }

    pub(super) fn upload_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if self.timers.take_due(Timer::UploadEnd, now) {
            act.push(Action::EndUpload);
        }
    }

    /// Takes a stop that comes when only an upload is left: it has the grace, as saving has.
    pub(super) fn stop_mirroring(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let grace = self.policy.stop.grace;
        self.begin_stop(StopPlan { arrived, signal: arrived.signal, grace, at: now, met: StopCircumstance::Over });
        let until = grace.map(|grace| now + grace.saturating_sub(BEFORE_KILL));
        self.timers.advance(Timer::UploadEnd, until);
        self.say_stopping(act);
    }
}
