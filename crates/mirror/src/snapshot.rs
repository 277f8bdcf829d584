//! The files of a checkpoint, opened before anything is uploaded: a trainer may delete an old checkpoint while it is on its way.

use super::digest::sum_of;
use super::manifest::{MOST_FILES, pieces};
use super::names;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most files that are held open. Further ones are found by their names, as long as they are there.
const MOST_OPEN: usize = 256;
/// How deep directories are searched: checkpoints have a few levels.
const DEPTH: usize = 16;

/// The files of a checkpoint as they were when the upload began.
#[derive(Debug)]
pub struct Snapshot {
    /// The checkpoint's path below `checkpoint.dir`.
    pub name: String,
    pub(crate) directory: bool,
    pub(crate) files: Vec<SnapshotFile>,
}

/// A file of a checkpoint.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    /// The path below `checkpoint.dir`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    full: PathBuf,
    open: Option<File>,
    print: Print,
}

/// What changes when a file is written, or replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Print {
    fn of(data: &Metadata) -> Self {
        Print { device: data.dev(), inode: data.ino(), size: data.size(), modified: (data.mtime(), data.mtime_nsec()) }
    }
}

impl Snapshot {
    /// Opens the files of the checkpoint at `path`, and those that belong to it, all below `dir`.
    ///
    /// # Errors
    /// The error of a file; `InvalidInput` for a name that cannot be used in a mirror, or for too many files.
    pub fn open(dir: &Path, path: &Path, others: &[PathBuf]) -> io::Result<Self> {
        let below = |path: &Path| below(dir, path).ok_or_else(|| odd(path, "has a name that a mirror cannot have"));
        let (name, directory) = (below(path)?, path.is_dir());
        let mut found = Vec::new();
        for part in std::iter::once(path).chain(others.iter().map(PathBuf::as_path)) {
            collect(part, DEPTH, &mut found)?;
        }
        let mut files = Vec::new();
        for full in found {
            let path = below(&full)?;
            files.push(SnapshotFile::open(path, full, files.len() < MOST_OPEN)?);
        }
        match files.is_empty() {
            true => Err(odd(path, "has no files")),
            false => Ok(Snapshot { name, directory, files }),
        }
    }

    /// Returns the bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Returns the descriptors that the carrier has to inherit.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().filter_map(|file| file.open.as_ref()).map(AsFd::as_fd)
    }

    /// Returns the path of a file that was written, replaced or truncated since.
    pub(crate) fn changed(&self) -> Option<&str> {
        self.files.iter().find(|file| !file.is_unchanged()).map(|file| file.path.as_str())
    }
}

impl SnapshotFile {
    fn open(path: String, full: PathBuf, keep: bool) -> io::Result<Self> {
        let file = File::open(&full)?;
        let print = Print::of(&file.metadata()?);
        Ok(SnapshotFile { path, size: print.size, full, open: keep.then_some(file), print })
    }

    /// Returns the path by which the carrier, which inherits the descriptor, opens the file, deleted or not.
    pub(crate) fn source(&self) -> PathBuf {
        let inherited = |file: &File| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.open.as_ref().map_or_else(|| self.full.clone(), inherited)
    }

    /// Returns the SHA-256 of each piece of this length.
    pub(crate) fn sums(&self, piece: u64) -> io::Result<Vec<String>> {
        let found;
        let file = match &self.open {
            Some(file) => file,
            None => {
                found = File::open(&self.full)?;
                &found
            }
        };
        pieces(self.size, piece).into_iter().map(|(offset, length)| sum_of(file, offset, length)).collect()
    }

    fn is_unchanged(&self) -> bool {
        let now = match &self.open {
            Some(file) => file.metadata(),
            None => std::fs::metadata(&self.full),
        };
        now.is_ok_and(|now| Print::of(&now) == self.print)
    }
}

/// Returns the path below the directory; `None` for one that is elsewhere or that a mirror cannot have.
fn below(dir: &Path, path: &Path) -> Option<String> {
    let real = dir.canonicalize().ok();
    let below = [Some(dir), real.as_deref()].into_iter().flatten().find_map(|dir| path.strip_prefix(dir).ok());
    let name = below.or_else(|| path.file_name().map(Path::new))?.to_str()?;
    names::is_safe(name).then(|| name.to_owned())
}

/// Adds the regular files at and below a path; links are followed, and pipes and devices are left out.
fn collect(path: &Path, depth: usize, into: &mut Vec<PathBuf>) -> io::Result<()> {
    let data = std::fs::metadata(path)?;
    if data.is_file() {
        into.push(path.to_owned());
    }
    if !data.is_dir() {
        return Ok(());
    }
    let mut names =
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    if depth == 0 || into.len() + names.len() > MOST_FILES {
        return Err(odd(path, "has too many files or levels"));
    }
    names.iter().try_for_each(|name| collect(name, depth - 1, into))
}

fn odd(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_deleted_file_can_still_be_read_and_a_written_one_has_changed() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let checkpoint = dir.path().join("ckpt-9");
        fs::create_dir(&checkpoint)?;
        for name in ["a", "b"] {
            fs::write(checkpoint.join(name), name)?;
        }
        let taken = Snapshot::open(dir.path(), &checkpoint, &[])?;
        assert_eq!((taken.name.as_str(), taken.size(), taken.directory), ("ckpt-9", 2, true));
        fs::remove_file(checkpoint.join("a"))?;
        assert_eq!(fs::read(taken.files[0].source())?, b"a");
        assert_eq!(taken.changed(), None);
        fs::write(checkpoint.join("b"), "longer")?;
        assert_eq!(taken.changed(), Some("ckpt-9/b"));
        Ok(())
    }

    #[test]
    fn a_set_is_taken_whole_and_a_name_that_no_mirror_can_have_is_refused() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let [model, optimizer, odd] = ["m-9.pt", "o-9.pt", "a?b.pt"].map(|name| dir.path().join(name));
        [&model, &optimizer, &odd].iter().try_for_each(|path| fs::write(path, "x"))?;
        let set = Snapshot::open(dir.path(), &model, std::slice::from_ref(&optimizer))?;
        assert_eq!(set.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["m-9.pt", "o-9.pt"]);
        assert!(!set.directory && Snapshot::open(dir.path(), &odd, &[]).is_err());
        Ok(())
    }
}
