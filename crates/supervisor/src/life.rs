//! The lives of the main process, each with what exists only then.

use super::clock::Clock;
use super::idle_shutdown::Usage;
use super::killed_preparation::KilledPreparation;
use super::pending_signals::PendingSignals;
use super::watchdog::{HangVerdict, ProgressWatch};
use protocol::handover::Phase;
use sys::process::Ended;

/// Where the main process is in its lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    /// Its first: it prepares.
    Preparing(Preparing),
    /// Its second: it is the workload.
    Running(Running),
    /// It has ended; what it left is being drained.
    Draining(Draining),
    /// Everything of it is gone, and the next one follows after a pause.
    BackOff(RunEnd),
    /// Everything of it is gone, and the container is kept open for a person.
    Held(RunEnd),
}

/// A preparation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preparing {
    /// What it does.
    pub phase: Phase,
    /// Signals for the workload, which is not there yet.
    pub pending: PendingSignals,
    /// It could not become the workload.
    pub exec_failed: bool,
    /// The kernel has killed in this control group for want of memory.
    pub memory_ran_out: bool,
}

/// A workload that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Since when.
    pub since: Clock,
    /// Signals from before that, for which it may have no handlers yet.
    pub pending: PendingSignals,
    /// Its signs of life.
    pub watch: ProgressWatch,
    /// How the container is used.
    pub usage: Usage,
}

/// A run of which only leftovers are there, and the questions that its end brings, each of which is asked once.
#[derive(Clone, Debug, PartialEq)]
pub struct Draining {
    /// How it ended.
    pub end: RunEnd,
    /// Whether `stop.done_file` is there.
    pub done_file: Question,
    /// `hooks.after_stop` ran, or run now.
    pub hooked: bool,
    /// The report of a killed preparation is written, or is being written.
    pub reported: bool,
}

/// A question to a helper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Question {
    /// It was not asked.
    #[default]
    Open,
    /// There is no answer yet, or the helper had none.
    Asked,
    /// The answer.
    Answered(bool),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunEnd {
    /// How the main process ended; `None`: it was lost.
    pub ended: Option<Ended>,
    /// When.
    pub at: Clock,
    /// When the workload began; `None`: it never ran.
    pub began: Option<Clock>,
    /// The workload itself ran.
    pub ran: bool,
    /// What the watchdog had found.
    pub verdict: HangVerdict,
    /// The main process was a preparation, and it was killed.
    pub prepare_killed: Option<KilledPreparation>,
}

impl Life {
    /// Returns how the run ended, once its main process has.
    pub fn end(&self) -> Option<&RunEnd> {
        match self {
            Life::Preparing(_) | Life::Running(_) => None,
            Life::Draining(Draining { end, .. }) | Life::BackOff(end) | Life::Held(end) => Some(end),
        }
    }

    /// Returns when the workload began; `None`: it never ran.
    pub fn began(&self) -> Option<Clock> {
        match self {
            Life::Running(running) => Some(running.since),
            _ => self.end()?.began,
        }
    }

    /// Returns what the watchdog has found.
    pub fn verdict(&self) -> HangVerdict {
        match self {
            Life::Running(running) => running.watch.verdict(),
            _ => self.end().map(|end| end.verdict).unwrap_or_default(),
        }
    }

    /// Begins to drain: `ended` says how the main process ended, `launched` that prepare was about to become the workload.
    pub fn drain(&mut self, ended: Option<Ended>, launched: bool, now: Clock) {
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
        Draining { end, done_file: Question::Open, hooked: false, reported: false }
    }
}
