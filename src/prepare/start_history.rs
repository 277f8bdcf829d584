//! What a start keeps for the history of its job: which attempt it is, and how long each phase took.

use crate::deps::FrozenPackages;
use crate::job_history::HistoryFile;
use history::{StartEntry, Sum, Versions, rounded};
use protocol::handover::Phase;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// The history of a start.
pub(super) struct StartHistory {
    /// The file.
    pub file: HistoryFile,
    /// The identity of this attempt.
    pub id: String,
    /// When the attempt began, in seconds since 1970.
    pub began: f64,
    /// The first line, once it is written or waits.
    pub first: Option<StartEntry>,
    /// The first line waits for a first checkpoint.
    pub waits: bool,
    /// What the last attempt before this one was made of.
    pub before: Option<Versions>,
    /// The sum of the attempts so far, this one included.
    pub sum: Option<Sum>,
    /// A digest of the requirement files.
    pub requirements: Option<String>,
    /// The packages that the workload's Python can import.
    pub packages: Option<FrozenPackages>,
    /// The directory in which the list of the packages waits for a first checkpoint.
    pub list_waits_in: Option<PathBuf>,
}

impl StartHistory {
    /// Returns the history of an attempt that began at this time, in seconds since 1970.
    pub(super) fn new(file: HistoryFile, id: String, began: f64) -> Self {
        StartHistory {
            file,
            id,
            began: rounded(began),
            first: None,
            waits: false,
            before: None,
            sum: None,
            requirements: None,
            packages: None,
            list_waits_in: None,
        }
    }
}

/// The phases of a preparation so far.
pub(super) struct PhaseTimes {
    /// The present phase, and when it began.
    now: (Phase, Instant),
    /// Seconds of each phase before it.
    took: BTreeMap<String, f64>,
}

impl PhaseTimes {
    /// Begins with the first phase.
    pub(super) fn begin(since: Instant) -> Self {
        PhaseTimes { now: (Phase::Configuring, since), took: BTreeMap::new() }
    }

    /// Takes note of the next phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        let (before, since) = std::mem::replace(&mut self.now, (phase, now));
        *self.took.entry(before.word().to_owned()).or_default() += now.duration_since(since).as_secs_f64();
    }

    /// Returns the seconds of all phases, each rounded.
    pub(super) fn all(mut self) -> BTreeMap<String, f64> {
        self.enter(Phase::Running);
        self.took.values_mut().for_each(|time| *time = rounded(*time));
        self.took.retain(|_, time| *time > 0.0);
        self.took
    }
}
