//! The phases of the main process, each with the fields that exist only then.

use super::clock::Clock;
use super::idle_shutdown::Usage;
use super::killed_preparation::KilledPreparation;
use super::pending_signals::PendingSignals;
use super::watchdog::{HangVerdict, ProgressWatch};
use protocol::handover::{Phase, StagedBytes};
use sys::process::Ended;

/// The phase of the main process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    /// The main process prepares.
    Preparing(Preparing),
    /// The main process is the workload.
    Running(Running),
    /// The main process has ended, and its leftover processes are being ended.
    Draining(Draining),
    /// All processes are gone, and the next run follows after a pause.
    BackOff(RunEnd),
    /// All processes are gone, and the container is kept open for a person.
    Held(RunEnd),
}

/// A preparation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Preparing {
    /// The phase of the preparation.
    pub phase: Phase,
    /// How much of the data is there, if data is brought.
    pub staged: Option<StagedBytes>,
    /// Signals for the workload, which is not there yet.
    pub pending: PendingSignals,
    /// prepare could not exec the workload.
    pub exec_failed: bool,
    /// The kernel's out-of-memory killer was active in this control group.
    pub memory_ran_out: bool,
}

/// A workload that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Running {
    /// When the workload began.
    pub since: Clock,
    /// Signals that came before the workload began, for which it may have no handlers yet.
    pub pending: PendingSignals,
    /// The workload's signs of life.
    pub watch: ProgressWatch,
    /// The container's use.
    pub usage: Usage,
}

/// A run of which only leftover processes exist, and the questions at its end, each of which is asked once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draining {
    /// How the run ended.
    pub end: RunEnd,
    /// Whether `stop.done_file` is there.
    pub done_file: Question,
    /// The hooks of `hooks.after_stop` ran or run now.
    pub hooked: bool,
    /// Slurm was asked to start the job again.
    pub requeued: bool,
    /// The report of a killed preparation is written, or is being written.
    pub reported: bool,
    /// The end is in the history, or is being written.
    pub recorded: bool,
    /// The end of the grace, which does not run while the history is written or a checkpoint is uploaded.
    pub grace_until: Option<Clock>,
    /// Only the upload of the last checkpoint is left.
    pub mirroring: bool,
}

/// A question to a helper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Question {
    /// The question was not asked.
    #[default]
    Open,
    /// No answer has come, or the helper had none.
    Asked,
    /// The answer.
    Answered(bool),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunEnd {
    /// How the main process ended; `None` if it was lost.
    pub ended: Option<Ended>,
    /// When the main process ended.
    pub at: Clock,
    /// When the workload began; `None` if it never ran.
    pub began: Option<Clock>,
    /// The workload itself ran.
    pub ran: bool,
    /// The finding of the watchdog.
    pub verdict: HangVerdict,
    /// The main process was a preparation, and it was killed.
    pub prepare_killed: Option<KilledPreparation>,
}

impl Life {
    /// Returns how the run ended, once its main process has.
    pub(crate) fn end(&self) -> Option<&RunEnd> {
        match self {
            Life::Preparing(_) | Life::Running(_) => None,
            Life::Draining(Draining { end, .. }) | Life::BackOff(end) | Life::Held(end) => Some(end),
        }
    }

    /// Returns the end of the grace that does not run any more.
    pub(crate) fn grace_until(&self) -> Option<Clock> {
        match self {
            Life::Draining(draining) => draining.grace_until,
            _ => None,
        }
    }

    /// Returns when the workload began; `None` if it never ran.
    pub(crate) fn began(&self) -> Option<Clock> {
        match self {
            Life::Running(running) => Some(running.since),
            _ => self.end()?.began,
        }
    }

    /// Returns the finding of the watchdog.
    pub(crate) fn verdict(&self) -> HangVerdict {
        match self {
            Life::Running(running) => running.watch.verdict(),
            _ => self.end().map(|end| end.verdict).unwrap_or_default(),
        }
    }

    /// Begins to drain: `ended` is the end of the main process, and `launched` says whether prepare was about to become the workload.
    pub(crate) fn drain(&mut self, ended: Option<Ended>, launched: bool, now: Clock) {
        let ran = match self {
            Life::Preparing(preparing) => launched && !preparing.exec_failed,
            Life::Running(_) => true,
            _ => self.end().is_some_and(|end| end.ran),
        };
        let prepare_killed = self.end().and_then(|end| end.prepare_killed);
        let end = RunEnd { ended, at: now, began: self.began(), ran, verdict: self.verdict(), prepare_killed };
        match self {
            Life::Draining(draining) => draining.end = end,
            _ => *self = Life::Draining(Draining::of(end)),
        }
    }
}

impl Draining {
    fn of(end: RunEnd) -> Self {
        Draining {
            end,
            done_file: Question::Open,
            hooked: false,
            requeued: false,
            reported: false,
            recorded: false,
            grace_until: None,
            mirroring: false,
        }
    }
}
