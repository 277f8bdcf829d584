//! Lists a directory by reading as little as answers the question: a directory of a million files on a network file system takes minutes.

use super::failures::errno;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Number of entries that are counted, unless a key requires more.
const ENOUGH: u64 = 1000;
/// Time limit of the count after the required number was found.
const PATIENCE: Duration = Duration::from_secs(2);
/// Number of entries that are compared with one pattern.
pub(super) const PATTERN_MAX: usize = 100_000;
/// Number of names that are kept for messages.
const NAMES: usize = 5;
/// Number of links that are kept for the check of links.
const LINKS: usize = 64;

/// The result of a count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DirectoryCount {
    /// Number of entries, without those that only belong to the mount.
    pub entries: u64,
    /// Whether the count stopped early.
    pub more: bool,
    /// Whether there are directories among the entries.
    pub directories: bool,
    /// The first names.
    pub names: Vec<OsString>,
    /// The first links among them.
    pub links: Vec<OsString>,
}

/// The result of a search for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntrySearch {
    /// The name exists.
    Yes,
    /// The name does not exist.
    No,
    /// The name is not among the entries that were read.
    NotSoFar,
}

/// Counts entries until `wanted` are found and the total is known or clearly large.
/// Counts entries until `wanted` are found and the total is known or clearly large.
/// # Errors
/// The errno of opendir(3) or readdir(3).
pub(super) fn count(directory: &Path, wanted: u64) -> Result<DirectoryCount, Errno> {
    let begun = Instant::now();
    let mut listing = DirectoryCount::default();
    for entry in std::fs::read_dir(directory).map_err(errno)? {
        let entry = entry.map_err(errno)?;
        if is_furniture(&entry.file_name()) {
            continue;
        }
        if listing.entries >= wanted && (listing.entries >= ENOUGH || begun.elapsed() > PATIENCE) {
            listing.more = true;
            break;
        }
        listing.add(&entry);
    }
    Ok(listing)
}

/// Prefix of the files that checks write.
pub(super) const PROBE: &str = ".trainit-probe.";

/// Returns whether an entry is no user data: the links of a ConfigMap (`..data`), a directory that a file system makes, or the test file
/// of an output check in the same directory.
fn is_furniture(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"..")
        || name.as_bytes().starts_with(PROBE.as_bytes())
        || matches!(name.as_bytes(), b"lost+found" | b".snapshot" | b".snapshots" | b".zfs")
}

impl DirectoryCount {
    fn add(&mut self, entry: &DirEntry) {
        self.entries += 1;
        let kind = entry.file_type().ok();
        self.directories |= kind.is_some_and(|kind| kind.is_dir());
        if kind.is_some_and(|kind| kind.is_symlink()) && self.links.len() < LINKS {
            self.links.push(entry.file_name());
        }
        if self.names.len() < NAMES {
            self.names.push(entry.file_name());
        }
    }

    /// Formats the count: `≥ 1000 files`, or `entries` if there are directories.
    pub(super) fn described(&self) -> String {
        let noun = match (self.directories, self.entries) {
            (false, _) => text::count(self.entries, "file"),
            (true, 1) => "1 entry".to_owned(),
            (true, number) => format!("{number} entries"),
        };
        if self.more { format!("≥ {noun}") } else { noun }
    }

    /// Formats the first names, for a user who looks for one of them.
    pub(super) fn shown_names(&self) -> String {
        let mut names: Vec<String> = self.names.iter().map(|name| text::os(name)).collect();
        if self.more || self.entries > names.len() as u64 {
            names.push("…".to_owned());
        }
        names.join(", ")
    }
}

/// Searches for a name below a directory. Its last component may be a pattern; a trailing `/` asks for a directory.
///
/// # Errors
/// Any error except that the name does not exist.
pub(super) fn contains(directory: &Path, name: &str) -> Result<EntrySearch, Errno> {
    let (name, must_be_directory) = match name.strip_suffix('/') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let relative = Path::new(name.trim_start_matches('/'));
    let last = relative.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if last.contains(['*', '?', '[']) {
        let parent = relative.parent().map_or(directory.to_path_buf(), |parent| directory.join(parent));
        return matching(&parent, last, must_be_directory);
    }
    match std::fs::metadata(directory.join(relative)) {
        Ok(meta) => Ok(found(meta.is_dir() || !must_be_directory)),
        Err(error) => absent(errno(error)),
    }
}

fn matching(directory: &Path, pattern: &str, must_be_directory: bool) -> Result<EntrySearch, Errno> {
    let Ok(pattern) = glob::Pattern::new(pattern) else { return Ok(found(directory.join(pattern).exists())) };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return absent(errno(error)),
    };
    let matches = |entry: DirEntry| {
        let named = pattern.matches(&entry.file_name().to_string_lossy());
        named && (!must_be_directory || entry.path().is_dir())
    };
    for (number, entry) in entries.enumerate() {
        if matches(entry.map_err(errno)?) {
            return Ok(EntrySearch::Yes);
        }
        if number == PATTERN_MAX {
            return Ok(EntrySearch::NotSoFar);
        }
    }
    Ok(EntrySearch::No)
}

fn found(there: bool) -> EntrySearch {
    if there { EntrySearch::Yes } else { EntrySearch::No }
}

fn absent(errno: Errno) -> Result<EntrySearch, Errno> {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => Ok(EntrySearch::No),
        errno => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            match name.strip_suffix('/') {
                Some(name) => std::fs::create_dir_all(directory.path().join(name)).unwrap(),
                None => std::fs::write(directory.path().join(name), "x").unwrap(),
            }
        }
        directory
    }

    #[test]
    fn what_a_file_system_or_kubernetes_puts_there_is_not_data() {
        let directory = directory(&["lost+found/", "..data", "..2026_11/", ".trainit-probe.7.a1"]);
        assert_eq!(count(directory.path(), 1).unwrap().entries, 0);
    }

    #[test]
    fn counting_stops_where_the_question_is_answered() {
        let directory = directory(&[]);
        for number in 0..1010 {
            std::fs::write(directory.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(count(directory.path(), 1).unwrap().described(), "≥ 1000 files");
        assert_eq!(count(directory.path(), 1005).unwrap().described(), "≥ 1005 files");
        assert_eq!(count(directory.path(), 2000).unwrap().described(), "1010 files");
    }

    #[test]
    fn directories_are_not_called_files() {
        assert_eq!(count(directory(&["a/", "b"]).path(), 1).unwrap().described(), "2 entries");
        assert_eq!(count(directory(&["a/"]).path(), 1).unwrap().described(), "1 entry");
        assert_eq!(count(directory(&["a"]).path(), 1).unwrap().described(), "1 file");
    }

    #[test]
    fn names_and_patterns_below_a_directory_are_found() {
        let directory = directory(&["train/", "train/shard-01.tar", "meta.json"]);
        let has = |name| contains(directory.path(), name).unwrap() == EntrySearch::Yes;
        assert!(
            has("train/") && has("train") && has("meta.json") && has("/meta.json") && has("train/*.tar") && has("tr*/")
        );
        assert!(!has("meta.json/") && !has("val") && !has("train/*.zip") && !has("val/*.tar") && !has("meta*/"));
    }

    #[test]
    fn a_pattern_that_is_none_is_a_name() {
        assert_eq!(contains(directory(&["a[b"]).path(), "a[b"), Ok(EntrySearch::Yes));
    }
}
