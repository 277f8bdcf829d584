//! A directory read once: names and kinds, with symbolic links followed to what they mean. Nothing here knows what a
//! checkpoint is. No stat(2) for ordinary entries: a directory of 100,000 costs one pass of getdents(2).

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most entries that are read of a directory in which checkpoints appear.
pub const MOST_ENTRIES: usize = 200_000;

/// Most symbolic links that are followed in one directory; each costs a few system calls.
const MOST_LINKS: usize = 1024;

/// What an entry is, after following links. Sockets, devices and dangling links are not listed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// Where a symbolic link leads.
    real: Option<PathBuf>,
}

/// An entry that may be a checkpoint, and its step if that is known.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The step.
    pub step: Option<u64>,
}

/// The entries of a directory.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The directory.
    pub dir: PathBuf,
    /// What is in it, in no order.
    pub entries: Vec<Entry>,
    /// There was more than was read.
    pub cut: bool,
}

impl Entry {
    /// The name's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// The name, and the name of what a link leads to.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let real = self.real.as_deref().and_then(Path::file_name);
        std::iter::once(self.bytes()).chain(real.map(OsStr::as_bytes))
    }
}

impl Listing {
    /// Reads a directory, at most `most` entries of it.
    ///
    /// # Errors
    /// What opendir(3) and readdir(3) say. An entry that vanishes meanwhile is no error.
    pub fn read(dir: &Path, most: usize) -> io::Result<Self> {
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

    /// The path of an entry; where it is a link, of what the link leads to.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        entry.real.clone().unwrap_or_else(|| self.dir.join(&entry.name))
    }

    /// Whether there is an entry of this name and kind.
    pub fn has(&self, name: &str, kind: EntryKind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind && entry.name == *name)
    }

    /// The entries of a kind that `step` accepts by name. A link is accepted for its own name or for that of what it leads to;
    /// of the step, the real name has the last word.
    pub fn pick(&self, kind: EntryKind, step: impl Fn(&[u8]) -> Option<Option<u64>>) -> Vec<Candidate<'_>> {
        let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
        let picked = of_kind.filter_map(|entry| {
            let wanted = |name: &&[u8]| !super::name::is_temporary(name);
            let mut fits = entry.names().filter_map(|name| Some(name).filter(wanted).and_then(&step)).peekable();
            fits.peek()?;
            Some(Candidate { entry, step: fits.flatten().last() })
        });
        picked.collect()
    }
}

/// Follows the links of one directory.
struct Links<'a> {
    dir: &'a Path,
    /// The directory's own real path, once it is needed.
    real_dir: Option<PathBuf>,
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

    /// What a link leads to. A loop or a dangling link leads nowhere. A target in the same directory is named as its own
    /// entry is, so that both are known to be one.
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
