//! The mirror of checkpoints as PID 1 and its helper tell of it.

use serde::{Deserialize, Serialize};

/// Where checkpoints are mirrored, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorPolicy {
    /// The URL of the mirror.
    pub url: String,
    /// How many checkpoints stay there; 0 for all.
    pub keep: u64,
    /// The server that is asked instead of the cloud's.
    pub endpoint: Option<String>,
    /// A file with certificates that are trusted besides the system's.
    pub ca: Option<String>,
    /// How many requests are worked on at a time.
    pub parallel: Option<u32>,
    /// Most bytes a second.
    pub limit: Option<u64>,
    /// How often a request that may pass is tried again.
    pub retries: Option<u32>,
    /// The number of this node's part, from 1, and how many parts there are, where each node saves to a disk of its own.
    pub part: Option<(u32, u32)>,
    /// Whether a training whose last checkpoint is not in the mirror ends with 0 all the same.
    pub may_be_missing: bool,
    /// How the engine is told to give a stop more time, with `{}` for the seconds; empty where that is not known.
    pub more_time: String,
}

/// What of the checkpoints is in the mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorState {
    /// The newest checkpoint that is there.
    pub newest: Option<Mirrored>,
    /// The checkpoint that is being uploaded.
    pub going: Option<Upload>,
    /// Why the last upload failed, until one succeeds.
    pub failed: Option<String>,
    /// Another writer is at work in the same place: nothing is uploaded any more.
    pub refused: bool,
    /// Everything that was complete is there, and the helper has ended.
    pub complete: bool,
}

/// A checkpoint in the mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mirrored {
    /// Its path on this node.
    pub path: String,
    /// Its step, where that is known.
    pub step: Option<u64>,
}

/// An upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upload {
    /// The checkpoint.
    pub checkpoint: Mirrored,
    /// Its bytes.
    pub size: u64,
    /// The bytes that are still to go.
    pub left: u64,
}

impl Upload {
    /// Returns how much is through, in per cent.
    pub fn percent(&self) -> u64 {
        let done = u128::from(self.size.saturating_sub(self.left)) * 100;
        done.checked_div(u128::from(self.size)).and_then(|percent| u64::try_from(percent).ok()).unwrap_or(0)
    }
}
