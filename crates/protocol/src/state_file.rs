//! The state file: what PID 1 writes about itself for other programs. Where it lies and how it is written and found is the supervisor's.

use crate::handover::{Phase, SavedCheckpoint, Service, WorkloadKind};
use serde::{Deserialize, Serialize};

/// The variable that tells a workload where the state is.
pub const RUN_DIR_VARIABLE: &str = "TRAINIT_RUN_DIR";

/// A file in the state directory that the workload touches to say that it lives.
pub const HEARTBEAT: &str = "heartbeat";

/// A directory in it where the workload's user asks for something.
pub const REQUESTS: &str = "requests";

/// What a request for a checkpoint is called, up to its own part.
pub const CHECKPOINT_REQUEST: &str = "checkpoint-";

/// Where the report of a held container is, unless it was wanted elsewhere.
pub const REPORT: &str = "report.json";

/// Version of what the state file holds.
pub const VERSION: u32 = 1;

/// What `state.json` holds. No secrets, no environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateRecord {
    /// Version of this layout.
    pub version: u32,
    /// Where the container is between start and end.
    pub phase: Phase,
    /// Seconds since 1970 when this phase began.
    pub since: f64,
    /// Seconds since 1970 when PID 1 started.
    pub started: f64,
    /// PID 1.
    pub supervisor: ProcessIdentity,
    /// The main process, which prepares and then is the workload.
    pub main: i32,
    /// Which start this is, from 1.
    pub attempt: u32,
    /// The mode's name.
    pub mode: String,
    /// Train or build.
    pub kind: WorkloadKind,
    /// The command line that runs.
    pub command: Option<String>,
    /// The signal that asked for the stop.
    pub stopped_by: Option<String>,
    /// How the main process ended, in words.
    pub ended: Option<String>,
    /// The newest complete checkpoint that is known.
    pub saved: Option<SavedCheckpoint>,
    /// The watchdog found that nothing happens any more.
    pub hung: bool,
    /// How often a checkpoint was asked for by a request file.
    pub asks: u32,
    /// How often that came to nothing at once.
    pub refusals: u32,
    /// Something is configured that makes the trainer save and go on.
    pub can_save: bool,
    /// A checkpoint directory is watched.
    pub watches: bool,
    /// The TCP port that the workload serves.
    pub port: Option<u16>,
    /// How it is seen whether it answers there.
    pub service: Option<Service>,
    /// Where the JSON report is, or is going to be.
    pub report: Option<String>,
    /// A failed container is kept open for so many seconds since this phase began.
    pub hold_s: Option<u64>,
    /// Why preparing failed, in a few lines.
    pub refused: Option<String>,
    /// The modes that run beside the main one.
    #[serde(rename = "companions")]
    pub sidecars: Vec<SidecarRecord>,
    /// Who uses it, where `idle.after` looks for that.
    pub used_by: Option<String>,
    /// Seconds since 1970 when that was seen last, if nobody does.
    pub unused_since: Option<f64>,
    /// It is stopped when it was not used for so many seconds.
    pub idle_s: Option<u64>,
}

/// A mode that runs beside the main one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidecarRecord {
    /// Its name.
    pub mode: String,
    /// `running`, `waiting` (for its next start) or `ended`.
    pub phase: String,
    /// Its process, which prepares and then is its workload; 0: there is none.
    pub pid: i32,
    /// How often it was started.
    pub starts: u32,
}

/// A process, named so that a recycled pid is not mistaken for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot.
    pub start: u64,
}
