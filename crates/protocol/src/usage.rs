//! Whether the workload lives, and whether its container is used.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Signs of life of the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Bytes that the workload's processes have written since they started, as the kernel counts them; `None` where the kernel does not
    /// say.
    pub written: Option<u64>,
    /// Seconds since 1970 when the heartbeat file was last touched.
    pub heartbeat: f64,
}

/// The result of a look at the container's use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageState {
    /// The sign of use that was seen, in a few words; `None` if nothing was seen.
    pub sign: Option<String>,
    /// Milliseconds of processor time that the workload's processes have had; `None` if that is not known or was not asked for.
    pub processor: Option<u64>,
}

/// When an unused container is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The container is stopped when it was not used for this time.
    pub after: Duration,
    /// TCP ports to which an open connection counts as use.
    pub ports: Vec<u16>,
    /// The signs that count as use.
    pub signs: Vec<UsageSign>,
}

/// A sign that a container is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageSign {
    /// A client is connected to a port of the workload.
    Connections,
    /// A Jupyter kernel computes.
    Kernels,
    /// A person types at a terminal.
    Terminal,
    /// A GPU computes.
    Gpu,
    /// The workload's processes take processor time.
    Cpu,
}

impl UsageSign {
    /// All signs of use.
    pub const ALL: [UsageSign; 5] =
        [UsageSign::Connections, UsageSign::Terminal, UsageSign::Kernels, UsageSign::Gpu, UsageSign::Cpu];
}
