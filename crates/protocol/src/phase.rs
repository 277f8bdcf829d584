//! The phases of a container, and their words. Every user may read them in the state file.

use serde::{Deserialize, Serialize};

/// The phase of a container between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading the configuration, and deciding on the mode and the user.
    #[default]
    Configuring,
    /// Bringing code or data from elsewhere.
    Staging,
    /// Running the hooks of a start.
    Hooks,
    /// Running checks.
    Checking,
    /// Installing dependencies.
    Installing,
    /// Fetching a checkpoint from the mirror.
    Restoring,
    /// About to become the workload.
    Starting,
    /// Waiting for the other nodes of the job.
    Waiting,
    /// The workload runs.
    Running,
    /// The workload was asked for a checkpoint and goes on afterwards.
    Checkpointing,
    /// A stop was asked for; the workload may be saving.
    Stopping,
    /// The workload has ended, and its last checkpoint is being uploaded.
    Mirroring,
    /// A failed container is kept open for a person.
    Holding,
    /// Ended.
    Ended,
}

impl Phase {
    /// Returns the phase as a word.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Configuring => "configuring",
            Phase::Staging => "staging",
            Phase::Hooks => "hooks",
            Phase::Checking => "checking",
            Phase::Installing => "installing",
            Phase::Restoring => "restoring",
            Phase::Starting => "starting",
            Phase::Waiting => "waiting",
            Phase::Running => "running",
            Phase::Checkpointing => "checkpointing",
            Phase::Stopping => "stopping",
            Phase::Mirroring => "mirroring",
            Phase::Holding => "holding",
            Phase::Ended => "ended",
        }
    }

    /// Returns whether the workload runs and no stop was asked for.
    pub const fn is_up(self) -> bool {
        matches!(self, Phase::Running | Phase::Checkpointing)
    }

    /// Returns what prepare does in this phase, to end a sentence with: `killed while installing dependencies`.
    pub const fn activity(self) -> &'static str {
        match self {
            Phase::Configuring => "reading the configuration",
            Phase::Staging => "bringing code or data",
            Phase::Hooks => "running hooks",
            Phase::Checking => "running checks",
            Phase::Installing => "installing dependencies",
            Phase::Restoring => "fetching a checkpoint from the mirror",
            Phase::Starting => "starting the workload",
            Phase::Waiting => "waiting for the other nodes",
            Phase::Running
            | Phase::Checkpointing
            | Phase::Stopping
            | Phase::Mirroring
            | Phase::Holding
            | Phase::Ended => "running",
        }
    }
}

/// How much of the data of a start is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedBytes {
    /// Bytes that are there.
    pub done: u64,
    /// All bytes; 0 while that is not known.
    pub all: u64,
}
