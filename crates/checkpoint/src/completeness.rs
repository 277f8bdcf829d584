//! Whether files were written to their end: one file by its format, and everything inside a directory. Bounded: a candidate
//! costs at most so many files, entries and bytes, however large it is.

use super::format::{index, pickle, safetensors, zip};
use super::listing::{Entry, EntryKind, Listing};
use super::writers;
use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// Directories inside directories that are looked into.
const DEPTH: usize = 3;

/// Most entries that are read inside one checkpoint.
const MOST_ENTRIES: usize = 16_384;

/// Most files of one checkpoint whose ends are read. A job of a thousand ranks has more; then the family's own mark has to
/// do for the rest.
const MOST_FILES: usize = 512;

/// What a complete checkpoint amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Bytes, of all files together.
    pub size: u64,
    /// When the last of them was written.
    pub modified: SystemTime,
}

/// Why something is not a complete checkpoint, as a fragment that fits after its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished(pub String);

/// What judging a candidate comes to.
pub type Completeness<T = Contents> = Result<T, Unfinished>;

impl Unfinished {
    /// Because of this.
    pub fn because(why: impl Into<String>) -> Self {
        Unfinished(why.into())
    }

    /// The same, of something inside.
    fn inside(self, name: &Path) -> Self {
        Unfinished(format!("{}: {}", name.display(), self.0))
    }
}

impl From<io::Error> for Unfinished {
    fn from(error: io::Error) -> Self {
        Unfinished(format!("cannot be read: {error}"))
    }
}

impl Contents {
    /// Nothing yet.
    pub const NONE: Contents = Contents { size: 0, modified: SystemTime::UNIX_EPOCH };

    /// Those of a file.
    fn of(metadata: &Metadata) -> Self {
        Contents { size: metadata.len(), modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Contents { size: self.size.saturating_add(other.size), modified: self.modified.max(other.modified) }
    }
}

/// Opens a regular file without waiting for anything: a FIFO of that name has no writer.
///
/// # Errors
/// What open(2) and fstat(2) say; `InvalidInput` if it is no regular file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, metadata))
}

/// The first bytes of a file, at most so many.
///
/// # Errors
/// What open(2) and read(2) say.
pub fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
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

/// A file in torch's zip format, whole.
///
/// # Errors
/// Why it is not complete. The format from before 1.6 is never taken: nothing in it tells where it ends.
pub fn torch(path: &Path) -> Completeness {
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

/// A safetensors file, whole.
///
/// # Errors
/// Why it is not complete.
pub fn tensors(path: &Path) -> Completeness {
    let (file, metadata) = open(path)?;
    let length = safetensors::head_length(&first(&file, 8)?);
    let head = length.filter(|length| *length <= metadata.len()).map(|length| first(&file, length)).transpose()?;
    match head.and_then(|head| safetensors::expected_size(&head)) {
        Some(size) if size == metadata.len() => Ok(Contents::of(&metadata)),
        Some(size) => Err(Unfinished::because(format!("{} of {size} bytes", metadata.len()))),
        None => Err(Unfinished::because("its header is not whole")),
    }
}

/// A file of any kind, judged by its format where that has an end, and else by being at rest.
///
/// # Errors
/// Why it is not complete.
pub fn any(path: &Path) -> Completeness {
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

/// Everything in a directory: every weight file whole by its format, every index with all its shards. Files that the family
/// has no rule for only count.
///
/// # Errors
/// The first thing that is not complete.
pub fn tree(dir: &Path) -> Completeness {
    CheckpointTree::judging(member).walk(dir, DEPTH)
}

/// The same, and every file that has no recognisable end at rest, and none under a temporary name.
///
/// # Errors
/// The first thing that is not complete.
pub fn tree_at_rest(dir: &Path) -> Completeness {
    CheckpointTree::judging(member_at_rest).walk(dir, DEPTH)
}

struct CheckpointTree {
    judge: fn(&Listing, &Entry) -> Completeness,
    files_left: usize,
    entries_left: usize,
}

impl CheckpointTree {
    fn judging(judge: fn(&Listing, &Entry) -> Completeness) -> Self {
        CheckpointTree { judge, files_left: MOST_FILES, entries_left: MOST_ENTRIES }
    }

    fn walk(&mut self, dir: &Path, depth: usize) -> Completeness {
        let listing = Listing::read(dir, self.entries_left)?;
        self.entries_left = self.entries_left.saturating_sub(listing.entries.len());
        listing.entries.iter().try_fold(Contents::NONE, |sum, entry| {
            let found = match entry.kind {
                EntryKind::Directory if depth == 0 => Ok(Contents::NONE),
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
            None => size(&listing.path(entry)),
        }
    }
}

/// A file's size and time, whatever is in it.
fn size(path: &Path) -> Completeness {
    Ok(Contents::of(&std::fs::metadata(path)?))
}

/// A file among others: judged by what its name says that it is.
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
    // An empty file among others is a marker as often as not, and says nothing.
    if std::fs::metadata(&path)?.len() == 0 { Ok(contents) } else { any(&path) }
}

/// A file that may be a zip archive; other formats pass if they are not empty, since the family's own mark speaks for them.
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

/// An index of weights in several files, which have to be there; whether each is whole is asked of each.
fn indexed(listing: &Listing, path: &Path) -> Completeness {
    match shards(path)?.iter().find(|shard| !listing.dir.join(shard).is_file()) {
        Some(missing) => Err(Unfinished::because(format!("{missing} is missing"))),
        None => size(path),
    }
}

/// An index and all that it names, each of them whole.
///
/// # Errors
/// Why it is not complete.
pub fn index_and_shards(path: &Path) -> Completeness {
    let dir = path.parent().unwrap_or(path);
    shards(path)?.iter().enumerate().try_fold(size(path)?, |sum, (n, shard)| {
        let found = if n < MOST_FILES { any(&dir.join(shard)) } else { size(&dir.join(shard)) };
        found.map(|contents| sum.and(contents)).map_err(|why| why.inside(Path::new(shard)))
    })
}

fn shards(path: &Path) -> Completeness<BTreeSet<String>> {
    index::shards(&head(path, index::MOST)?).ok_or_else(|| Unfinished::because("not a whole index"))
}
