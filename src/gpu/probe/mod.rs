//! Asks the driver's libraries, in a process of its own: the helper (`probe/` beside `src/`), a small dynamic program, because a
//! static one cannot load them. The helper says line by line what it is about to do (`transcript`), `read` says what that means.

pub mod read;
pub mod transcript;

use serde::{Deserialize, Serialize};

/// How deep GPUs are looked into (`gpu.probe`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// By files alone; no library is loaded.
    Presence,
    /// NVML's facts, and what CUDA shows to a program with the workload's environment.
    #[default]
    Driver,
    /// A context and a memory round trip on every GPU besides.
    Cuda,
    /// Bandwidths, arithmetic and copies between GPUs besides.
    Full,
}
