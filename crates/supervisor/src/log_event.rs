//! PID 1's log lines as data; `log_words` turns them into words.

use super::stop_plan::{Reason, StopPlan};
use protocol::handover::{Level, NoticeKind, SavedCheckpoint};
use std::time::Duration;
use sys::Signal;
use sys::process::Ended;

/// A line of PID 1's log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEvent {
    /// A stop begins.
    Stopping {
        /// The stop.
        stop: StopPlan,
        /// Where its grace was set.
        grace_from: String,
        /// Why PID 1 asked for the stop by itself.
        reason: Option<Reason>,
    },
    /// PID 1 is about to stop the workload by itself.
    EndsSoon {
        /// Why PID 1 stops the workload.
        reason: Reason,
        /// Time until the stop.
        left: Duration,
    },
    /// The same signal arrived again, and nothing changes.
    Again {
        /// The signal.
        signal: Signal,
        /// Time until SIGKILL; `None` if there is no limit.
        left: Option<Duration>,
    },
    /// The engine stops a workload that a notice of the cloud stops already.
    EngineFollows {
        /// The engine's signal.
        signal: Signal,
        /// Time until SIGKILL; `None` if there is no limit.
        left: Option<Duration>,
    },
    /// A notice of the cloud came when the workload was stopping already.
    Noticed(NoticeKind),
    /// A stronger signal than the stop's arrived, and is passed on.
    Stronger {
        /// The signal.
        signal: Signal,
        /// The signal that was passed on before.
        weaker: Signal,
    },
    /// The time for checkpoints is over, and every process gets TERM.
    Escalating {
        /// Time until SIGKILL; `None` if there is no limit.
        left: Option<Duration>,
    },
    /// The budget is used up, and every process gets SIGKILL.
    Killing,
    /// The leftover processes could not be killed.
    GivenUp,
    /// `prepare.timeout` is exceeded.
    PrepareTimeout(Duration),
    /// The trainer was asked to save.
    Asked {
        /// The signal that asked; `None` if a request file did.
        signal: Option<Signal>,
        /// The trainer is stopped afterwards.
        stop: bool,
        /// Time until SIGTERM for every process, saved or not; `None` if there is no limit.
        left: Option<Duration>,
    },
    /// The trainer has no handler for the signal that means "save".
    NoHandler(Signal),
    /// The trainer has no handler for the configured stop signal, so it got SIGTERM instead.
    TermInstead(Signal),
    /// Nothing is configured that makes the trainer save.
    NoWayToSave,
    /// A new checkpoint is complete.
    Saved(SavedCheckpoint),
    /// The checkpoint is complete, so the workload is stopped now.
    SavedSoStop {
        /// Time until SIGKILL; `None` if there is no limit.
        left: Option<Duration>,
    },
    /// No newer checkpoint came within this time after the request.
    NotSaved(Duration),
    /// A stop has brought no new checkpoint yet; what the workload is doing follows.
    NothingSavedYet {
        /// Time since the stop.
        after: Duration,
        /// Time until SIGKILL.
        left: Option<Duration>,
    },
    /// The workload is started again.
    Restarting {
        /// The number of the next start.
        attempt: u32,
        /// The pause before the start.
        pause: Duration,
    },
    /// The workload is not started again, for this reason.
    NoRestart(&'static str),
    /// Slurm is not asked to start the job again, because it may have ended it for a failure elsewhere.
    NotRequeued,
    /// A failed container is kept open.
    Holding {
        /// How long the container is kept open.
        time: Duration,
        /// The exit code afterwards.
        code: u8,
    },
    /// The time of a failed container is over.
    Held,
    /// The workload shows no progress.
    Hangs {
        /// The sign of life that is missing.
        what: &'static str,
        /// Time since the last sign of life.
        quiet: Duration,
    },
    /// The workload is ended because it hangs; the time is until SIGKILL.
    Aborting(Duration),
    /// A sidecar has ended.
    SidecarEnded {
        /// The sidecar's mode.
        mode: String,
        /// How the sidecar ended.
        ended: Ended,
        /// The pause before its next start; `None` if it is not started again.
        again: Option<Duration>,
    },
    /// The workload's service answers.
    Ready {
        /// What a person opens or types to reach the service.
        address: String,
        /// Time since the workload began.
        after: Duration,
    },
    /// The workload's service does not answer, and is not asked again.
    NotReady {
        /// Why it does not answer.
        why: String,
        /// Time since the workload began.
        after: Duration,
    },
    /// A line of a helper.
    Note(String),
}

impl LogEvent {
    /// Returns the level of the line.
    pub fn level(&self) -> Level {
        match self {
            LogEvent::GivenUp => Level::Error,
            LogEvent::SidecarEnded { ended: Ended::Exited(0), .. } => Level::Info,
            LogEvent::Killing
            | LogEvent::PrepareTimeout(_)
            | LogEvent::NoHandler(_)
            | LogEvent::TermInstead(_)
            | LogEvent::NoWayToSave
            | LogEvent::NotSaved(_)
            | LogEvent::Restarting { .. }
            | LogEvent::EndsSoon { .. }
            | LogEvent::NoRestart(_)
            | LogEvent::NotRequeued
            | LogEvent::SidecarEnded { .. }
            | LogEvent::Holding { .. }
            | LogEvent::Hangs { .. }
            | LogEvent::NothingSavedYet { .. }
            | LogEvent::Aborting(_)
            | LogEvent::NotReady { .. }
            | LogEvent::Note(_) => Level::Warn,
            LogEvent::Held
            | LogEvent::Stopping { .. }
            | LogEvent::Again { .. }
            | LogEvent::EngineFollows { .. }
            | LogEvent::Noticed(_)
            | LogEvent::Stronger { .. }
            | LogEvent::Escalating { .. }
            | LogEvent::Asked { .. }
            | LogEvent::Saved(_)
            | LogEvent::Ready { .. }
            | LogEvent::SavedSoStop { .. } => Level::Info,
        }
    }
}
