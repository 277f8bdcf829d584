//! The history of the job: what PID 1 keeps of it, and when a helper writes the end of an attempt.

use super::State;
use crate::action::Action;
use crate::clock::Clock;
use crate::stop_protocol;
use crate::timers::Timer;
use protocol::handover::{HelperTask, WorkloadKind};

/// The most bytes of lines that wait, so that no number of restarts fills the memory of PID 1.
const MOST_WAITING: usize = 16 << 10;

/// When the work of an attempt ended, and its last checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptTimes {
    /// When the workload's work ended: at the stop, or at the end of the main process. `None` if the workload never ran.
    pub worked_until: Option<Clock>,
    /// When PID 1 learnt of the newest checkpoint of this run.
    pub saved: Option<Clock>,
}

impl State {
    /// Keeps lines until the first checkpoint; the oldest are kept.
    pub(super) fn history_waits(&mut self, lines: &str) {
        if self.history_waits.len() + lines.len() <= MOST_WAITING {
            self.history_waits.push_str(lines);
        }
    }

    /// Has the lines written that wait, now that there is a checkpoint.
    pub(super) fn write_what_waits(&mut self, act: &mut Vec<Action>) {
        if self.policy.history.is_some() && !self.history_waits.is_empty() {
            act.push(Action::Send(HelperTask::WriteHistory(std::mem::take(&mut self.history_waits))));
        }
    }

    /// Has the end of the attempt written, once; returns whether the end waits for that.
    pub(super) fn records_end(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let kept = self.policy.history.is_some() && !self.is_plain();
        let (code, over) = (self.attempt_code(now), self.is_over(now));
        let grace = self.timers.at(Timer::Kill);
        let Some(draining) = self.draining().filter(|draining| kept && !draining.recorded) else { return false };
        (draining.recorded, draining.grace_until) = (true, grace);
        stop_protocol::over(&mut self.timers);
        act.push(Action::WriteEnd { code, over, waiting: std::mem::take(&mut self.history_waits) });
        true
    }

    /// Returns the container's exit code, or the workload's own where another run follows.
    fn attempt_code(&self, now: Clock) -> u8 {
        let own = self.ended().filter(|_| self.is_to_start_again(now));
        own.map_or_else(|| self.code(), sys::process::Ended::code)
    }

    /// Returns whether no run follows that anybody could expect: the training is complete, or its restarts are used up.
    fn is_over(&self, now: Clock) -> bool {
        let trains = self.policy.kind == WorkloadKind::Train && self.ran();
        let by_itself = !self.stop.is_asked() && !self.is_to_start_again(now);
        let well = self.ended().is_some_and(|ended| ended.code() == 0);
        trains && (self.is_complete() || by_itself && (well || self.policy.restart.max > 0))
    }

    /// Returns the times of the attempt, on PID 1's clock.
    pub(crate) fn attempt_times(&self) -> AttemptTimes {
        let stopped = self.stop.plan().map(|stop| stop.at);
        let ended = [stopped, self.life.end().map(|end| end.at)].into_iter().flatten().min();
        let saved = self.checkpoints.completed().map(|(_, at)| at);
        AttemptTimes { worked_until: ended.filter(|_| self.ran()), saved }
    }
}
