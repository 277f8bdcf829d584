//! Which ranges of which objects are written: a file that grows by a record for each, so that a start after a kill goes on there.
//!
//! A process that is killed loses nothing that it wrote. A machine that fails does: after another boot only records before the last point
//! at which everything was on the disk are believed.

use super::mover::PIECE;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

/// The length of a record: the object's number, the range's, and a check against a torn end.
const RECORD: usize = 16;

/// The range that stands for the whole object.
const WHOLE: u32 = u32::MAX;

/// The range that says that nothing of the object counts that was noted before.
const FORGOTTEN: u32 = u32::MAX - 1;

/// The most ranges that an object can have: 256 TiB.
const RANGES_MAX: u32 = 1 << 24;

/// The object's number in a record that says how many records, from the first on, are about bytes on the disk.
const SAFE: u64 = u64::MAX;

/// The longest first line.
const HEAD_MAX: u64 = 1024;

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

    fn clear(&mut self, at: u64) {
        if let Some(word) = usize::try_from(at / 64).ok().and_then(|word| self.0.get_mut(word)) {
            *word &= !(1 << (at % 64));
        }
    }

    fn has(&self, at: u64) -> bool {
        usize::try_from(at / 64).ok().and_then(|word| self.0.get(word)).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

/// What is written already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    whole: Bits,
    parts: HashMap<u64, Bits>,
}

impl Written {
    /// Returns whether an object is whole.
    pub fn is_whole(&self, object: u64) -> bool {
        self.whole.has(object)
    }

    /// Returns whether a range of an object is written.
    pub fn has(&self, object: u64, range: u32) -> bool {
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
        } else if range < RANGES_MAX {
            self.parts.entry(object).or_default().set(range.into());
        }
    }

    fn remove(&mut self, object: u64) {
        self.whole.clear(object);
        self.parts.remove(&object);
    }

    /// Reads what a journal for this listing, which has so many objects, says; `boot` names this boot of the machine. A torn or foreign
    /// record ends it. It is read as a stream, because there are two records for each of perhaps millions of objects.
    ///
    /// # Errors
    /// The error of reading.
    pub fn read(file: impl Read + Seek, (listing, objects): (&str, u64), boot: &str) -> io::Result<Self> {
        let (mut file, mut head) = (BufReader::new(file), Vec::new());
        (&mut file).take(HEAD_MAX).read_until(b'\n', &mut head)?;
        let head = String::from_utf8_lossy(&head);
        let Some((_, at)) = head.trim().split_once(' ').filter(|(of, _)| *of == listing) else {
            return Ok(Written::default());
        };
        let believed = match at == boot && !boot.is_empty() {
            true => u32::MAX,
            false => {
                let begin = file.stream_position()?;
                let safe = Records(&mut file).filter(|(object, _)| *object == SAFE).last();
                file.seek(io::SeekFrom::Start(begin))?;
                safe.map_or(0, |(_, count)| count)
            }
        };
        let mut written = Written::default();
        for (number, (object, range)) in (0..u32::MAX).zip(Records(&mut file)) {
            match range {
                _ if object >= objects => {}
                // Wherever it stands: the file was removed after it was on the disk.
                FORGOTTEN => written.remove(object),
                range if number < believed => written.add(object, range),
                _ => {}
            }
        }
        Ok(written)
    }
}

/// The records of a journal up to the first that is none.
struct Records<'a, R>(&'a mut R);

impl<R: Read> Iterator for Records<'_, R> {
    type Item = (u64, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = [0; RECORD];
        self.0.read_exact(&mut record).ok()?;
        parse(&record)
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
    /// Objects that are not what was listed: what is written of them is of no use to a start that finds the same listing.
    unlisted: HashSet<u64>,
    /// What is written.
    pub written: Written,
}

/// Returns the text that names this boot of the machine.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl Journal {
    /// Begins a journal for a listing with so many objects, and takes over what an earlier one with the same listing says. It is written
    /// anew under its own name, so that the dead owner's, should it live, writes to another file.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn begin(path: &Path, listing: &str, objects: u64) -> io::Result<Self> {
        let boot = boot();
        let written = File::open(path).and_then(|file| Written::read(file, (listing, objects), &boot));
        let (written, new) = (written.unwrap_or_default(), path.with_extension("new"));
        let mut file = BufWriter::new(File::create(&new)?);
        file.write_all(format!("{listing} {boot}\n").as_bytes())?;
        let mut records = 0_u32;
        let mut put = |object, range| {
            records = records.saturating_add(1);
            file.write_all(&record(object, range))
        };
        let wholes = (0..written.whole.0.len() as u64 * 64).filter(|at| written.is_whole(*at));
        wholes.into_iter().try_for_each(|object| put(object, WHOLE))?;
        for (object, parts) in &written.parts {
            let mut ranges = (0..parts.0.len() as u32 * 64).filter(|at| parts.has((*at).into()));
            ranges.try_for_each(|range| put(*object, range))?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&new, path)?;
        Ok(Journal { file, records, unlisted: HashSet::new(), written })
    }

    /// Notes that a range is written.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn range(&mut self, object: u64, range: u32) -> io::Result<()> {
        self.written.add(object, range);
        if self.unlisted.contains(&object) { Ok(()) } else { self.put(object, range) }
    }

    /// Notes that an object is whole.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn whole(&mut self, object: u64) -> io::Result<()> {
        self.range(object, WHOLE)
    }

    /// Forgets an object, before its file is removed. A record says so and is on the disk when this returns: a later start must not take
    /// ranges of the file that went for ranges of the one that comes.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn forget(&mut self, object: u64) -> io::Result<()> {
        self.written.remove(object);
        self.put(object, FORGOTTEN)?;
        self.file.sync_data()
    }

    /// Notes nothing more of an object, because it is not what was listed.
    pub(crate) fn unlist(&mut self, object: u64) {
        self.unlisted.insert(object);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(records: &[u8], is_same_boot: bool) -> Written {
        let bytes = [b"L boot\n", records].concat();
        let boot = if is_same_boot { "boot" } else { "another" };
        Written::read(io::Cursor::new(bytes), ("L", 1000), boot).unwrap()
    }

    #[test]
    fn a_start_after_a_kill_knows_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::begin(&path, "L", 1000).unwrap();
        journal.range(3, 7).unwrap();
        journal.range(900, 2).unwrap();
        journal.whole(3).unwrap();
        let again = Journal::begin(&path, "L", 1000).unwrap();
        assert!(again.written.is_whole(3) && again.written.has(3, 99) && again.written.has(900, 2));
        assert!(!again.written.has(900, 1) && !again.written.is_whole(900) && again.written.has_some(900));
        assert_eq!(Journal::begin(&path, "L", 1000).unwrap().written, again.written);
        assert_eq!(Journal::begin(&path, "another listing", 1000).unwrap().written, Written::default());
    }

    #[test]
    fn after_another_boot_only_what_was_on_the_disk_is_believed() {
        let records = [record(1, WHOLE), record(2, 0), record(2, 1), record(SAFE, 2), record(3, WHOLE)].concat();
        let (same, other) = (read(&records, true), read(&records, false));
        assert!(same.is_whole(3) && same.has(2, 1));
        assert!(other.is_whole(1) && other.has(2, 0) && !other.has(2, 1) && !other.is_whole(3));
    }

    #[test]
    fn what_a_thread_brings_to_the_disk_is_believed_after_another_boot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::begin(&path, "L", 1000).unwrap();
        journal.whole(1).unwrap();
        let settling = journal.settle().unwrap();
        journal.whole(2).unwrap();
        journal.settled(settling).unwrap();
        let bytes = fs::read(&path).unwrap();
        let records = &bytes[bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1..];
        let found = read(records, false);
        assert!(found.is_whole(1) && !found.is_whole(2));
    }

    #[test]
    fn a_range_of_a_file_that_went_is_not_taken_for_one_of_the_file_that_came() {
        let records =
            [record(1, 0), record(1, 1), record(2, WHOLE), record(SAFE, 3), record(1, FORGOTTEN), record(1, 2)];
        for is_same_boot in [true, false] {
            let found = read(&records.concat(), is_same_boot);
            assert!(!found.has(1, 0) && !found.has(1, 1) && found.is_whole(2), "{is_same_boot}");
            assert_eq!(found.has(1, 2), is_same_boot);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::begin(&path, "L", 2).unwrap();
        journal.range(1, 0).unwrap();
        journal.forget(1).unwrap();
        journal.unlist(1);
        journal.whole(1).unwrap();
        assert!(journal.written.is_whole(1), "this start knows it");
        assert!(
            !Journal::begin(&path, "L", 2).unwrap().written.has(1, 0),
            "the next one has another object in its listing"
        );
    }

    #[test]
    fn records_about_what_is_not_listed_cost_no_memory() {
        let found = read(&[record(u64::MAX - 1, WHOLE), record(1 << 50, 1), record(3, RANGES_MAX)].concat(), true);
        assert!(found.is_empty() || found.whole.0.len() + found.parts.len() < 3, "{found:?}");
    }

    #[test]
    fn a_torn_end_is_no_record() {
        let mut records = [record(1, WHOLE), record(2, WHOLE)].concat();
        records.truncate(RECORD + 9);
        assert!(!read(&records, true).is_whole(2));
        records.resize(10 * RECORD, 0);
        assert!(read(&records, true).is_whole(1) && !read(&records, true).is_whole(0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (read(&bytes, true), Written::read(io::Cursor::new(bytes), ("L", 9), ""));
        }

        #[test]
        fn what_was_noted_is_known_and_what_was_forgotten_is_not(steps in proptest::collection::vec((0..4_u64, 0..6_u32), 0..40)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal");
            let mut journal = Journal::begin(&path, "L", 4).unwrap();
            for (object, range) in steps {
                match range {
                    0 => journal.whole(object).unwrap(),
                    1 => journal.forget(object).unwrap(),
                    range => journal.range(object, range).unwrap(),
                }
            }
            let again = Journal::begin(&path, "L", 4).unwrap();
            for (object, range) in (0..4).flat_map(|object| (0..6).map(move |range| (object, range))) {
                prop_assert_eq!(again.written.has(object, range), journal.written.has(object, range));
            }
        }
    }
}
