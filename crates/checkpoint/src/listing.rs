//! A listing of a directory: names and kinds, with symbolic links followed. This file knows nothing of checkpoints. Ordinary
//! entries need no stat(2): a directory of 100,000 entries costs one pass of getdents(2).

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most entries that are read of a directory in which checkpoints appear.
pub(crate) const MOST_ENTRIES: usize = 200_000;

/// Most symbolic links that are followed in one directory; each costs a few system calls.
const MOST_LINKS: usize = 1024;

/// The kind of an entry, after links are followed. Sockets, devices and dangling links are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name.
    pub name: OsString,
    /// The kind.
    pub kind: EntryKind,
    /// The target of a symbolic link.
    real: Option<PathBuf>,
}

/// An entry that may be a checkpoint, and its step if that is known.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    /// The entry. Of a set of files, the one that is named for all of them.
    pub entry: &'a Entry,
    /// The step.
    pub step: Option<u64>,
    /// The other files of the same set.
    pub others: Vec<&'a Entry>,
    /// Why the set is not complete, as far as names tell.
    pub gap: Option<String>,
    /// Whether the family takes the entry itself for a checkpoint, and can judge it.
    pub ours: bool,
    /// Whether the entry's path stands for the whole checkpoint.
    pub stands: bool,
}

impl<'a> Candidate<'a> {
    /// Makes a candidate of one file or directory.
    pub(crate) fn of(entry: &'a Entry, step: Option<u64>) -> Self {
        Candidate { entry, step, others: Vec::new(), gap: None, ours: true, stands: true }
    }

    /// Iterates over all files or directories of the candidate.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'a Entry> + '_ {
        std::iter::once(self.entry).chain(self.others.iter().copied())
    }
}

/// The entries of a directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The directory.
    pub dir: PathBuf,
    /// The entries of the directory, in no order.
    pub entries: Vec<Entry>,
    /// Whether the directory holds more entries than were read.
    pub cut: bool,
}

impl Entry {
    /// Returns the name's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Returns the name; for a link, the name of the link's target.
    pub(crate) fn real_name(&self) -> &[u8] {
        self.real.as_deref().and_then(Path::file_name).map_or(self.bytes(), OsStr::as_bytes)
    }

    /// Tells whether the entry is a symbolic link.
    pub(crate) fn is_link(&self) -> bool {
        self.real.is_some()
    }

    /// Returns the name and, for a link, the name of the link's target.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        let real = self.real.as_deref().and_then(Path::file_name);
        std::iter::once(self.bytes()).chain(real.map(OsStr::as_bytes))
    }
}

impl Listing {
    /// Reads a directory, at most `most` entries of it.
    ///
    /// # Errors
    /// The error of opendir(3) or readdir(3). An entry that vanishes meanwhile is no error.
    pub(crate) fn read(dir: &Path, most: usize) -> io::Result<Self> {
        let mut links = Links::of(dir);
        let mut listing = Listing { dir: dir.to_path_buf(), ..Listing::default() };
        for (n, entry) in fs::read_dir(dir)?.enumerate() {
            if n == most {
                listing.cut = true;
                break;
            }
            listing.entries.extend(links.entry(&entry?));
        }
        Ok(listing)
    }

    /// Returns the path of an entry; for a link, the path of the link's target.
    pub(crate) fn path(&self, entry: &Entry) -> PathBuf {
        entry.real.clone().unwrap_or_else(|| self.dir.join(&entry.name))
    }

    /// Tells whether there is an entry of this name and kind.
    pub(crate) fn has(&self, name: &str, kind: EntryKind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind && entry.name == *name)
    }

    /// Picks the entries of a kind that `step` accepts by name. A link is accepted for its own name or for the name of its target.
    /// Where both names tell a step, the target's counts.
    pub(crate) fn pick(&self, kind: EntryKind, step: impl Fn(&[u8]) -> Option<Option<u64>>) -> Vec<Candidate<'_>> {
        let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
        let picked = of_kind.filter_map(|entry| {
            let wanted = |name: &&[u8]| !super::name::is_temporary(name);
            let mut fits = entry.names().filter_map(|name| Some(name).filter(wanted).and_then(&step)).peekable();
            fits.peek()?;
            Some(Candidate::of(entry, fits.flatten().last()))
        });
        picked.collect()
    }
}

/// The state of following the links of one directory.
struct Links<'a> {
    dir: &'a Path,
    /// The directory's own real path, once it was needed.
    real_dir: Option<PathBuf>,
    /// How many links may still be followed.
    left: usize,
}

impl<'a> Links<'a> {
    fn of(dir: &'a Path) -> Self {
        Links { dir, real_dir: None, left: MOST_LINKS }
    }

    fn entry(&mut self, entry: &DirEntry) -> Option<Entry> {
        let kind = entry.file_type().ok()?;
        let (kind, real) = if kind.is_symlink() {
            let (kind, real) = self.follow(&entry.path())?;
            (kind, Some(real))
        } else {
            (kind, None)
        };
        let kind = match () {
            () if kind.is_file() => EntryKind::File,
            () if kind.is_dir() => EntryKind::Directory,
            () => return None,
        };
        Some(Entry { name: entry.file_name(), kind, real })
    }

    /// Follows a link; `None` for a loop or a dangling link. A target in the same directory gets the path that its own entry has,
    /// so that link and target are known to be one.
    fn follow(&mut self, link: &Path) -> Option<(fs::FileType, PathBuf)> {
        self.left = self.left.checked_sub(1)?;
        let real = fs::canonicalize(link).ok()?;
        let kind = fs::metadata(&real).ok()?.file_type();
        if self.real_dir.is_none() {
            self.real_dir = fs::canonicalize(self.dir).ok();
        }
        let sibling = real.parent() == self.real_dir.as_deref();
        match real.file_name() {
            Some(name) if sibling => Some((kind, self.dir.join(name))),
            _ => Some((kind, real)),
        }
    }
}

/// Returns when an entry itself was modified; the beginning of time if it is gone.
pub(crate) fn modified(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(std::time::SystemTime::UNIX_EPOCH)
}
