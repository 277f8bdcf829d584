//! The file of a history: read, appended to and shortened through descriptors of its directories, so that nobody can lead a writer elsewhere.
//!
//! Where a file system cannot append (object stores), each line is a small file beside the history.

use crate::job_history::file::WriteOutcome::{Waits, Written};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::credentials;
use sys::directory::{self, OpenDirectory};
use sys::untrusted::{self, Owners};

/// The directory in `checkpoint.dir`, and the file in it.
const DIRECTORY: &str = ".trainit";
const FILE: &str = "history.jsonl";

/// A history of more bytes is shortened at a start, to half of this.
const LIMIT: u64 = if cfg!(test) { 16 << 10 } else { 1 << 20 };

/// The most bytes that are read of a history: also of one that could not be shortened.
const MOST: u64 = 8 << 20;

/// The most small files that are read where a file system cannot append.
const MOST_PIECES: usize = 10_000;

/// How long a writer waits for another one; then it appends without the lock, which a local disk keeps whole.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK: Duration = Duration::from_millis(5);

/// Modes of the directory and of the file: others may read them, and they hold no secrets.
const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

/// Errors that mean a lack of rights or room, which a file beside would meet as well.
const NO_WAY: [Errno; 5] = [Errno::EACCES, Errno::EROFS, Errno::ENOSPC, Errno::EDQUOT, Errno::ENOENT];

/// A history on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryFile {
    /// The path.
    pub path: PathBuf,
    /// The file is in a directory of trainit's own in the directory of the checkpoints, in which it never is the first thing.
    pub waits: bool,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum WriteOutcome {
    /// The lines are written.
    Written,
    /// Nothing is written, because the directory of the checkpoints is missing or empty: some trainers refuse one that is not.
    Waits,
}

impl HistoryFile {
    /// Returns the usual history of a directory of checkpoints.
    pub(crate) fn in_directory(checkpoints: &Path) -> Self {
        HistoryFile { path: checkpoints.join(DIRECTORY).join(FILE), waits: true }
    }

    /// Returns the history at this path, as it is configured.
    pub(crate) fn at(path: PathBuf) -> Self {
        HistoryFile { path, waits: false }
    }

    /// Reads all lines; a history that does not exist has none.
    ///
    /// # Errors
    /// The error of the file system; in words, if it is no regular file, or too large.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let directory = match self.open_directory(Owners::Anyone) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let mut bytes = match untrusted::read(&directory, self.name(), MOST, Owners::Anyone) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        for name in self.pieces()? {
            let piece = untrusted::read(&directory, &name, history::LINE_MAX as u64, Owners::Anyone);
            bytes.push(b'\n');
            bytes.extend(piece.unwrap_or_default());
        }
        Ok(bytes)
    }

    /// Appends lines, each in one write; `id` names the attempt that they are of.
    ///
    /// # Errors
    /// The error of the file system; in words, if something there is not what it should be.
    pub(crate) fn append(&self, id: &str, lines: &str) -> io::Result<WriteOutcome> {
        if self.waits && self.has_to_wait()? {
            return Ok(Waits);
        }
        let directory = self.provide_directory()?;
        for line in lines.split_inclusive('\n') {
            let appended = self.append_line(&directory, line);
            let errno = appended.as_ref().err().map(|error| error.raw_os_error().map(Errno::from_raw));
            match errno {
                Some(Some(errno)) if !NO_WAY.contains(&errno) => self.write_piece(&directory, id, line)?,
                _ => appended?,
            }
        }
        Ok(Written)
    }

    /// Adds what another history of the same job has more; `id` names the attempt that does so.
    ///
    /// # Errors
    /// The error of the file system; in words, if something there is not what it should be.
    pub(crate) fn join(&self, id: &str, other: &[u8]) -> io::Result<WriteOutcome> {
        if self.waits && self.has_to_wait()? {
            return Ok(Waits);
        }
        let own = self.read()?;
        let Some(both) = history::joined(&own, other) else { return Ok(Written) };
        let directory = self.provide_directory()?;
        if self.rewrite(|own| history::joined(own, other)).is_err() {
            // Nothing can be replaced here, as in the store of objects: a file for each line that is missing.
            let known: HashSet<&[u8]> = own.split(|byte| *byte == b'\n').collect();
            let missing = both.lines().filter(|line| !known.contains(line.as_bytes()));
            let mut each = missing.enumerate();
            each.try_for_each(|(n, line)| self.write_piece(&directory, &format!("{id}x{n:05}"), line))?;
        }
        Ok(Written)
    }

    /// Returns the lines that are a history's, in about the size that it is shortened to.
    ///
    /// # Errors
    /// The error of the file system; in words, if it is no regular file, or too large.
    pub(crate) fn sound_lines(&self) -> io::Result<String> {
        Ok(history::sound_lines(&self.read()?, LIMIT as usize))
    }

    /// Sums up the oldest attempts of a long history; where that does not work, the history stays as it is.
    pub(crate) fn shorten(&self) {
        if std::fs::metadata(&self.path).is_ok_and(|found| found.len() > LIMIT) {
            let _ = self.rewrite(|bytes| history::compacted(bytes, LIMIT as usize / 2));
        }
    }

    /// Replaces the file, where there is something to replace it with. Other writers wait meanwhile.
    fn rewrite(&self, new: impl Fn(&[u8]) -> Option<String>) -> io::Result<()> {
        let directory = self.open_directory(self.owners()?.as_owners())?;
        let (_file, is_locked) = self.locked(&directory)?;
        if !is_locked {
            return Err(io::Error::other("another process holds it"));
        }
        let bytes = untrusted::read(&directory, self.name(), MOST, Owners::Anyone)?;
        new(&bytes).map_or(Ok(()), |text| self.put(&directory, self.name(), text.as_bytes()))
    }

    fn name(&self) -> &Path {
        self.path.file_name().map_or(Path::new(FILE), Path::new)
    }

    /// Returns the directory of the checkpoints.
    fn checkpoints(&self) -> &Path {
        self.directory().parent().unwrap_or(Path::new("/"))
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Returns whether the directory of the checkpoints is missing or has nothing in it.
    fn has_to_wait(&self) -> io::Result<bool> {
        match OpenDirectory::open(self.checkpoints()) {
            Ok(directory) => Ok(directory.names()?.iter().next().is_none()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Returns the users who may own trainit's directory and file: whoever owns the directory of the checkpoints could replace them anyway.
    fn owners(&self) -> io::Result<BelievedOwners> {
        let above = if self.waits { self.checkpoints() } else { self.directory() };
        Ok(BelievedOwners([0, credentials::own_uid(), std::fs::metadata(above)?.uid()]))
    }

    /// Opens the directory. What trainit has made is not reached through a link; what a person has named may be.
    fn open_directory(&self, owners: Owners<'_>) -> io::Result<File> {
        if !self.waits {
            return Ok(openat(AT_FDCWD, self.directory(), SEARCHED, Mode::empty()).map(File::from)?);
        }
        let above = openat(AT_FDCWD, self.checkpoints(), SEARCHED, Mode::empty())?;
        // Modes are not asked: a file system of another kind shows any.
        let opened = match openat(above, DIRECTORY, SEARCHED | OFlag::O_NOFOLLOW, Mode::empty()) {
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(io::Error::other(format!("{DIRECTORY} is no directory"))),
            opened => Ok(opened.map(File::from)?),
        }?;
        let found = opened.metadata()?;
        match owners {
            Owners::These(believed) if !believed.contains(&found.uid()) => {
                Err(io::Error::other(format!("{DIRECTORY} belongs to user {}", found.uid())))
            }
            _ => Ok(opened),
        }
    }

    /// Opens the directory, and makes it if it does not exist.
    fn provide_directory(&self) -> io::Result<File> {
        if self.waits {
            let above = openat(AT_FDCWD, self.checkpoints(), SEARCHED, Mode::empty())?;
            match mkdirat(&above, DIRECTORY, Mode::from_bits_truncate(DIRECTORY_MODE)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        } else if !self.directory().is_dir() {
            untrusted::make_directories(self.directory(), DIRECTORY_MODE)?;
        }
        self.open_directory(self.owners()?.as_owners())
    }

    fn open_to_append(&self, directory: &File) -> io::Result<File> {
        let file = untrusted::append(directory, self.name(), FILE_MODE, self.owners()?.as_owners())?;
        // Another name of the file may be one that only this user could write.
        let links = file.metadata()?.nlink();
        if links > 1 { Err(io::Error::other(format!("it has {links} names (hard links)"))) } else { Ok(file) }
    }

    /// Appends a line under a lock, which keeps it whole on NFS, too, and out of a history that is being shortened.
    fn append_line(&self, directory: &File, line: &str) -> io::Result<()> {
        let (mut file, _) = self.locked(directory)?;
        let torn = self.is_torn(directory, &file);
        let text = if torn { format!("\n{line}") } else { line.to_owned() };
        match file.write(text.as_bytes())? {
            whole if whole == text.len() => Ok(()),
            _ => Err(Errno::ENOSPC.into()),
        }
    }

    /// Opens the file, and locks it if another writer does not hold it for too long; returns whether it is locked.
    fn locked(&self, directory: &File) -> io::Result<(File, bool)> {
        let until = Instant::now() + PATIENCE;
        let mut file = self.open_to_append(directory)?;
        while Instant::now() < until {
            match (directory::lock(&file), self.is_named(directory, &file)) {
                (true, true) => return Ok((file, true)),
                (true, false) => file = self.open_to_append(directory)?,
                (false, _) => std::thread::sleep(LOOK),
            }
        }
        Ok((file, false))
    }

    /// Returns whether the file is still the one of this name: a history is shortened by replacing it.
    fn is_named(&self, directory: &File, file: &File) -> bool {
        let identity = |file: &File| file.metadata().map(|found| (found.dev(), found.ino())).ok();
        let named = untrusted::open(directory, self.name(), Owners::Anyone);
        named.is_ok_and(|named| identity(&named) == identity(file))
    }

    /// Returns whether the last line of the file lacks its newline, because its writer died.
    fn is_torn(&self, directory: &File, file: &File) -> bool {
        let length = file.metadata().map_or(0, |found| found.len());
        let mut last = [b'\n'];
        let read = untrusted::open(directory, self.name(), Owners::Anyone)
            .and_then(|file| file.read_at(&mut last, length.saturating_sub(1)));
        read.is_ok() && last != [b'\n']
    }

    /// Writes a line as a file of its own.
    fn write_piece(&self, directory: &File, id: &str, line: &str) -> io::Result<()> {
        let taken = |n: u32| {
            let name = format!("{}{id}-{n}", self.piece_prefix());
            match untrusted::create(directory, Path::new(&name), FILE_MODE) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                made => Some(made),
            }
        };
        let made = (0..10).find_map(taken).unwrap_or_else(|| Err(Errno::EEXIST.into()));
        made?.write_all(line.as_bytes())
    }

    fn piece_prefix(&self) -> String {
        format!("{}.", self.name().display())
    }

    /// Lists the files with one line each, in the order of their names, which begin with the time of their attempt.
    fn pieces(&self) -> io::Result<Vec<PathBuf>> {
        let prefix = self.piece_prefix();
        let names = OpenDirectory::open(self.directory())?.names()?;
        let pieces = names.iter().filter(|name| name.as_bytes().starts_with(prefix.as_bytes()));
        let mut pieces: Vec<PathBuf> = pieces.filter(|name| !is_temporary(name)).map(PathBuf::from).collect();
        pieces.sort_unstable();
        let older = pieces.len().saturating_sub(MOST_PIECES);
        Ok(pieces.split_off(older))
    }

    /// Makes a file beside the history, in one step; one of this name stays as it is.
    ///
    /// # Errors
    /// The error of the file system, also where the directory does not exist.
    pub(super) fn put_beside(&self, name: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = self.open_directory(self.owners()?.as_owners())?;
        match untrusted::open(&directory, name, Owners::Anyone) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.put(&directory, name, bytes),
            opened => opened.map(|_| ()),
        }
    }

    /// Puts content in the place of a file.
    fn put(&self, directory: &File, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = format!("{}.{}{TEMPORARY}", self.name().display(), std::process::id());
        let written = untrusted::create(directory, Path::new(&name), FILE_MODE).and_then(|mut new| {
            new.write_all(bytes)?;
            new.sync_data()
        });
        let placed = written.and_then(|()| Ok(nix::fcntl::renameat(directory, Path::new(&name), directory, place)?));
        if placed.is_err() {
            let _ = nix::unistd::unlinkat(directory, Path::new(&name), nix::unistd::UnlinkatFlags::NoRemoveDir);
        }
        placed
    }
}

/// How a directory is opened in which entries are only made and looked up.
const SEARCHED: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The end of the name of a history that is being written.
const TEMPORARY: &str = ".new";

fn is_temporary(name: &OsStr) -> bool {
    name.as_bytes().ends_with(TEMPORARY.as_bytes())
}

/// The users who may own a history.
struct BelievedOwners([u32; 3]);

impl BelievedOwners {
    fn as_owners(&self) -> Owners<'_> {
        Owners::These(&self.0)
    }
}

#[cfg(test)]
mod tests;
