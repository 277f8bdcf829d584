//! An attempt of a job as PID 1 and its helpers tell of it: the checkpoints that it completes, its history and its end.

use serde::{Deserialize, Serialize};

/// A complete checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCheckpoint {
    /// Path of the checkpoint.
    pub path: String,
    /// How many other files belong to it, where it is a set of files.
    #[serde(default)]
    pub others: u64,
    /// The training step, where the name or the content of the checkpoint gives one.
    pub step: Option<u64>,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since 1970 when the last byte was written.
    pub modified: f64,
    /// The checkpoint was completed while a helper watched, and was not there before.
    pub fresh: bool,
}

/// The history of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryPolicy {
    /// The path of the history.
    pub file: String,
    /// Nothing is written as long as the directory of the checkpoints is empty: some trainers refuse one that is not.
    pub waits: bool,
    /// The identity of this attempt.
    pub id: String,
}

/// The end of an attempt, for the history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttemptEnd {
    /// Seconds since 1970 when the last process was gone.
    pub at: f64,
    /// Seconds since 1970 when the work ended: at the stop, or at the end of the main process. `None` if the workload never ran.
    pub worked_until: Option<f64>,
    /// How the main process ended, in words.
    pub how: String,
    /// The exit code of the container, or the workload's own where another run follows.
    pub code: u8,
    /// The signal that ended the main process.
    pub signal: Option<i32>,
    /// The signal that asked for the stop, and who sent it; `None` if no stop was asked for.
    pub stopped_by: Option<String>,
    /// `stop.done_file` says that training was complete.
    pub complete: bool,
    /// The watchdog ended the workload.
    pub hung: bool,
    /// Number of processes that the kernel's out-of-memory killer ended.
    pub memory_kills: u64,
    /// The newest checkpoint that was completed in this attempt, and when PID 1 learnt of it, in seconds since 1970.
    pub saved: Option<(SavedCheckpoint, f64)>,
    /// No run follows, because the training is complete or its restarts are used up.
    pub over: bool,
}
