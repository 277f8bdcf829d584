//! The mark of data that was brought whole: which source, when, how much. A start that finds it does nothing more.

use super::list::Totals;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::untrusted::{self, Owners};

/// The largest stamp that is read.
const MAX: u64 = 64 << 10;

/// A stamp, as its file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stamp {
    /// The key of source and choice.
    pub key: String,
    /// The source for people, without secrets.
    pub source: String,
    /// The digest of the listing.
    pub listing: String,
    /// What it holds.
    pub totals: Totals,
    /// How many files had a sum that was compared.
    pub summed: u64,
    /// When it was published, in seconds since 1970 by that host's clock.
    pub at: u64,
    /// When the source was last seen to hold the same.
    pub seen: u64,
    /// The host that brought it.
    pub host: String,
}

impl Stamp {
    /// Reads a stamp that root, this user or one of those named may have written; `None` for anything else.
    pub fn read(path: &Path, owners: Owners<'_>) -> Option<Self> {
        serde_json::from_slice(&untrusted::read_named(path, MAX, owners).ok()?).ok()
    }

    /// Returns how long ago the source was last seen.
    pub fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.seen))
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
