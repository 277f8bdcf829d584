//! Whether the files of a data set are those of its manifest: some of them at every start, or all of them, with word of how far it is.

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

/// Of a sample no more is read than so many bytes, and no longer than this.
const SAMPLE_BYTES: u64 = 64 << 20;
const SAMPLE_TIME: Duration = Duration::from_secs(3);
/// So often word is given; the deadline begins anew with each.
const WORD: Duration = Duration::from_secs(1);
/// So many differences are told, and when there are so many no more are looked for.
const TOLD: usize = 3;
const ENOUGH: usize = 100;

/// How a data set compares with its manifest.
#[derive(Debug, Default)]
pub struct Verified {
    /// Files looked at.
    pub files: u64,
    /// Those whose content was read.
    pub hashed: u64,
    /// What differs.
    pub wrong: Vec<String>,
    /// Every entry was looked at.
    pub full: bool,
}

/// Looks at the files that the manifest names.
///
/// # Errors
/// The manifest cannot be read, or the file system is in trouble: what the system said.
pub fn verify(directory: &Path, manifest: &Path, how: Verify, pulse: &mut TaskProgress) -> Result<Verified, Errno> {
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
    /// What differs, as one line.
    pub fn differences(&self) -> String {
        let mut told: Vec<&str> = self.wrong.iter().take(TOLD).map(String::as_str).collect();
        let more = format!("and {} more", self.wrong.len().saturating_sub(TOLD));
        if self.wrong.len() > TOLD {
            told.push(&more);
        }
        told.join("; ")
    }

    /// What was looked at: `all 5678 files of the manifest`.
    pub fn described(&self) -> String {
        let hashed =
            if self.hashed < self.files { format!(" ({} of them by content)", self.hashed) } else { String::new() };
        let all = if self.full { "all " } else { "" };
        format!("{all}{} of the manifest checked{hashed}", text::count(self.files, "file"))
    }
}

/// One pass.
struct VerifyPass<'a> {
    directory: &'a Path,
    pulse: &'a mut TaskProgress,
    /// What may still be read; none: everything.
    budget: Option<u64>,
    begun: Instant,
    word: Instant,
    bytes: u64,
    verified: Verified,
}

impl<'a> VerifyPass<'a> {
    fn new(directory: &'a Path, pulse: &'a mut TaskProgress, budget: Option<u64>) -> Self {
        let begun = Instant::now();
        // The first word is given at once: the deadline begins with the work.
        let word = begun.checked_sub(WORD).unwrap_or(begun);
        VerifyPass { directory, pulse, budget, begun, word, bytes: 0, verified: Verified::default() }
    }

    /// A file system that is sick says nothing about the data: its error ends the pass.
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

    fn entry(&mut self, entry: &ManifestEntry) -> Result<Result<(), String>, Errno> {
        self.alive();
        let path = self.directory.join(&entry.name);
        let meta = match std::fs::metadata(&path).map_err(errno) {
            Ok(meta) => meta,
            Err(errno) if is_sick(errno) => return Err(errno),
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Err("is not there".to_owned())),
            Err(errno) => return Ok(Err(format!("cannot be looked at: {}", errno.desc()))),
        };
        if !meta.is_file() {
            return Ok(Err("is not a file".to_owned()));
        }
        if let Some(size) = entry.size.filter(|size| *size != meta.len()) {
            return Ok(Err(format!("has {} bytes, the manifest says {size}", meta.len())));
        }
        let Some(hash) = entry.hash.filter(|_| self.may_read(meta.len())) else { return Ok(Ok(())) };
        match self.hash(&path) {
            Ok(Some(found)) if found != hash => Ok(Err("has another content than the manifest says".to_owned())),
            Ok(found) => {
                self.verified.hashed += u64::from(found.is_some());
                Ok(Ok(()))
            }
            Err(errno) if is_sick(errno) => Err(errno),
            Err(errno) => Ok(Err(format!("cannot be read: {}", errno.desc()))),
        }
    }

    fn may_read(&self, length: u64) -> bool {
        self.budget.is_none_or(|budget| self.bytes + length <= budget) && !self.is_late()
    }

    /// A sample must not cost the start its deadline.
    fn is_late(&self) -> bool {
        self.budget.is_some() && self.begun.elapsed() > SAMPLE_TIME
    }

    /// The content's hash; none when that took too long for a sample.
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

    /// Says how far it is, now and then. A sample says nothing: it has to be done in time.
    fn alive(&mut self) {
        if self.budget.is_none() && self.word.elapsed() >= WORD {
            self.word = Instant::now();
            let (files, bytes) = (text::count(self.verified.files, "file"), text::size(self.bytes));
            (self.pulse)(&format!("{}: {files} of the manifest, {bytes} read", text::path(self.directory)));
        }
    }
}
