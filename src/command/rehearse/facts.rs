//! The facts that a rehearsal is judged by: what the configuration expects, and what was found. Data only.

use super::trial::RehearsedCheckpoint;
use super::went_on::WentOn;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The expectations of the configuration.
pub(super) struct RehearsalExpectation {
    /// Time from the workload's start to the stop.
    pub after: Duration,
    /// The whole time budget of a stop.
    pub grace: Duration,
    /// The source of the grace.
    pub grace_from: String,
    /// The exit code of a job that stopped normally; `None` for the job's own.
    pub stop_code: Option<u8>,
    /// The exit code of a job that was killed.
    pub killed_code: u8,
    /// The directory of checkpoints.
    pub watched: Option<PathBuf>,
    /// Whether the next start gets the newest checkpoint.
    pub resumes: bool,
}

/// The facts after the rehearsal.
pub(super) struct RehearsalFacts {
    /// The newest checkpoint before the rehearsal.
    pub before: Option<RehearsedCheckpoint>,
    /// The newest checkpoint after it.
    pub newest: Option<RehearsedCheckpoint>,
    /// Whether `stop.done_file` exists.
    pub done: bool,
    /// The input of the next start.
    pub next: NextStart,
    /// What was written in the first start and is no new checkpoint.
    pub traces: Vec<String>,
    /// Whether the second start went on; `None` where it was not tried.
    pub went_on: Option<WentOn>,
    /// Whether the user interrupted the second start.
    pub broken_off: bool,
}

/// The input of the next start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NextStart {
    /// Arguments of its command line.
    pub arguments: Vec<OsString>,
    /// Its variables.
    pub variables: Vec<(String, OsString)>,
    /// The reason why the input is unknown.
    pub failure: Option<String>,
    /// What was seen in the directory of checkpoints, where nothing is handed over.
    pub seen: Vec<String>,
}

impl NextStart {
    /// Returns whether the next start gets a variable or a word.
    pub(super) fn gives(&self) -> bool {
        !self.variables.is_empty() || !self.arguments.is_empty()
    }

    /// Formats what it is given.
    pub(super) fn words(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={}", text::quoted(value)));
        let arguments = (!self.arguments.is_empty()).then(|| format!("the words {}", text::command(&self.arguments)));
        variables.chain(arguments).collect::<Vec<_>>().join(" ")
    }
}
