//! Completeness: whether a file was written to its end, by its format, and whether all files of a directory were. A candidate costs
//! at most a fixed number of files, entries and bytes, however large it is.

use super::format::{index, pickle, safetensors, zip};
use super::listing::{Entry, EntryKind, Listing};
use super::{set, writers};
use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many levels of directories inside a checkpoint are read.
const DEPTH: usize = 8;

/// Most entries that are read inside one checkpoint.
const MOST_ENTRIES: usize = 16_384;

/// Most files of one checkpoint whose ends are read. A job of a thousand ranks has more files; for the rest the family's own mark
/// has to be enough.
const MOST_FILES: usize = 512;

/// The size and time of a complete checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Bytes of all files together.
    pub size: u64,
    /// When the last file was written.
    pub modified: SystemTime,
    /// How many files were only counted, and not looked into.
    pub unread: u64,
}

/// The reason why a candidate is not a complete checkpoint, as a fragment that fits after its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// A rule is not met.
    #[error("{0}")]
    Rule(String),
    /// A file or directory cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The inner file or directory of this name is not complete.
    #[error("{}: {why}", name.display())]
    Inside {
        name: PathBuf,
        #[source]
        why: Box<Unfinished>,
    },
}

/// The result of judging a candidate.
pub(crate) type Completeness<T = Contents> = Result<T, Unfinished>;

impl Unfinished {
    /// Makes a reason from a text.
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Unfinished::Rule(why.into())
    }

    /// Puts the name of the inner file or directory before the reason.
    pub(crate) fn inside(self, name: &Path) -> Self {
        Unfinished::Inside { name: name.to_owned(), why: Box::new(self) }
    }
}

impl Contents {
    /// The contents of no file.
    pub(crate) const NONE: Contents = Contents { size: 0, modified: SystemTime::UNIX_EPOCH, unread: 0 };

    /// Returns the contents of one file.
    fn of(metadata: &Metadata) -> Self {
        Contents { size: metadata.len(), modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), unread: 0 }
    }

    /// Adds two contents.
    pub(crate) fn and(self, other: Self) -> Self {
        Contents {
            size: self.size.saturating_add(other.size),
            modified: self.modified.max(other.modified),
            unread: self.unread.saturating_add(other.unread),
        }
    }
}

/// Opens a regular file without waiting: the open of a FIFO with that name would wait for a writer.
///
/// # Errors
/// The error of open(2) or fstat(2); `InvalidInput` for anything but a regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, metadata))
}

/// Reads the first bytes of a file, at most `most`.
///
/// # Errors
/// The error of open(2) or read(2).
pub(crate) fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    first(&open(path)?.0, most)
}

fn first(mut file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn last(mut file: &File, size: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Judges a file in torch's zip format.
///
/// # Errors
/// The reason why the file is not complete. A file in the format from before torch 1.6 is never complete, because nothing in it
/// tells where it ends.
pub(crate) fn torch(path: &Path) -> Completeness {
    let (file, metadata) = open(path)?;
    let start = first(&file, 16)?;
    match () {
        () if zip::begins(&start) => zip_end(&file, &metadata)?,
        () if start.is_empty() => return Err(Unfinished::because("empty")),
        () if pickle::begins(&start) => {
            return Err(Unfinished::because("torch's format from before 1.6, which does not tell where it ends"));
        }
        () => return Err(Unfinished::because("does not begin like a file of torch.save")),
    }
    Ok(Contents::of(&metadata))
}

/// Judges a safetensors file.
///
/// # Errors
/// The reason why the file is not complete.
pub(crate) fn tensors(path: &Path) -> Completeness {
    let (file, metadata) = open(path)?;
    let length = safetensors::head_length(&first(&file, 8)?);
    let head = length.filter(|length| *length <= metadata.len()).map(|length| first(&file, length)).transpose()?;
    match head.and_then(|head| safetensors::expected_size(&head)) {
        Some(size) if size == metadata.len() => Ok(Contents::of(&metadata)),
        Some(size) => Err(Unfinished::because(format!("{} of {size} bytes", metadata.len()))),
        None => Err(Unfinished::because("its header is not whole")),
    }
}

/// Tells whether a text is one whole JSON object, without building it.
pub(crate) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Judges a file of a set by the format that its name tells.
///
/// # Errors
/// The reason why the file is not complete.
pub(crate) fn part(path: &Path) -> Completeness {
    match path.extension().map(OsStrExt::as_bytes) {
        Some(b"json") => index_and_shards(path),
        Some(b"pt" | b"pth" | b"ckpt") => torch(path),
        _ => any(path),
    }
}

/// Judges a file of any kind: by its format where the format has an end, and else by whether the file is at rest.
///
/// # Errors
/// The reason why the file is not complete.
pub(crate) fn any(path: &Path) -> Completeness {
    if path.extension().is_some_and(|end| end == "safetensors") {
        return tensors(path);
    }
    let (file, metadata) = open(path)?;
    let start = first(&file, 16)?;
    if start.is_empty() {
        return Err(Unfinished::because("empty"));
    }
    if zip::begins(&start) {
        zip_end(&file, &metadata)?;
        return Ok(Contents::of(&metadata));
    }
    if pickle::begins(&start) && !pickle::is_legacy_torch(&start) && !pickle::ends(&last(&file, metadata.len(), 1)?) {
        return Err(Unfinished::because("a pickle without its end"));
    }
    writers::at_rest(&file, &metadata)
        .then(|| Contents::of(&metadata))
        .ok_or_else(|| Unfinished::because("still being written"))
}

fn zip_end(file: &File, metadata: &Metadata) -> Completeness<()> {
    let tail = last(file, metadata.len(), zip::TAIL as u64)?;
    zip::is_whole(&tail, metadata.len())
        .then_some(())
        .ok_or_else(|| Unfinished::because("a zip archive without its end"))
}

/// Judges all files of a directory: every weight file by its format, and every index by its shards. Files without a rule only count
/// for the size.
///
/// # Errors
/// The reason of the first file that is not complete.
pub(crate) fn tree(dir: &Path) -> Completeness {
    CheckpointTree::judging(member).walk(dir, DEPTH)
}

/// Judges a directory as `tree` does, and more strictly: a file without a recognisable end must be at rest, and no file may have a
/// temporary name.
///
/// # Errors
/// The reason of the first file that is not complete.
pub(crate) fn tree_at_rest(dir: &Path) -> Completeness {
    CheckpointTree::judging(member_at_rest).walk(dir, DEPTH)
}

/// Judges what one node has of a directory that several nodes have saved, when the family's mark shows that all have: each file that has
/// an end by its end. What is missing may be on another node.
///
/// # Errors
/// The reason of the first file that is not complete.
pub(crate) fn tree_of_part(dir: &Path) -> Completeness {
    CheckpointTree { alone: false, ..CheckpointTree::judging(file_of_part) }.walk(dir, DEPTH)
}

struct CheckpointTree {
    judge: fn(&Listing, &Entry) -> Completeness,
    files_left: usize,
    entries_left: usize,
    /// Whether what is missing here is missing.
    alone: bool,
}

impl CheckpointTree {
    fn judging(judge: fn(&Listing, &Entry) -> Completeness) -> Self {
        CheckpointTree { judge, files_left: MOST_FILES, entries_left: MOST_ENTRIES, alone: true }
    }

    fn walk(&mut self, dir: &Path, depth: usize) -> Completeness {
        let listing = Listing::read(dir, self.entries_left)?;
        self.entries_left = self.entries_left.saturating_sub(listing.entries.len());
        let none = Contents { unread: u64::from(listing.cut), ..Contents::NONE };
        if let Some(gap) = set::gap_within(&listing).filter(|_| self.alone) {
            return Err(Unfinished::because(gap));
        }
        listing.entries.iter().try_fold(none, |sum, entry| {
            let found = match entry.kind {
                EntryKind::Directory if depth == 0 => Ok(Contents { unread: 1, ..Contents::NONE }),
                EntryKind::Directory => self.walk(&listing.path(entry), depth - 1),
                EntryKind::File => self.file(&listing, entry),
            };
            found.map(|contents| sum.and(contents)).map_err(|why| why.inside(Path::new(&entry.name)))
        })
    }

    fn file(&mut self, listing: &Listing, entry: &Entry) -> Completeness {
        match self.files_left.checked_sub(1) {
            Some(left) => {
                self.files_left = left;
                (self.judge)(listing, entry)
            }
            None => size(&listing.path(entry)).map(|contents| Contents { unread: 1, ..contents }),
        }
    }
}

/// Returns a file's size and time, whatever its content is.
fn size(path: &Path) -> Completeness {
    Ok(Contents::of(&std::fs::metadata(path)?))
}

/// Judges a file of a directory by the format that its name tells.
fn member(listing: &Listing, entry: &Entry) -> Completeness {
    let path = listing.path(entry);
    match Path::new(&entry.name).extension().map(OsStrExt::as_bytes) {
        Some(b"safetensors") => tensors(&path),
        Some(b"pt" | b"pth" | b"ckpt" | b"bin" | b"pkl" | b"npz") => archive_or_not_empty(&path),
        Some(b"json") if entry.bytes().ends_with(b".index.json") => indexed(listing, &path),
        _ => size(&path),
    }
}

fn member_at_rest(listing: &Listing, entry: &Entry) -> Completeness {
    let contents = match Path::new(&entry.name).extension().map(OsStrExt::as_bytes) {
        Some(b"json") => member(listing, entry)?,
        _ => Contents::NONE,
    };
    if super::name::is_temporary(entry.bytes()) {
        return Err(Unfinished::because("a temporary name"));
    }
    let path = listing.path(entry);
    // An empty file among others is often a marker, and tells nothing.
    if std::fs::metadata(&path)?.len() == 0 { Ok(contents) } else { any(&path) }
}

fn file_of_part(listing: &Listing, entry: &Entry) -> Completeness {
    let path = listing.path(entry);
    match () {
        // The index of torch.distributed.checkpoint has a hidden name.
        () if entry.bytes() != b".metadata" && super::name::is_temporary(entry.bytes()) => {
            Err(Unfinished::because("a temporary name"))
        }
        () if path.extension().is_some_and(|end| end == "safetensors") => tensors(&path),
        () if std::fs::metadata(&path)?.len() == 0 => Ok(Contents::NONE),
        () => archive_or_not_empty(&path),
    }
}

/// Judges a file that may be a zip archive; files of other formats only have to be not empty, since the family's own mark shows
/// their end.
fn archive_or_not_empty(path: &Path) -> Completeness {
    let (file, metadata) = open(path)?;
    let start = first(&file, 4)?;
    match () {
        () if start.is_empty() => return Err(Unfinished::because("empty")),
        () if zip::begins(&start) => zip_end(&file, &metadata)?,
        () => {}
    }
    Ok(Contents::of(&metadata))
}

/// Judges an index of weights: all shards must exist. Each shard is judged as a file of its own.
fn indexed(listing: &Listing, path: &Path) -> Completeness {
    match shards(path)?.iter().find(|shard| !listing.dir.join(shard).is_file()) {
        Some(missing) => Err(Unfinished::because(format!("{missing} is missing"))),
        None => size(path),
    }
}

/// Judges an index and all shards that it names.
///
/// # Errors
/// The reason why the index or a shard is not complete.
pub(crate) fn index_and_shards(path: &Path) -> Completeness {
    let dir = path.parent().unwrap_or(path);
    shards(path)?.iter().enumerate().try_fold(size(path)?, |sum, (n, shard)| {
        let found = if n < MOST_FILES { any(&dir.join(shard)) } else { size(&dir.join(shard)) };
        found.map(|contents| sum.and(contents)).map_err(|why| why.inside(Path::new(shard)))
    })
}

fn shards(path: &Path) -> Completeness<BTreeSet<String>> {
    index::shards(&head(path, index::MOST)?).ok_or_else(|| Unfinished::because("not a whole index"))
}
