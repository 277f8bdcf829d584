//! What the process that brings data says, as it comes over the pipe.

use ::stage::{Progress, StageError, StageRequest};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use store::failed::FailureMessage;

/// An answer of the process; of a request by its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum StagingEvent {
    /// A line for the log.
    Line(String),
    /// Another start brings it: its host, and what it does.
    Waits(String, String),
    /// How far a request is.
    Progress(usize, Progress),
    /// A request is done: the words about it, how long it took, and the file that tells of its use.
    Done(usize, String, Duration, Option<PathBuf>),
    /// A request failed, and with it the rest.
    Failed(usize, StagingFailure),
    /// The process ended without an answer.
    Died,
}

/// A failure, as it comes over the pipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagingFailure {
    /// Whether another try can help.
    pub(crate) may_pass: bool,
    /// Seconds that the server's clock is ahead, if that is the reason.
    pub(crate) skew: Option<i64>,
    /// What happened.
    pub(crate) what: String,
    /// The cause.
    pub(crate) because: Option<String>,
    /// What helps.
    pub(crate) hints: Vec<String>,
}

impl StagingFailure {
    /// Puts an error into words.
    pub(super) fn of(error: &StageError, request: &StageRequest) -> Self {
        let FailureMessage { what, because, hints } = error.message(&request.target);
        StagingFailure { may_pass: error.may_pass(), skew: error.skew(), what, because, hints }
    }
}
