//! Checkpoints: which of the things in a directory is the newest *complete* one, and how a trainer is told to go on from it.
//! Every trainer family has a file with its own rule of completeness and one entry in `FAMILIES`; docs/checkpoints.md says
//! the same to users. Reads directories and files only, within fixed bounds. Knows `sys`; nothing of PID 1 or of settings.

mod choice;
mod completeness;
pub mod family;
pub mod format;
mod listing;
mod name;
mod pattern;
mod resume;
mod search;
mod wakeup;
mod watch;
mod writers;

pub use choice::FamilyChoice;
pub use family::{FAMILIES, Family};
pub use pattern::Pattern;
pub use resume::{resume_arguments, resume_environment};
pub use search::{PassedOver, Survey, newest, survey};
pub use wakeup::WatchEnd;
pub use watch::watch;

use std::path::PathBuf;
use std::time::SystemTime;

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file or directory: absolute, and the real one where a symbolic link pointed to it.
    pub path: PathBuf,
    /// The training step it was written at, when its name or its content tells.
    pub step: Option<u64>,
    /// Bytes, of all files together.
    pub size: u64,
    /// When the last of its files was written.
    pub modified: SystemTime,
    /// The family's word, as in `checkpoint.family`.
    pub family: &'static str,
}
