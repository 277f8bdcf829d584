//! Which ranges of which objects are written: a file that grows by a record for each, so that a start after a kill goes on there.
//!
//! A process that is killed loses nothing that it wrote. A machine that fails does: after another boot only records before the last point
//! at which everything was on the disk are believed.

use super::mover::PIECE;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The length of a record: the object's number, the range's, and a check against a torn end.
const RECORD: usize = 16;

/// The range that stands for the whole object.
const WHOLE: u32 = u32::MAX;

/// The object's number in a record that says how many records, from the first on, are about bytes on the disk.
const SAFE: u64 = u64::MAX;

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: u64) {
        let Ok(word) = usize::try_from(at / 64) else { return };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (at % 64);
        }
    }

    fn has(&self, at: u64) -> bool {
        usize::try_from(at / 64).ok().and_then(|word| self.0.get(word)).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

/// What is written already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    whole: Bits,
    parts: HashMap<u64, Bits>,
}

impl Written {
    /// Returns whether an object is whole.
    pub(crate) fn is_whole(&self, object: u64) -> bool {
        self.whole.has(object)
    }

    /// Returns whether a range of an object is written.
    pub(crate) fn has(&self, object: u64, range: u32) -> bool {
        self.is_whole(object) || self.parts.get(&object).is_some_and(|parts| parts.has(range.into()))
    }

    /// Returns whether something of an object that is not whole is written.
    pub(crate) fn has_some(&self, object: u64) -> bool {
        self.parts.contains_key(&object)
    }

    /// Returns whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.0.is_empty() && self.parts.is_empty()
    }

    /// Returns how many bytes of an object of this size are written.
    pub(crate) fn bytes_of(&self, object: u64, size: u64) -> u64 {
        if self.is_whole(object) {
            return size;
        }
        let Some(parts) = self.parts.get(&object) else { return 0 };
        let length = |index: u64| PIECE.min(size.saturating_sub(index.saturating_mul(PIECE)));
        (0..size.div_ceil(PIECE)).filter(|index| parts.has(*index)).map(length).sum()
    }

    fn add(&mut self, object: u64, range: u32) {
        if range == WHOLE {
            self.whole.set(object);
            self.parts.remove(&object);
        } else {
            self.parts.entry(object).or_default().set(range.into());
        }
    }

    /// Parses records; a torn or foreign one ends them.
    fn parse(records: &[u8], is_same_boot: bool) -> Self {
        let all: Vec<_> = records.as_chunks::<RECORD>().0.iter().map_while(parse).collect();
        let safe = all.iter().rev().find(|(object, _)| *object == SAFE).map_or(0, |(_, count)| *count as usize);
        let believed = if is_same_boot { all.len() } else { safe };
        let mut written = Written::default();
        all.iter()
            .take(believed)
            .filter(|(object, _)| *object != SAFE)
            .for_each(|(object, range)| written.add(*object, *range));
        written
    }
}

fn record(object: u64, range: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let (number, rest) = record.split_at_mut(8);
    let (part, check) = rest.split_at_mut(4);
    number.copy_from_slice(&object.to_le_bytes());
    part.copy_from_slice(&range.to_le_bytes());
    check.copy_from_slice(&check_of(object, range).to_le_bytes());
    record
}

fn parse(record: &[u8; RECORD]) -> Option<(u64, u32)> {
    let (number, rest) = record.split_first_chunk::<8>()?;
    let (part, check) = rest.split_first_chunk::<4>()?;
    let (object, range) = (u64::from_le_bytes(*number), u32::from_le_bytes(*part));
    (check == check_of(object, range).to_le_bytes()).then_some((object, range))
}

/// A sum over a record: zeros, which a lost block reads as, are no record.
fn check_of(object: u64, range: u32) -> u32 {
    let mixed = (object ^ u64::from(range).rotate_left(32) ^ 0x5851_F42D_4C95_7F2D).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

/// The journal of this start.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    records: u32,
    /// What is written.
    pub written: Written,
}

/// Returns the text that names this boot of the machine.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl Journal {
    /// Begins a journal for a listing, and takes over what an earlier one with the same listing says. It is written anew under its own
    /// name, so that the dead owner's, should it live, writes to another file.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn begin(path: &Path, listing: &str) -> io::Result<Self> {
        let written = fs::read(path).map(|bytes| take_over(&bytes, listing)).unwrap_or_default();
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(format!("{listing} {}\n", boot()).as_bytes())?;
        let mut records = Vec::new();
        (0..written.whole.0.len() as u64 * 64)
            .filter(|at| written.is_whole(*at))
            .for_each(|at| records.extend(record(at, WHOLE)));
        for (object, parts) in &written.parts {
            let ranges = (0..parts.0.len() as u32 * 64).filter(|at| parts.has((*at).into()));
            ranges.for_each(|range| records.extend(record(*object, range)));
        }
        file.write_all(&records)?;
        fs::rename(&new, path)?;
        let records = u32::try_from(records.len() / RECORD).unwrap_or(u32::MAX);
        Ok(Journal { file, records, written })
    }

    /// Notes that a range is written.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn range(&mut self, object: u64, range: u32) -> io::Result<()> {
        self.written.add(object, range);
        self.put(object, range)
    }

    /// Notes that an object is whole.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn whole(&mut self, object: u64) -> io::Result<()> {
        self.range(object, WHOLE)
    }

    /// Forgets the ranges of an object, which begins anew; a later start finds its file gone.
    pub(crate) fn forget(&mut self, object: u64) {
        self.written.parts.remove(&object);
    }

    fn put(&mut self, object: u64, range: u32) -> io::Result<()> {
        self.records = self.records.saturating_add(1);
        self.file.write_all(&record(object, range))
    }

    /// Begins to bring everything to the disk, in a thread: that may take minutes.
    ///
    /// # Errors
    /// A descriptor that cannot be copied.
    pub(crate) fn settle(&self) -> io::Result<Settling> {
        let (file, records) = (self.file.try_clone()?, self.records);
        Ok(Settling { records, thread: std::thread::spawn(move || nix::unistd::syncfs(&file).map_err(Into::into)) })
    }

    /// Notes that what a thread brought to the disk is there.
    ///
    /// # Errors
    /// The error of the thread, or of writing.
    pub(crate) fn settled(&mut self, settling: Settling) -> io::Result<()> {
        settling.thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread died")))?;
        self.put(SAFE, settling.records)
    }
}

/// A thread that brings bytes to the disk.
#[derive(Debug)]
pub(crate) struct Settling {
    records: u32,
    thread: std::thread::JoinHandle<io::Result<()>>,
}

impl Settling {
    /// Returns whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

fn take_over(bytes: &[u8], listing: &str) -> Written {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Written::default() };
    let (head, records) = bytes.split_at(end + 1);
    let head = String::from_utf8_lossy(head);
    match head.trim().split_once(' ') {
        Some((of, at)) if of == listing => Written::parse(records, at == boot()),
        _ => Written::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_start_after_a_kill_knows_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::begin(&path, "L").unwrap();
        journal.range(3, 7).unwrap();
        journal.range(900, 2).unwrap();
        journal.whole(3).unwrap();
        let again = Journal::begin(&path, "L").unwrap();
        assert!(again.written.is_whole(3) && again.written.has(3, 99) && again.written.has(900, 2));
        assert!(!again.written.has(900, 1) && !again.written.is_whole(900) && again.written.has_some(900));
        assert_eq!(Journal::begin(&path, "L").unwrap().written, again.written);
        assert_eq!(Journal::begin(&path, "another listing").unwrap().written, Written::default());
    }

    #[test]
    fn after_another_boot_only_what_was_on_the_disk_is_believed() {
        let records = [record(1, WHOLE), record(2, 0), record(2, 1), record(SAFE, 2), record(3, WHOLE)].concat();
        let (same, other) = (Written::parse(&records, true), Written::parse(&records, false));
        assert!(same.is_whole(3) && same.has(2, 1));
        assert!(other.is_whole(1) && other.has(2, 0) && !other.has(2, 1) && !other.is_whole(3));
    }

    #[test]
    fn what_a_thread_brings_to_the_disk_is_believed_after_another_boot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::begin(&path, "L").unwrap();
        journal.whole(1).unwrap();
        let settling = journal.settle().unwrap();
        journal.whole(2).unwrap();
        journal.settled(settling).unwrap();
        let bytes = fs::read(&path).unwrap();
        let records = &bytes[bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1..];
        let found = Written::parse(records, false);
        assert!(found.is_whole(1) && !found.is_whole(2));
    }

    #[test]
    fn a_torn_end_is_no_record() {
        let mut records = [record(1, WHOLE), record(2, WHOLE)].concat();
        records.truncate(RECORD + 9);
        assert!(!Written::parse(&records, true).is_whole(2));
        records.resize(10 * RECORD, 0);
        assert!(Written::parse(&records, true).is_whole(1) && !Written::parse(&records, true).is_whole(0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = take_over(&bytes, "L");
        }
    }
}
