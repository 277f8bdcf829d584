//! How the exchange ends, and how far it has come.

use crate::fields::shortened;
use crate::hello::{Saved, Unit};

/// Most bytes of a stop's line.
const LINE_MAX: usize = 1000;

/// How the exchange ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All processes start their workloads.
    Go(Resume),
    /// No process does.
    Stop(Stop),
}

/// The checkpoint that all resume from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Nothing was agreed: each keeps what it found.
    Own,
    /// None has a checkpoint.
    Nothing,
    /// All have this one.
    From(Saved),
}

/// The reason why none of the processes starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The exit code of each.
    pub code: u8,
    /// The line that each prints: whose fault it is, and what happened.
    pub line: String,
}

impl Stop {
    /// Cuts a line to the length that a message may have.
    pub(crate) fn cut(line: &str) -> String {
        shortened(line, LINE_MAX)
    }

    pub(crate) fn new(code: u8, line: impl AsRef<str>) -> Self {
        Stop { code, line: Self::cut(line.as_ref()) }
    }
}

/// How far the exchange has come, for a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The host waits for processes.
    Waiting {
        /// What the processes stand for.
        unit: Unit,
        /// How many meet.
        of: u32,
        /// Those that have not come.
        missing: Vec<u32>,
    },
    /// The end is decided, and the host stays to tell the processes that have not come.
    Telling {
        /// What the processes stand for.
        unit: Unit,
        /// Those that do not know it yet.
        missing: Vec<u32>,
        /// The exit code of all; `None` where they start.
        code: Option<u8>,
    },
    /// A guest has not reached the host; what it saw last.
    Seeking(String),
    /// A guest has reached the host, which waits for others.
    Reached,
    /// A guest knows that none starts, with this exit code, and stays until the others know it.
    Stopped(u8),
}
