//! What is wanted: one path, its source, and the settings of `stage`.

use super::list::Part;
use super::only::Only;
use super::source::Source;
use super::space::SharedRoom;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// When the source is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Never: a stamp is enough.
    Never,
    /// When the last look is older.
    After(Duration),
    /// At each start.
    Always,
}

/// How objects are fetched.
#[derive(Clone, Debug, Default)]
pub struct TransferChoice {
    /// The program; `None` if there is none.
    pub program: Option<PathBuf>,
    /// The server instead of the cloud's.
    pub endpoint: Option<String>,
    /// A file with certificates.
    pub ca: Option<PathBuf>,
    /// How often a request is tried again.
    pub retries: Option<u32>,
}

/// One path that is wanted.
#[derive(Clone, Debug)]
pub struct StageRequest {
    /// The path that the workload reads.
    pub target: PathBuf,
    /// Where the data is.
    pub source: Source,
    /// Which objects.
    pub only: Only,
    /// Which part of them; `None` for all.
    pub part: Option<Part>,
    /// The store, if there is one.
    pub store: Option<PathBuf>,
    /// The most bytes of the store; `None` for nine tenths of its file system.
    pub store_size: Option<u64>,
    /// When the source is looked at again.
    pub refresh: Refresh,
    /// Whether the workload is kept from writing.
    pub read_only: bool,
    /// How many objects are fetched at a time.
    pub parallel: usize,
    /// Bytes in a second.
    pub limit: Option<u64>,
    /// The whole time.
    pub timeout: Option<Duration>,
    /// When everything began.
    pub began: Instant,
    /// How objects are fetched.
    pub transfer: TransferChoice,
    /// The program for other sources: its words, with `{from}` and `{into}`.
    pub command: Vec<String>,
    /// The variables of programs that bring data.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether the place is memory or the container's own layer.
    pub shared_room: Option<SharedRoom>,
}

impl StageRequest {
    /// Returns the end of the time.
    pub fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.began + timeout)
    }
}

/// What happens while data is brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageEvent {
    /// A line for the log.
    Line(String),
    /// The work of another start is waited for: its host, and what it does.
    Waits(String, String),
    /// So much is there.
    Progress(Progress),
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Bytes that are there.
    pub done: u64,
    /// All bytes; 0 while that is not known.
    pub all: u64,
    /// Bytes that this start brought itself.
    pub brought: u64,
}

/// What a start found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum How {
    /// It was there, and the source was not looked at.
    Unchanged,
    /// It was there, and the source still holds the same.
    Same,
    /// Another start brought it meanwhile.
    Awaited,
    /// This start brought it.
    Brought,
}

/// Who hears of events; `false` ends the work.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(StageEvent) -> bool;
