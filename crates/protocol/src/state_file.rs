//! The state file, which PID 1 writes for other programs. The supervisor decides where it lies and how it is written and found.

use crate::attempt::SavedCheckpoint;
use crate::mirror::MirrorState;
use crate::phase::{Phase, StagedBytes};
use crate::policy::{Service, WorkloadKind};
use serde::{Deserialize, Serialize};

/// The variable that tells a workload where the state directory is.
pub const RUN_DIR_VARIABLE: &str = "TRAINIT_RUN_DIR";

/// The file in the state directory that the workload touches to show that it is alive.
pub const HEARTBEAT: &str = "heartbeat";

/// The directory in the state directory in which the workload's user makes request files.
pub const REQUESTS: &str = "requests";

/// The beginning of the name of a request for a checkpoint.
pub const CHECKPOINT_REQUEST: &str = "checkpoint-";

/// The name of the report of a held container, unless another place was configured.
pub const REPORT: &str = "report.json";

/// Version of the state file's layout.
pub const VERSION: u32 = 1;

/// The content of `state.json`, without secrets and without the environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateRecord {
    /// Version of this layout.
    pub version: u32,
    /// The phase of the container between start and end.
    pub phase: Phase,
    /// Seconds since 1970 when this phase began.
    pub since: f64,
    /// Seconds since 1970 when PID 1 started.
    pub started: f64,
    /// The process of PID 1.
    pub supervisor: ProcessIdentity,
    /// The pid of the main process, which prepares and then is the workload.
    pub main: i32,
    /// The number of this start, from 1.
    pub attempt: u32,
    /// The mode's name.
    pub mode: String,
    /// Whether the workload trains or builds.
    pub kind: WorkloadKind,
    /// The command line of the workload, while there is one.
    pub command: Option<String>,
    /// How much of the data is there, while a start brings data.
    pub staged: Option<StagedBytes>,
    /// The signal that asked for the stop.
    pub stopped_by: Option<String>,
    /// How the main process ended, in words.
    pub ended: Option<String>,
    /// The newest complete checkpoint that is known.
    pub saved: Option<SavedCheckpoint>,
    /// What of the checkpoints is in the mirror; `None` where there is none.
    pub mirror: Option<MirrorState>,
    /// Whether the watchdog found the workload hung.
    pub hung: bool,
    /// How many checkpoints were asked for by request files.
    pub asks: u32,
    /// How many of those requests were refused at once.
    pub refusals: u32,
    /// Whether something is configured that makes the trainer save and go on.
    pub can_save: bool,
    /// Whether a checkpoint directory is watched.
    pub watches: bool,
    /// The TCP port that the workload serves.
    pub port: Option<u16>,
    /// How trainit checks whether the workload answers on that port.
    pub service: Option<Service>,
    /// The path of the JSON report, which may not be written yet.
    pub report: Option<String>,
    /// The path of the job's history, where one is kept.
    pub history_file: Option<String>,
    /// For how many seconds since this phase began a failed container is kept open.
    pub hold_s: Option<u64>,
    /// The reason why the preparation failed, in a few lines.
    pub refused: Option<String>,
    /// The sidecars, which are modes that run next to the main one.
    #[serde(rename = "companions")]
    pub sidecars: Vec<SidecarRecord>,
    /// The user of the container, where `idle.after` looks for users.
    pub used_by: Option<String>,
    /// When a user was last seen, in seconds since 1970, while no user is seen.
    pub unused_since: Option<f64>,
    /// After how many seconds without a user the container is stopped.
    pub idle_s: Option<u64>,
}

/// A mode that runs next to the main one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidecarRecord {
    /// The mode's name.
    pub mode: String,
    /// `running`, `waiting` (for its next start) or `ended`.
    pub phase: String,
    /// The sidecar's process, which prepares and then is its workload; 0 where there is none.
    pub pid: i32,
    /// How often the sidecar was started.
    pub starts: u32,
}

/// A process, named so that a recycled pid is not mistaken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The pid.
    pub pid: i32,
    /// The start time in clock ticks since boot.
    pub start: u64,
}
