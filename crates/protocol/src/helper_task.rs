//! What a child of PID 1 is asked to do.

use crate::attempt::AttemptEnd;
use std::time::Duration;

/// A task for a child of PID 1, because the task is rich, may block, or needs the workload's user.
#[derive(Clone, Debug, PartialEq)]
pub enum HelperTask {
    /// Watch the checkpoint directory until PID 1 closes the pipe, then look once more.
    Watch,
    /// Upload each complete checkpoint; when PID 1 closes the pipe, what is left of it, and then end.
    Mirror,
    /// Answer whether `stop.done_file` is there.
    DoneFile,
    /// Touch `checkpoint.request_file`.
    RequestSave,
    /// Look for signs of life of the workload, leaving out these processes.
    Pulse(Vec<i32>),
    /// Log what these processes are doing, as far as it can be seen.
    Dump(Vec<i32>),
    /// Look whether the container is used.
    LookForUse {
        /// Typing counts as use for this long.
        within: Duration,
    },
    /// Wait until the workload's service answers.
    AwaitService {
        /// Longest wait.
        within: Duration,
    },
    /// Write this line to every terminal in the container.
    TellTerminals(String),
    /// Run the hooks of `hooks.after_stop`.
    AfterStop {
        /// Time for all hooks together.
        time: Duration,
        /// Exit code that the container is going to end with.
        code: u8,
    },
    /// Watch for a notice of the cloud until PID 1 closes the pipe.
    Preemption,
    /// Have Slurm start the job again.
    Requeue,
    /// Write the end of an attempt to the history, after the lines that have waited.
    WriteEnd {
        /// The lines that have waited.
        waiting: String,
        /// The end.
        end: Box<AttemptEnd>,
    },
    /// Write lines of the history that have waited for a first checkpoint.
    WriteHistory(String),
    /// Write the JSON report of a preparation that was killed and could not write it.
    Report {
        /// How the preparation ended, in words.
        how: String,
        /// Exit code of the container.
        code: u8,
    },
}
