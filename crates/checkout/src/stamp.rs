//! The file in `.git` that says what trainit has brought there, and whether it was at work: `.git/trainit.json`. It is replaced in one
//! step. A directory without it is somebody else's.

use super::reference::NamedBy;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::untrusted::{Owners, open_named};

/// The beginning of the names of all files of trainit in `.git`.
pub(crate) const OURS: &str = "trainit";

const NAME: &str = "trainit.json";

/// Longest stamp, in bytes.
const MOST: u64 = 16 << 10;

/// What trainit knows about a directory that it filled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stamp {
    /// The repository, without any secret.
    pub url: String,
    /// The name that led to the commit.
    pub name: String,
    /// The kind of that name.
    pub by: Option<NamedBy>,
    /// The commit that the directory holds as a whole; `None` before the first one.
    pub commit: Option<String>,
    /// The commit that was being checked out when this was written.
    pub target: Option<String>,
    /// Whether git was at work when this was written: what it left locked is a killed start's.
    pub busy: bool,
    /// When the server was asked last, in seconds since 1970.
    pub asked: u64,
}

impl Stamp {
    /// Reads the stamp of a `.git`; `None` if there is none that this user or root has written.
    pub(crate) fn read(git: &Path) -> Option<Self> {
        let believed = [geteuid().as_raw(), 0];
        let mut bytes = Vec::new();
        let file = open_named(&git.join(NAME), Owners::These(&believed)).ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes the stamp.
    ///
    /// # Errors
    /// The error of the system call that failed.
    pub(crate) fn write(&self, git: &Path) -> io::Result<()> {
        let mut new = temporary::make(git, "trainit-")?;
        new.write_all(&serde_json::to_vec_pretty(self)?)?;
        temporary::publish(new, &git.join(NAME), 0o644, true)
    }

    /// Tells whether nothing was ever checked out, so that nothing in the directory can be anybody's work.
    pub(crate) fn is_new(&self) -> bool {
        self.commit.is_none() && self.target.is_none()
    }

    /// Sets the time at which the server was asked to now.
    pub(crate) fn asked_now(&mut self) {
        self.asked = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    }

    /// Returns how long ago the server was asked.
    pub(crate) fn age(&self) -> Duration {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(self.asked);
        SystemTime::now().duration_since(asked).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Stamp::read(directory.path()), None);
        let mut stamp = Stamp { url: "https://h/x".into(), by: Some(NamedBy::Tag), busy: true, ..Stamp::default() };
        stamp.asked_now();
        stamp.write(directory.path()).unwrap();
        assert_eq!(Stamp::read(directory.path()), Some(stamp));
        std::fs::write(directory.path().join(NAME), "{").unwrap();
        assert_eq!(Stamp::read(directory.path()), None);
    }
}
