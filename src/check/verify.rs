//! Compares the files of a data set with its manifest: a sample at every start, or all of them with progress.

use super::failures::{errno, is_sick};
use super::manifest::{self, ManifestEntry, RandomSample};
use super::progress::TaskProgress;
use crate::config::Verify;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Limits of a sample: bytes and time.
const SAMPLE_BYTES: u64 = 64 << 20;
const SAMPLE_TIME: Duration = Duration::from_secs(3);
/// Interval of the progress, which restarts the deadline.
const WORD: Duration = Duration::from_secs(1);
/// Number of differences after which the comparison ends; all of them are named.
const TOLD: usize = 3;
const ENOUGH: usize = 100;

/// The result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// Number of examined files.
    pub files: u64,
    /// Number of files whose content was read.
    pub hashed: u64,
    /// The differences.
    pub wrong: Vec<String>,
    /// Whether every entry was examined.
    pub full: bool,
}

/// Compares the files that the manifest names.
///
/// # Errors
/// An unreadable manifest, or the error of a failing file system.
pub(super) fn verify(
    directory: &Path,
    manifest: &Path,
    how: Verify,
    pulse: &mut TaskProgress,
) -> Result<Verified, Errno> {
    match how {
        Verify::Full => verify_all(directory, manifest, pulse),
        Verify::Sample(count) => verify_some(directory, manifest, count, pulse),
    }
}

fn verify_some(directory: &Path, manifest: &Path, count: u64, pulse: &mut TaskProgress) -> Result<Verified, Errno> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut chance = RandomSample::new(now.as_nanos() as u64 ^ u64::from(std::process::id()) << 32);
    let lines = manifest::pick(manifest, usize::try_from(count).unwrap_or(usize::MAX), &mut chance).map_err(errno)?;
    let mut work = VerifyPass::new(directory, pulse, Some(SAMPLE_BYTES));
    lines.iter().try_for_each(|line| work.line(line))?;
    Ok(work.verified)
}

fn verify_all(directory: &Path, manifest: &Path, pulse: &mut TaskProgress) -> Result<Verified, Errno> {
    let file = File::open(manifest).map_err(errno)?;
    let mut work = VerifyPass::new(directory, pulse, None);
    for line in BufReader::new(file).split(b'\n') {
        work.line(&line.map_err(errno)?)?;
        if work.verified.wrong.len() >= ENOUGH {
            return Ok(work.verified);
        }
    }
    work.verified.full = true;
    Ok(work.verified)
}

impl Verified {
    /// Formats the differences as one line.
    pub(super) fn differences(&self) -> String {
        let mut told: Vec<&str> = self.wrong.iter().take(TOLD).map(String::as_str).collect();
        let more = format!("and {} more", self.wrong.len().saturating_sub(TOLD));
        if self.wrong.len() > TOLD {
            told.push(&more);
        }
        told.join("; ")
    }

    /// Formats what was examined: `all 5678 files of the manifest`.
    pub(super) fn described(&self) -> String {
        let hashed =
            if self.hashed < self.files { format!(" ({} of them by content)", self.hashed) } else { String::new() };
        let all = if self.full { "all " } else { "" };
        format!("{all}{} of the manifest checked{hashed}", text::count(self.files, "file"))
    }
}

/// One run over the manifest.
struct VerifyPass<'a> {
    directory: &'a Path,
    pulse: &'a mut TaskProgress,
    /// Bytes that may still be read; `None` for no limit.
    budget: Option<u64>,
    begun: Instant,
    word: Instant,
    bytes: u64,
    verified: Verified,
}

/// The reason why a file is not the one that a manifest names, as a fragment that follows the name.
#[derive(Debug, thiserror::Error)]
enum EntryFault {
    #[error("is not there")]
    Missing,
    #[error("cannot be looked at: {}", protocol::errno::words(*.0))]
    Unexamined(Errno),
    #[error("is not a file")]
    NoFile,
    #[error("has {found} bytes, the manifest says {promised}")]
    Size { found: u64, promised: u64 },
    #[error("has another content than the manifest says")]
    Content,
    #[error("cannot be read: {}", protocol::errno::words(*.0))]
    Unreadable(Errno),
}

impl<'a> VerifyPass<'a> {
    fn new(directory: &'a Path, pulse: &'a mut TaskProgress, budget: Option<u64>) -> Self {
        let begun = Instant::now();
        // The first progress is due at once: the deadline starts with the work.
        let word = begun.checked_sub(WORD).unwrap_or(begun);
        VerifyPass { directory, pulse, budget, begun, word, bytes: 0, verified: Verified::default() }
    }

    /// Compares one entry. A failing file system says nothing about the data, so its error ends the run.
    fn line(&mut self, line: &[u8]) -> Result<(), Errno> {
        match manifest::parse(line) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                self.verified.files += 1;
                if let Err(why) = self.entry(&entry)? {
                    self.verified.wrong.push(format!("{} {why}", text::path(&entry.name)));
                }
            }
            Err(why) => {
                let line = line.get(..line.len().min(80)).unwrap_or_default();
                self.verified.wrong.push(format!("`{}` is no line of a manifest: {why}", text::bytes(line)));
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &ManifestEntry) -> Result<Result<(), EntryFault>, Errno> {
        self.alive();
        let path = self.directory.join(&entry.name);
        let meta = match std::fs::metadata(&path).map_err(errno) {
            Ok(meta) => meta,
            Err(errno) if is_sick(errno) => return Err(errno),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Err(EntryFault::Missing)),
            Err(errno) => return Ok(Err(EntryFault::Unexamined(errno))),
        };
        if !meta.is_file() {
            return Ok(Err(EntryFault::NoFile));
        }
        if let Some(size) = entry.size.filter(|size| *size != meta.len()) {
            return Ok(Err(EntryFault::Size { found: meta.len(), promised: size }));
        }
        let Some(hash) = entry.hash.filter(|_| self.may_read(meta.len())) else { return Ok(Ok(())) };
        match self.hash(&path) {
            Ok(Some(found)) if found != hash => Ok(Err(EntryFault::Content)),
            Ok(found) => {
                self.verified.hashed += u64::from(found.is_some());
                Ok(Ok(()))
            }
            Err(errno) if is_sick(errno) => Err(errno),
            Err(errno) => Ok(Err(EntryFault::Unreadable(errno))),
        }
    }

    fn may_read(&self, length: u64) -> bool {
        self.budget.is_none_or(|budget| self.bytes + length <= budget) && !self.is_late()
    }

    /// Returns whether a sample has used its time.
    fn is_late(&self) -> bool {
        self.budget.is_some() && self.begun.elapsed() > SAMPLE_TIME
    }

    /// Returns the hash of the content; `None` if a sample has no time for it.
    fn hash(&mut self, path: &Path) -> Result<Option<[u8; 32]>, Errno> {
        let mut file = File::open(path).map_err(errno)?;
        let (mut hasher, mut room) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut room).map_err(errno)?;
            if count == 0 {
                return Ok(Some(hasher.finalize().into()));
            }
            hasher.update(room.get(..count).unwrap_or_default());
            self.bytes += count as u64;
            self.alive();
            if self.is_late() {
                return Ok(None);
            }
        }
    }

    /// Reports progress now and then. A sample reports none: it has to meet its deadline.
    fn alive(&mut self) {
        if self.budget.is_none() && self.word.elapsed() >= WORD {
            self.word = Instant::now();
            let (files, bytes) = (text::count(self.verified.files, "file"), text::size(self.bytes));
            (self.pulse)(&format!("{}: {files} of the manifest, {bytes} read", text::path(self.directory)));
        }
    }
}
