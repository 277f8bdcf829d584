//! Copies pieces of files by threads: shared where the file system can share, holes kept, and each piece of one version of its file.

use super::{failure, item_of, path_of};
use crate::error::{Failed, ObjectFailure, Result, StageError};
use crate::item::Item;
use crate::limit::Limit;
use crate::mover::{Moved, Mover, Piece};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The most threads: more do not make a disk faster.
const THREADS: usize = 8;

/// The bytes that one read takes.
const BUFFER: usize = 1 << 20;

/// Threads that copy pieces.
pub(crate) struct CopyMover {
    root: PathBuf,
    width: usize,
    jobs: Sender<Piece>,
    results: Receiver<Moved>,
}

impl CopyMover {
    /// Starts the threads, which end with this value.
    pub(crate) fn start(root: &Path, parallel: usize, limit: Option<u64>) -> Self {
        let width = parallel.clamp(1, THREADS);
        let (jobs, todo) = channel::<Piece>();
        let (done, results) = channel();
        let (todo, limit) = (Arc::new(Mutex::new(todo)), Arc::new(Limit::of(limit)));
        for _ in 0..width {
            let (todo, done, root, limit) = (Arc::clone(&todo), done.clone(), root.to_owned(), Arc::clone(&limit));
            std::thread::spawn(move || work(&root, &todo, &done, &limit));
        }
        CopyMover { root: root.to_owned(), width, jobs, results }
    }
}

impl Mover for CopyMover {
    fn width(&self) -> usize {
        self.width * 2 // the next pieces wait, so that no thread does
    }

    fn give(&mut self, piece: Piece) -> Result<()> {
        self.jobs.send(piece).map_err(|_| StageError::Transfer("no thread copies any more".into()))
    }

    fn take(&mut self, wait: Duration) -> Result<Option<Moved>> {
        match self.results.recv_timeout(wait) {
            Ok(moved) => Ok(Some(moved)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(StageError::Transfer("no thread copies any more".into())),
        }
    }

    fn date(&self, item: &Item) -> Option<SystemTime> {
        date(&item.tag)
    }

    fn again(&mut self, item: &Item) -> Result<std::result::Result<Item, ObjectFailure>> {
        let found = fs::metadata(path_of(&self.root, &item.key));
        Ok(found.map(|found| item_of(item.key.clone(), &found)).map_err(|error| failure("reading", &error)))
    }
}

/// Returns the time that is in a tag.
fn date(tag: &str) -> Option<SystemTime> {
    let (seconds, nanos) = tag.split_once('.')?;
    let since = Duration::new(seconds.parse().ok()?, nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn work(root: &Path, todo: &Mutex<Receiver<Piece>>, done: &Sender<Moved>, limit: &Limit) {
    let mut buffer = Vec::new();
    loop {
        let Some(piece) = todo.lock().ok().and_then(|todo| todo.recv().ok()) else { return };
        limit.take(piece.length);
        let moved = match copy(root, &piece, &mut buffer) {
            Ok(()) => Moved::Done(piece.object, piece.index, piece.length, None),
            Err(failed) => Moved::Failed(piece.object, failed),
        };
        if done.send(moved).is_err() {
            return;
        }
    }
}

/// Copies one piece, if the file is the one that was listed before and afterwards.
fn copy(root: &Path, piece: &Piece, buffer: &mut Vec<u8>) -> std::result::Result<(), ObjectFailure> {
    let read = |error: io::Error| failure("reading", &error);
    let from = File::open(path_of(root, &piece.item.key)).map_err(read)?;
    same(&from, &piece.item)?;
    let to = File::options().write(true).open(&piece.path).map_err(|error| failure("writing", &error))?;
    if !sys::clone_range(&from, piece.offset, &to, piece.offset, piece.length) {
        bytes(&from, &to, piece, buffer).map_err(|error| failure("copying", &error))?;
    }
    same(&from, &piece.item)
}

fn same(file: &File, item: &Item) -> std::result::Result<(), ObjectFailure> {
    let found = file.metadata().map_err(|error| failure("reading", &error))?;
    let now = item_of(Vec::new(), &found);
    if (now.size, &now.tag) == (item.size, &item.tag) {
        return Ok(());
    }
    Err(ObjectFailure { kind: Failed::Changed, text: "it was changed meanwhile".into(), hints: Vec::new(), skew: None })
}

/// Copies what holds data; the target is all holes so far.
fn bytes(from: &File, to: &File, piece: &Piece, buffer: &mut Vec<u8>) -> io::Result<()> {
    let (mut at, end) = (piece.offset, piece.offset + piece.length);
    while at < end {
        let Some(begin) = next(from, at, Whence::SeekData)?.filter(|begin| *begin < end) else { return Ok(()) };
        let stop = next(from, begin, Whence::SeekHole)?.unwrap_or(end).min(end);
        copy_data(from, to, begin, stop, buffer)?;
        at = stop.max(at + 1);
    }
    Ok(())
}

/// Returns where the next data or hole begins; `None` behind the last data.
fn next(file: &File, at: u64, what: Whence) -> io::Result<Option<u64>> {
    let at_offset = i64::try_from(at).map_err(io::Error::other)?;
    match lseek(file, at_offset, what) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(Errno::ENXIO) => Ok(None),
        // A file system that knows no holes has data everywhere.
        Err(Errno::EINVAL) => Ok(matches!(what, Whence::SeekData).then_some(at)),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_data(from: &File, to: &File, mut at: u64, end: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(BUFFER, 0);
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        let space = buffer.get_mut(..most).unwrap_or_default();
        let count = from.read_at(space, at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all_at(space.get(..count).unwrap_or_default(), at)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn holes_stay_holes_and_the_bytes_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (source, target) = (dir.path().join("source"), dir.path().join("target"));
        let file = File::create(&source).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&[7; 5000], 3 << 20).unwrap();
        let item = item_of(b"source".to_vec(), &file.metadata().unwrap());
        File::create(&target).unwrap().set_len(item.size).unwrap();
        let piece = Piece { object: 0, index: 0, offset: 0, length: item.size, path: target.clone(), item };
        copy(dir.path(), &piece, &mut Vec::new()).unwrap();
        assert!(fs::read(&source).unwrap() == fs::read(&target).unwrap());
        let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
        assert!(blocks(&target) <= blocks(&source) + 64, "{} {}", blocks(&target), blocks(&source));
    }

    #[test]
    fn a_file_that_changed_since_it_was_listed_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (source, path) = (dir.path().join("s"), dir.path().join("t"));
        fs::write(&source, "old").unwrap();
        let item = item_of(b"s".to_vec(), &fs::metadata(&source).unwrap());
        fs::write(&source, "newer").unwrap();
        File::create(&path).unwrap();
        let piece = Piece { object: 0, index: 0, offset: 0, length: 3, path: path.clone(), item };
        assert_eq!(copy(dir.path(), &piece, &mut Vec::new()).unwrap_err().kind, Failed::Changed);
        assert!(fs::read(&path).unwrap().is_empty());
    }
}
