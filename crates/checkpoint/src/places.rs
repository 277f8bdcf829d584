//! The directories below `checkpoint.dir` in which checkpoints are: trainers that make a directory for each run put them there
//! (`lightning_logs/version_3/checkpoints`). The search is bounded, and says where it stopped.

use super::listing::{EntryKind, Listing};
use super::part::{self, Part};
use super::search::Search;
use super::{FamilyChoice, name};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many levels below `checkpoint.dir` are read.
const DEPTH: usize = 5;

/// Most directories that are read.
const MOST_DIRECTORIES: usize = 1024;

/// Most entries that are read of all of them together.
const MOST_ENTRIES: usize = 200_000;

/// Longest time of a search. On a slow file server a start would wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of file systems that only root can read, and that holds no checkpoint.
const LOST: &str = "lost+found";

/// Most directories with checkpoints that are looked into further.
const MOST_PLACES: usize = 256;

/// Most files that are kept to be named in a message.
const MOST_NAMED: usize = 64;

/// Families that only the end of a file name tells. Below `checkpoint.dir` such a file may be a sample or a weight from elsewhere.
const WEAK: &[&str] = &["torch", "safetensors", "plain"];

/// Words in the name of a directory, or of a file, that make up for a weak family.
const WORDS: &[&str] = &["ckpt", "checkpoint", "snapshot", "saved", "saves"];

/// What is below a directory.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// The directories with checkpoints, in the order of their paths.
    pub places: Vec<PathBuf>,
    /// Files and directories that look like checkpoints of a kind that no rule fits.
    pub resembling: Vec<PathBuf>,
    /// Whether there is more than was read.
    pub cut: bool,
}

/// Looks for directories with checkpoints below a directory, and for files that may be a part of one.
///
/// # Errors
/// The error of reading the directory itself; the ones below are passed over, but count as not read.
pub(crate) fn below(dir: &Path, family: FamilyChoice, descend: bool) -> io::Result<Below> {
    let mut found = Below::default();
    let (mut left, mut entries_left) = (MOST_DIRECTORIES, MOST_ENTRIES);
    let end = Instant::now() + PATIENCE;
    let mut next = VecDeque::from([(dir.to_path_buf(), 0)]);
    while let Some((path, depth)) = next.pop_front() {
        if left == 0 || entries_left == 0 || Instant::now() > end || found.places.len() >= MOST_PLACES {
            found.cut = true;
            break;
        }
        left -= 1;
        let listing = match Listing::read(&path, entries_left) {
            Ok(listing) => listing,
            Err(error) if depth == 0 => return Err(error),
            Err(_) => {
                found.cut = true;
                continue;
            }
        };
        found.cut |= listing.cut;
        entries_left = entries_left.saturating_sub(listing.entries.len());
        let is_run = || path.strip_prefix(dir).is_ok_and(|inside| !inside.iter().any(is_one_save));
        if depth > 0 && descend && is_run() && is_place(&listing, family) {
            found.places.push(path);
            continue;
        }
        found.note(&listing);
        let inside = listing.entries.iter().filter(|entry| {
            entry.kind == EntryKind::Directory
                && !entry.is_link()
                && !name::is_temporary(entry.bytes())
                && entry.name != *LOST
        });
        let mut inside: Vec<PathBuf> = inside.map(|entry| listing.path(entry)).collect();
        inside.sort();
        found.cut |= depth == DEPTH && !inside.is_empty();
        next.extend(inside.into_iter().filter(|_| depth < DEPTH).map(|path| (path, depth + 1)));
    }
    found.places.sort();
    found.resembling.sort();
    Ok(found)
}

impl Below {
    /// Notes the files of a directory that may be a part of a checkpoint.
    fn note(&mut self, listing: &Listing) {
        let files = listing.entries.iter().filter(|entry| entry.kind == EntryKind::File && resembles(entry.bytes()));
        let left = MOST_NAMED.saturating_sub(self.resembling.len());
        self.resembling.extend(files.take(left).map(|entry| listing.path(entry)));
    }
}

/// Endings of further files in which trainings save weights, of formats that no rule knows.
const RESEMBLING: &[&str] = &[
    ".bin",
    ".npz",
    ".npy",
    ".h5",
    ".hdf5",
    ".keras",
    ".msgpack",
    ".pkl",
    ".tar",
    ".pdparams",
    ".pdopt",
    ".index",
    ".distcp",
    ".nemo",
    ".zarr",
    ".params",
    ".th",
    ".joblib",
    ".eqx",
    ".orbax",
];

/// Tells by its name whether a file may be a part of a checkpoint, of whatever kind.
fn resembles(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let word = |word: &&str| text.contains(*word);
    part::is_part(bytes) || RESEMBLING.iter().any(|end| text.ends_with(end)) || WORDS.iter().any(word)
}

/// Tells whether a directory is a checkpoint by its name, or of one rank. What is in it is no checkpoint of its own.
fn is_one_save(name: &OsStr) -> bool {
    let part = Part::of(name.as_bytes());
    part.is_one_save() || !part.ranks.is_empty()
}

/// Tells whether checkpoints are directly in a directory.
fn is_place(listing: &Listing, family: FamilyChoice) -> bool {
    let Some(search) = Search::of(listing, family, None, None) else { return false };
    let named = |text: &str| WORDS.iter().any(|word| text.to_ascii_lowercase().contains(word));
    let dir = || listing.dir.file_name().is_some_and(|name| named(&name.to_string_lossy()));
    let file = || {
        search.candidates.iter().any(|candidate| {
            let last = |word: &String| matches!(word.as_str(), "last" | "latest");
            named(&candidate.entry.name.to_string_lossy()) || Part::of(candidate.entry.bytes()).words.iter().any(last)
        })
    };
    !search.candidates.is_empty() && (!WEAK.contains(&search.family.name) || dir() || file())
}
