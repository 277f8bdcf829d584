//! Brings the objects of a listing into a directory: makes the files, hands out their pieces, notes what is written, and checks each file
//! once it is whole. It knows neither where the bytes come from nor what becomes of the directory.

use super::error::{Failed, ObjectFailure, Result, StageError};
use super::item::{Item, ItemKind};
use super::journal::{Journal, Settling};
use super::key::{KeyPath, path_of};
use super::list::{Items, Listing, items};
use super::mover::{Moved, Mover, PIECE, Piece, pieces};
use super::sum;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an answer is waited for before the progress is told.
const WAIT: Duration = Duration::from_millis(200);

/// How often an object may change while it is read.
const CHANGES: u8 = 3;

/// How many failed objects are named.
const NAMED: usize = 3;

/// How often bytes are brought to the disk, so that a failed machine costs no more than these.
const SETTLE: Duration = Duration::from_secs(30);

/// An object that is being brought.
struct OpenObject {
    item: Item,
    path: PathBuf,
    /// The next piece to hand out.
    next: u32,
    /// Pieces that are handed out.
    out: u32,
    /// Pieces that are not written yet.
    left: u32,
    changes: u8,
    /// The tag before it changed.
    changed: bool,
    sha256: Option<String>,
}

/// What was brought.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// Objects that are not what was listed first, by their numbers.
    pub changed: HashMap<u64, Item>,
    /// Files with a sum that was compared.
    pub summed: u64,
}

/// The bringing of one listing.
pub(crate) struct Fetch<'a> {
    tree: &'a Path,
    listing: &'a Listing,
    journal: &'a mut Journal,
    mover: &'a mut dyn Mover,
    tell: &'a mut dyn FnMut(u64) -> Result<()>,
    open: HashMap<u64, OpenObject>,
    /// Objects with pieces to hand out.
    ready: VecDeque<u64>,
    out: usize,
    done: u64,
    last_parent: PathBuf,
    failures: (Vec<String>, u64, Option<ObjectFailure>),
    brought: Brought,
    settling: Option<Settling>,
    settled: Instant,
}

impl<'a> Fetch<'a> {
    /// Prepares to bring a listing into the directory `tree`. `tell` gets the bytes that are there, often, and may end it.
    pub(crate) fn new(
        tree: &'a Path,
        listing: &'a Listing,
        journal: &'a mut Journal,
        mover: &'a mut dyn Mover,
        tell: &'a mut dyn FnMut(u64) -> Result<()>,
    ) -> Self {
        Fetch {
            tree,
            listing,
            journal,
            mover,
            tell,
            open: HashMap::new(),
            ready: VecDeque::new(),
            out: 0,
            done: 0,
            last_parent: PathBuf::new(),
            failures: (Vec::new(), 0, None),
            brought: Brought::default(),
            settling: None,
            settled: Instant::now(),
        }
    }

    /// Brings everything.
    ///
    /// # Errors
    /// Objects that fail or change, names that collide, a full disk, or what `tell` returns.
    pub(crate) fn run(mut self) -> Result<Brought> {
        let mut left = items(&self.listing.path).map_err(self.io("reading"))?;
        let mut object = 0;
        loop {
            let more = self.fill(&mut left, &mut object)?;
            if self.out == 0 && (!more || self.failures.1 > 0) {
                break;
            }
            if let Some(moved) = self.mover.take(WAIT)? {
                self.moved(moved)?;
            }
            (self.tell)(self.done)?;
            self.settle()?;
        }
        if let Some(first) = self.failures.2 {
            let first = Box::new(first);
            return Err(StageError::Objects { some: self.failures.0, count: self.failures.1, first });
        }
        self.links()?;
        self.finish()?;
        Ok(self.brought)
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(io::Error) -> StageError + use<'a> {
        StageError::io(doing, self.tree)
    }

    /// Hands out pieces as far as the mover takes them; returns whether there may be more.
    fn fill(&mut self, left: &mut Items, object: &mut u64) -> Result<bool> {
        while self.out < self.mover.width() && self.failures.1 == 0 {
            if let Some(piece) = self.next_piece() {
                self.out += 1;
                self.mover.give(piece)?;
                continue;
            }
            let Some(item) = left.next() else { return Ok(!self.open.is_empty()) };
            let number = *object;
            *object += 1;
            self.begin(number, item.map_err(self.io("reading"))?)?;
            // Many empty or whole objects in a row are no reason to be silent.
            if number.is_multiple_of(256) {
                (self.tell)(self.done)?;
            }
        }
        Ok(true)
    }

    fn next_piece(&mut self) -> Option<Piece> {
        while let Some(number) = self.ready.front().copied() {
            // Its last piece may have come before this was asked again.
            let Some(open) = self.open.get_mut(&number) else {
                self.ready.pop_front();
                continue;
            };
            let count = pieces(open.item.size);
            while open.next < count && self.journal.written.has(number, open.next) {
                open.next += 1;
            }
            if open.next >= count || open.changed {
                self.ready.pop_front();
                continue;
            }
            let (index, offset) = (open.next, u64::from(open.next) * PIECE);
            open.next += 1;
            open.out += 1;
            let length = PIECE.min(open.item.size - offset);
            return Some(Piece {
                object: number,
                index,
                item: open.item.clone(),
                offset,
                length,
                path: open.path.clone(),
            });
        }
        None
    }

    fn begin(&mut self, number: u64, item: Item) -> Result<()> {
        let path = match path_of(&item.key) {
            Ok(KeyPath::Directory(path)) => return self.directory(&item, &path),
            Ok(KeyPath::File(path)) if item.kind == ItemKind::Directory => return self.directory(&item, &path),
            Ok(KeyPath::File(path)) => self.tree.join(path),
            Err(why) => return Err(StageError::Key { key: item.shown(), why }),
        };
        if item.kind == ItemKind::Link {
            return Ok(());
        }
        if self.journal.written.is_whole(number) {
            self.done += item.size;
            return Ok(());
        }
        self.parent(&item, &path)?;
        self.file(number, &item, &path)?;
        let count = pieces(item.size);
        let written = (0..count).filter(|index| self.journal.written.has(number, *index));
        let (there, bytes) = written.fold((0, 0), |(there, bytes), index| (there + 1, bytes + length_of(&item, index)));
        self.done += bytes;
        let left = count - there;
        let open = OpenObject { item, path, next: 0, out: 0, left, changes: 0, changed: false, sha256: None };
        self.open.insert(number, open);
        self.ready.push_back(number);
        if left == 0 { self.whole(number) } else { Ok(()) }
    }

    fn directory(&mut self, item: &Item, path: &Path) -> Result<()> {
        fs::create_dir_all(self.tree.join(path)).map_err(|error| collision(item, path, error))
    }

    /// Makes the directories above a file.
    fn parent(&mut self, item: &Item, path: &Path) -> Result<()> {
        let Some(parent) = path.parent().filter(|parent| **parent != self.last_parent) else { return Ok(()) };
        fs::create_dir_all(parent).map_err(|error| collision(item, parent, error))?;
        self.last_parent = parent.to_owned();
        Ok(())
    }

    /// Makes the file, or opens that of an earlier start with pieces in it.
    fn file(&mut self, number: u64, item: &Item, path: &Path) -> Result<()> {
        if self.journal.written.has_some(number) {
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == item.size) {
                return Ok(());
            }
            self.journal.forget(number).map_err(self.io("writing"))?;
        }
        let make = || File::options().write(true).create_new(true).open(path);
        let made = match make() {
            // An earlier start made it and wrote nothing that counts, or two objects have one path, which the number of files shows.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.is_left_over(path) => {
                fs::remove_file(path).map_err(StageError::io("removing", path))?;
                make()
            }
            made => made,
        };
        let file = made.map_err(|error| collision(item, path, error))?;
        file.set_len(item.size).map_err(StageError::io("making", path))
    }

    /// Returns whether a file is from an earlier start: no object of this one has it.
    fn is_left_over(&self, path: &Path) -> bool {
        let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        is_file && !self.open.values().any(|open| open.path == path)
    }

    fn moved(&mut self, moved: Moved) -> Result<()> {
        match moved {
            Moved::Some(bytes) => self.done += bytes,
            Moved::Done(number, index, bytes, sha256) => {
                self.out -= 1;
                self.done += bytes;
                self.journal.range(number, index).map_err(self.io("writing"))?;
                let Some(open) = self.open.get_mut(&number) else { return Ok(()) };
                (open.out, open.left) = (open.out - 1, open.left - 1);
                open.sha256 = sha256.filter(|_| pieces(open.item.size) == 1);
                match (open.changed, open.out, open.left) {
                    (true, 0, _) => self.anew(number)?,
                    (false, _, 0) => self.whole(number)?,
                    _ => {}
                }
            }
            Moved::Failed(number, failure) => {
                self.out -= 1;
                self.failed(number, failure)?;
            }
        }
        Ok(())
    }

    fn failed(&mut self, number: u64, failure: ObjectFailure) -> Result<()> {
        // Another start has moved the directory away: it took this one for dead.
        if !self.tree.is_dir() {
            return Err(StageError::TakenOver);
        }
        let Some(open) = self.open.get_mut(&number) else { return Ok(()) };
        open.out -= 1;
        if failure.kind == Failed::Changed {
            open.changed = true;
            return if open.out == 0 { self.anew(number) } else { Ok(()) };
        }
        let (some, count, first) = &mut self.failures;
        *count += 1;
        if some.len() < NAMED {
            some.push(open.item.shown());
        }
        first.get_or_insert(failure);
        Ok(())
    }

    /// Begins an object anew that has changed, in a new file: no file ever holds bytes of two versions.
    fn anew(&mut self, number: u64) -> Result<()> {
        let Some(mut open) = self.open.remove(&number) else { return Ok(()) };
        let written = (0..pieces(open.item.size)).filter(|index| self.journal.written.has(number, *index));
        self.done -= written.map(|index| length_of(&open.item, index)).sum::<u64>().min(self.done);
        self.journal.forget(number).map_err(self.io("writing"))?;
        let now = match self.mover.again(&open.item)? {
            Ok(now) => Item { key: open.item.key.clone(), ..now },
            Err(failure) => {
                self.open.insert(number, open);
                self.out += 1;
                return self.fail_anew(number, failure);
            }
        };
        open.changes += 1;
        if open.changes >= CHANGES {
            return Err(StageError::Changes { key: open.item.shown(), tags: [open.item.tag, now.tag] });
        }
        fs::remove_file(&open.path).map_err(StageError::io("removing", &open.path))?;
        self.file(number, &now, &open.path)?;
        self.brought.changed.insert(number, now.clone());
        self.journal.unlist(number);
        let left = pieces(now.size);
        self.open.insert(number, OpenObject { item: now, next: 0, out: 0, left, changed: false, sha256: None, ..open });
        self.ready.push_front(number);
        if left == 0 { self.whole(number) } else { Ok(()) }
    }

    fn fail_anew(&mut self, number: u64, failure: ObjectFailure) -> Result<()> {
        if let Some(open) = self.open.get_mut(&number) {
            open.out += 1;
        }
        self.out -= 1;
        // It was there a moment ago: it may be written just now.
        let kind = if failure.kind == Failed::Gone { Failed::Later } else { failure.kind };
        self.failed(
            number,
            ObjectFailure { kind: if kind == Failed::Changed { Failed::Later } else { kind }, ..failure },
        )
    }

    /// Ends an object: compares its sum, and takes the right to write it away.
    fn whole(&mut self, number: u64) -> Result<()> {
        let Some(open) = self.open.remove(&number) else { return Ok(()) };
        let (item, path) = (&open.item, &open.path);
        match sum::check(item, path, open.sha256.as_deref()).map_err(StageError::io("reading", path))? {
            Ok(compared) => self.brought.summed += u64::from(compared),
            Err(found) => return Err(StageError::Damaged { key: item.shown(), found }),
        }
        if let Some(date) = self.mover.date(item) {
            let dated = File::open(path).and_then(|file| file.set_modified(date));
            dated.map_err(StageError::io("making", path))?;
        }
        let mode = if item.kind == ItemKind::Program { 0o555 } else { 0o444 };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(StageError::io("making", path))?;
        self.journal.whole(number).map_err(self.io("writing"))
    }

    /// Makes the links, after all files: nothing is ever written through one.
    fn links(&mut self) -> Result<()> {
        for item in items(&self.listing.path).map_err(self.io("reading"))? {
            let item = item.map_err(self.io("reading"))?;
            if item.kind != ItemKind::Link {
                continue;
            }
            let Ok(KeyPath::File(path)) = path_of(&item.key) else { continue };
            let path = self.tree.join(path);
            self.parent(&item, &path)?;
            match symlink(OsStr::from_bytes(&item.sum), &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_symlink() => {}
                made => made.map_err(|error| collision(&item, &path, error))?,
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        if let Some(settling) = self.settling.take_if(|settling| settling.is_over()) {
            self.journal.settled(settling).map_err(self.io("writing"))?;
            self.settled = Instant::now();
        }
        if self.settling.is_none() && self.settled.elapsed() >= SETTLE {
            self.settling = Some(self.journal.settle().map_err(self.io("writing"))?);
        }
        Ok(())
    }

    /// Waits until everything is on the disk.
    fn finish(&mut self) -> Result<()> {
        let settling = match self.settling.take() {
            Some(settling) => vec![settling, self.journal.settle().map_err(self.io("writing"))?],
            None => vec![self.journal.settle().map_err(self.io("writing"))?],
        };
        for settling in settling {
            while !settling.is_over() {
                (self.tell)(self.done)?;
                std::thread::sleep(Duration::from_millis(5));
            }
            self.journal.settled(settling).map_err(self.io("writing"))?;
        }
        Ok(())
    }
}

fn length_of(item: &Item, index: u32) -> u64 {
    PIECE.min(item.size.saturating_sub(u64::from(index) * PIECE))
}

/// Makes the error of a path that another object has.
fn collision(item: &Item, path: &Path, error: io::Error) -> StageError {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            StageError::TwoForOne { key: item.shown(), path: path.file_name().map_or_else(String::new, text::os) }
        }
        _ => StageError::Io { doing: "making", path: path.to_owned(), error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::ListWriter;

    /// Brings every piece at once, the one that was given last in front.
    struct AtOnce(Vec<Piece>);

    impl Mover for AtOnce {
        fn width(&self) -> usize {
            4
        }

        fn give(&mut self, piece: Piece) -> Result<()> {
            self.0.push(piece);
            Ok(())
        }

        fn take(&mut self, _wait: Duration) -> Result<Option<Moved>> {
            Ok(self.0.pop().map(|piece| Moved::Done(piece.object, piece.index, piece.length, None)))
        }

        fn again(&mut self, item: &Item) -> Result<std::result::Result<Item, ObjectFailure>> {
            Ok(Ok(item.clone()))
        }
    }

    #[test]
    fn an_object_that_is_whole_before_more_is_asked_for_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, list) = (dir.path().join("tree"), dir.path().join("list"));
        fs::create_dir(&tree).unwrap();
        let mut writer = ListWriter::make(&list).unwrap();
        (0..100).for_each(|number| writer.push(&Item::file(format!("{number}"), 9, "t")).unwrap());
        let listing = writer.finish().unwrap();
        let mut journal = Journal::begin(&dir.path().join("journal"), &listing.digest, 100).unwrap();
        let (mut mover, mut told) = (AtOnce(Vec::new()), 0);
        let mut tell = |_| {
            told += 1;
            // The disk may take its time in the end; nothing else waits here.
            if told < 1_000_000 { Ok(()) } else { Err(StageError::Stopped) }
        };
        Fetch::new(&tree, &listing, &mut journal, &mut mover, &mut tell).run().unwrap();
        assert!((0..100).all(|number| journal.written.is_whole(number)));
    }
}
