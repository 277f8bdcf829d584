//! Questions that other parts ask the state: for the state file, the last line, the termination log, and before a step.

use super::State;
use crate::checkpoint_requests::CheckpointRequests;
use crate::clock::{Clock, Times};
use crate::idle_shutdown::Usage;
use crate::killed_preparation::KilledPreparation;
use crate::life::Life;
use crate::sidecars::Sidecars;
use crate::stop_plan::{Reason, StopPlan};
use crate::timers::Timer;
use crate::watchdog::HangVerdict;
use protocol::handover::{Phase, StagedBytes, WorkloadKind};
use sys::process::Ended;

impl State {
    /// Returns the phase to show.
    pub fn phase(&self) -> Phase {
        match &self.life {
            _ if self.stop.is_asked() => Phase::Stopping,
            Life::Preparing(preparing) => preparing.phase,
            Life::Running(_) if self.timers.runs(Timer::NotSaved) => Phase::Checkpointing,
            Life::Running(_) => Phase::Running,
            Life::Draining(_) if self.is_mirroring() => Phase::Mirroring,
            Life::Draining(_) => Phase::Stopping,
            Life::BackOff(_) => Phase::Starting,
            Life::Held(_) => Phase::Holding,
        }
    }

    /// Returns how much of the data is there, while a preparation brings data.
    pub fn staged(&self) -> Option<StagedBytes> {
        if let Life::Preparing(preparing) = &self.life { preparing.staged } else { None }
    }

    /// Returns the workload's command line, once it is known.
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// Returns why a module may be missing, if the workload ended by itself as Python does without a module.
    pub(crate) fn perhaps_missed(&self) -> Option<&str> {
        let is_python_error = self.ended() == Some(Ended::Exited(1)) && !self.stop.is_asked();
        self.left_alone.as_deref().filter(|_| is_python_error)
    }

    /// Returns why prepare gave up, if it did.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Returns how prepare was killed, if it was.
    pub fn prepare_killed(&self) -> Option<&KilledPreparation> {
        self.life.end()?.prepare_killed.as_ref()
    }

    /// Returns what is known of checkpoints.
    pub fn checkpoints(&self) -> &CheckpointRequests {
        &self.checkpoints
    }

    /// Returns what is known of the sidecars.
    pub fn sidecars(&self) -> &Sidecars {
        &self.sidecars
    }

    /// Returns the finding of the watchdog.
    pub fn verdict(&self) -> HangVerdict {
        self.life.verdict()
    }

    /// Returns who uses the container; `None` if no use was seen, or PID 1 does not look.
    pub fn used_by(&self) -> Option<&str> {
        self.usage()?.by()
    }

    /// Returns since when the container is unused; `None` if it is used, or PID 1 does not look.
    pub fn unused_since(&self) -> Option<Clock> {
        self.usage()?.unused_since()
    }

    fn usage(&self) -> Option<&Usage> {
        match &self.life {
            Life::Running(running) if self.timers.runs(Timer::UsageLook) => Some(&running.usage),
            _ => None,
        }
    }

    /// Returns why PID 1 asked for the stop by itself.
    pub fn reason(&self) -> Option<Reason> {
        self.stop.reason()
    }

    /// Returns the stop in progress.
    pub fn stop(&self) -> Option<&StopPlan> {
        self.stop.plan()
    }

    /// Returns whether a grace runs, of which a suspension must not use up anything.
    pub fn has_grace(&self) -> bool {
        self.timers.runs(Timer::Kill)
    }

    /// Returns how the main process ended.
    pub fn ended(&self) -> Option<Ended> {
        self.life.end()?.ended
    }

    /// Returns whether the workload itself ever ran.
    pub fn ran(&self) -> bool {
        self.is_running() || self.life.end().is_some_and(|end| end.ran)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running(_))
    }

    /// Returns whether PID 1 is a plain init.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Returns how long each phase took so far.
    pub fn times(&self, now: Clock) -> Times {
        let began = self.life.began();
        let stopped = self.stop.plan().map(|stop| stop.at);
        let ended = [stopped, self.life.end().map(|end| end.at)].into_iter().flatten().min();
        Times {
            prepared: began.or(ended).unwrap_or(now).saturating_sub(self.since),
            ran: began.map_or(Clock::ZERO, |began| ended.unwrap_or(now).saturating_sub(began)),
            stopping: stopped.map(|stopped| now.saturating_sub(stopped)),
        }
    }

    /// Returns whether a training with watched checkpoints was stopped and has saved nothing since.
    pub fn saved_nothing_since_stop(&self) -> bool {
        let Some(stop) = self.stop.plan().filter(|_| self.ran() && self.watches_training()) else { return false };
        !self.checkpoints.saved_since(stop.at)
    }

    /// Returns whether the checkpoints of a training are watched.
    pub(super) fn watches_training(&self) -> bool {
        self.policy.checkpoint.watched.is_some() && self.policy.kind == WorkloadKind::Train
    }

    /// Returns whether this sidecar may be started: the workload may have ended since that was decided.
    pub fn wants_sidecar(&self, index: usize) -> bool {
        self.sidecars.runs(index) && self.has_sidecars()
    }

    pub(super) fn has_sidecars(&self) -> bool {
        self.is_running() && !self.stop.is_asked()
    }
}
