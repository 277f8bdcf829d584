//! The result of a search: what was found, what was not, and what cannot be told. It says no more than was seen: a directory with
//! files that no rule fits is not an empty one.

use super::Checkpoint;
use std::path::PathBuf;
use std::time::SystemTime;

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The newest complete checkpoint.
    pub newest: Option<Checkpoint>,
    /// The family that the directory was read as; `None` where no family has left its mark there.
    pub family: Option<&'static str>,
    /// The newer candidates that are not complete.
    pub passed_over: Vec<PassedOver>,
    /// Whether the directory holds more entries than were read, so that a newer checkpoint may be among the rest.
    pub cut: bool,
    /// How many older candidates were not judged, because too many newer ones are not complete.
    pub unjudged: usize,
    /// Files that may be weights from elsewhere, or of a kind that no rule fits.
    pub foreign: Vec<PathBuf>,
    /// A checkpoint with a higher step that is older, so that an earlier run has left it.
    pub earlier: Option<Rival>,
    /// The checkpoints among which it cannot be told which one is the newest of this run. `newest` is `None` then.
    pub doubt: Vec<Rival>,
}

/// A candidate that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The file or directory.
    pub path: PathBuf,
    /// Its step, where that is known.
    pub step: Option<u64>,
    /// The reason why it is not complete, as a fragment that fits after the path.
    pub why: String,
}

/// A checkpoint that stands against another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The file or directory.
    pub path: PathBuf,
    /// Its step, where that is known.
    pub step: Option<u64>,
    /// When it was written.
    pub modified: SystemTime,
}

impl From<&Checkpoint> for Rival {
    fn from(found: &Checkpoint) -> Self {
        Rival { path: found.path.clone(), step: found.step, modified: found.modified }
    }
}

impl Survey {
    /// Tells whether nothing was seen that may be a checkpoint, so that a start is a first one.
    pub fn is_empty(&self) -> bool {
        let none = self.passed_over.is_empty() && self.foreign.is_empty() && self.doubt.is_empty();
        self.newest.is_none() && none && !self.cut && self.unjudged == 0
    }
}
