//! What the time of a job went into.

use serde::{Deserialize, Serialize};

/// Seconds of each part of the time of an attempt or of a job. The parts do not overlap, and add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Work that a checkpoint holds, or that led to the end of the training.
    pub progress: f64,
    /// Work that no checkpoint holds, or that a later attempt did not go on from.
    pub lost: f64,
    /// From the stop signal, or the end of the main process, to the end of the last process: saving and ending.
    pub saving: f64,
    /// Checks, dependencies and hooks.
    pub preparing: f64,
    /// Bringing data and code.
    pub staging: f64,
    /// Waiting for other nodes.
    pub waiting: f64,
    /// The pause before a restart in the same container.
    pub backoff: f64,
    /// No attempt: the queue, or nobody started one.
    pub between: f64,
    /// From the last sign of life of an attempt without an end to the next start: work that was lost, or no attempt.
    pub unknown: f64,
    /// The work of an attempt that has no end yet.
    pub running: f64,
}

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `Parts::progress`.
    Progress,
    /// `Parts::lost`.
    Lost,
    /// `Parts::saving`.
    Saving,
    /// `Parts::preparing`.
    Preparing,
    /// `Parts::staging`.
    Staging,
    /// `Parts::waiting`.
    Waiting,
    /// `Parts::backoff`.
    Backoff,
    /// `Parts::between`.
    Between,
    /// `Parts::unknown`.
    Unknown,
    /// `Parts::running`.
    Running,
}

impl Part {
    /// Returns the part's name in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Progress => "progress",
            Part::Lost => "lost",
            Part::Saving => "saving",
            Part::Preparing => "preparing",
            Part::Staging => "staging",
            Part::Waiting => "waiting",
            Part::Backoff => "backoff",
            Part::Between => "between",
            Part::Unknown => "unknown",
            Part::Running => "running",
        }
    }

    /// Returns the part in words.
    pub const fn words(self) -> &'static str {
        match self {
            Part::Progress => "progress",
            Part::Lost => "lost work",
            Part::Saving => "saving",
            Part::Preparing => "preparing",
            Part::Staging => "staging",
            Part::Waiting => "waiting for nodes",
            Part::Backoff => "back-off",
            Part::Between => "between attempts",
            Part::Unknown => "unknown",
            Part::Running => "running",
        }
    }
}

/// What the time before an attempt was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapKind {
    /// There was no attempt before it.
    #[default]
    None,
    /// The pause before a restart in the same container.
    Backoff,
    /// Another container, or none.
    Between,
}

impl Parts {
    /// Returns every part, in the order in which they are shown.
    pub fn rows(&self) -> [(Part, f64); 10] {
        [
            (Part::Progress, self.progress),
            (Part::Running, self.running),
            (Part::Lost, self.lost),
            (Part::Unknown, self.unknown),
            (Part::Saving, self.saving),
            (Part::Preparing, self.preparing),
            (Part::Staging, self.staging),
            (Part::Waiting, self.waiting),
            (Part::Backoff, self.backoff),
            (Part::Between, self.between),
        ]
    }

    /// Returns the whole.
    pub fn total(&self) -> f64 {
        self.rows().into_iter().map(|(_, time)| time).sum()
    }

    /// Adds other parts to these.
    pub fn add(&mut self, other: &Parts) {
        self.progress += other.progress;
        self.lost += other.lost;
        self.saving += other.saving;
        self.preparing += other.preparing;
        self.staging += other.staging;
        self.waiting += other.waiting;
        self.backoff += other.backoff;
        self.between += other.between;
        self.unknown += other.unknown;
        self.running += other.running;
    }
}
