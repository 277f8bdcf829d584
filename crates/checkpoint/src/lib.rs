//! Checkpoints: the search for the newest *complete* checkpoint in a directory, and the words that make a trainer go on from it.
//! Every trainer family has a file with its own rule of completeness and one entry in `FAMILIES`; docs/checkpoints.md explains the
//! rules to users. The crate only reads directories and files, within fixed bounds. It uses `sys`, and knows neither PID 1 nor the
//! settings.
#![warn(unreachable_pub)]

mod choice;
mod completeness;
pub mod family;
mod find;
pub mod format;
mod listing;
mod name;
mod node_part;
mod order;
mod part;
mod pattern;
mod places;
mod resume;
mod rewritten;
mod runs;
mod search;
mod set;
mod siblings;
mod survey;
mod wakeup;
mod watch;
mod writers;

pub use choice::FamilyChoice;
pub use family::{FAMILIES, Family};
pub use find::{newest, older, survey};
pub use node_part::{part_at, saved_by_all};
pub use part::pattern_for;
pub use pattern::Pattern;
pub use resume::{resume_arguments, resume_environment};

pub use survey::{PassedOver, Rival, Survey};
pub use wakeup::WatchEnd;
pub use watch::{complete, watch};

use std::path::PathBuf;
use std::time::SystemTime;

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The absolute path of the file or directory; the target where a symbolic link points to it.
    pub path: PathBuf,
    /// The training step at which it was written, where its name or its content tells the step.
    pub step: Option<u64>,
    /// Bytes of all files together.
    pub size: u64,
    /// When the last file was written.
    pub modified: SystemTime,
    /// The family's word, as in `checkpoint.family`.
    pub family: &'static str,
    /// The other files of the checkpoint, where it is a set of files in the directory itself.
    pub others: Vec<PathBuf>,
    /// Whether `path` stands for the whole checkpoint. One file of a set does not, unless a pattern names it.
    pub stands: bool,
    /// How many of its files were not looked into, because there are too many.
    pub unread: u64,
}
