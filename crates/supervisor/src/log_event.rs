//! PID 1's lines as data; `log_words` turns them into words.

use super::stop_plan::{Reason, StopPlan};
use protocol::handover::{Level, SavedCheckpoint};
use std::ffi::c_int;
use std::time::Duration;
use sys::process::Ended;

/// A line for the person who reads the log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEvent {
    /// A stop begins.
    Stopping {
        /// The stop.
        stop: StopPlan,
        /// Where its grace was set.
        grace_from: String,
        /// Why PID 1 asked for it by itself.
        reason: Option<Reason>,
    },
    /// PID 1 is about to stop the workload by itself.
    EndsSoon {
        /// Why.
        reason: Reason,
        /// So soon.
        left: Duration,
    },
    /// The same signal again; nothing changes.
    Again {
        /// The signal.
        number: c_int,
        /// Until SIGKILL; none: there is no limit.
        left: Option<Duration>,
    },
    /// Time for checkpoints is over: everything gets TERM.
    Escalating {
        /// Until SIGKILL; none: there is no limit.
        left: Option<Duration>,
    },
    /// The budget is used up.
    Killing,
    /// What is left could not be killed.
    GivenUp,
    /// `prepare.timeout` is over.
    PrepareTimeout(Duration),
    /// The trainer was asked to save, with this signal; none: by a file.
    Asked {
        /// The signal.
        number: Option<c_int>,
        /// It is to stop afterwards.
        stop: bool,
        /// Until SIGTERM for everything, saved or not; none: there is no limit.
        left: Option<Duration>,
    },
    /// The trainer has no handler for the signal that means "save".
    NobodyReady(c_int),
    /// The trainer has no handler for the stop signal that was configured, so it got SIGTERM instead.
    TermInstead(c_int),
    /// Nothing is configured that makes the trainer save.
    NoWayToSave,
    /// A new checkpoint is complete.
    Saved(SavedCheckpoint),
    /// The checkpoint is there, so the workload is stopped now.
    SavedSoStop {
        /// Until SIGKILL; none: there is no limit.
        left: Option<Duration>,
    },
    /// Nothing newer came for so long after it was asked for.
    NotSaved(Duration),
    /// So long after a stop there is no new checkpoint; what the workload is doing follows.
    NothingSavedYet {
        /// Since the stop.
        after: Duration,
        /// Until SIGKILL.
        left: Option<Duration>,
    },
    /// The workload is started again.
    Restarting {
        /// Which start it will be.
        attempt: u32,
        /// After this pause.
        pause: Duration,
    },
    /// It is not started again, because of this.
    NoRestart(&'static str),
    /// What failed is kept open …
    Holding {
        /// … for so long,
        time: Duration,
        /// and then ends with this code.
        code: u8,
    },
    /// That time is over.
    Held,
    /// Nothing happened for so long.
    Hangs {
        /// What did not happen.
        what: &'static str,
        /// For how long.
        quiet: Duration,
    },
    /// It is ended because it hangs; so long until SIGKILL.
    Aborting(Duration),
    /// A companion has ended.
    CompanionEnded {
        /// Its mode.
        mode: String,
        /// How.
        ended: Ended,
        /// It is started again after this pause; none: it is not.
        again: Option<Duration>,
    },
    /// A line of an errand's.
    Note(String),
}

impl LogEvent {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            LogEvent::GivenUp => Level::Error,
            LogEvent::CompanionEnded { ended: Ended::Exited(0), .. } => Level::Info,
            LogEvent::Killing
            | LogEvent::PrepareTimeout(_)
            | LogEvent::NobodyReady(_)
            | LogEvent::TermInstead(_)
            | LogEvent::NoWayToSave
            | LogEvent::NotSaved(_)
            | LogEvent::Restarting { .. }
            | LogEvent::EndsSoon { .. }
            | LogEvent::NoRestart(_)
            | LogEvent::CompanionEnded { .. }
            | LogEvent::Holding { .. }
            | LogEvent::Hangs { .. }
            | LogEvent::NothingSavedYet { .. }
            | LogEvent::Aborting(_)
            | LogEvent::Note(_) => Level::Warn,
            LogEvent::Held
            | LogEvent::Stopping { .. }
            | LogEvent::Again { .. }
            | LogEvent::Escalating { .. }
            | LogEvent::Asked { .. }
            | LogEvent::Saved(_)
            | LogEvent::SavedSoStop { .. } => Level::Info,
        }
    }
}
