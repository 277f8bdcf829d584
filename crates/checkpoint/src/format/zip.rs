//! Zip archives: the format of torch.save since 1.6, of numpy's .npz and of Keras' .keras. The central directory comes last and
//! tells where it begins and how long it is, so the numbers of a file that was cut do not add up.

use super::{u16_at, u32_at, u64_at};

/// Most bytes from a file's end that `is_whole` needs: the longest comment (64 KiB), the end of the central directory, and torch's
/// 64-bit records before it.
pub const TAIL: usize = 0xffff + END + LOCATOR + END64;

/// Bytes of the end record of the central directory.
const END: usize = 22;
/// Bytes of the 64-bit locator.
const LOCATOR: usize = 20;
/// Bytes of the 64-bit end record.
const END64: usize = 56;

/// Tells whether these are the first bytes of an archive with at least one entry.
pub fn begins(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Tells whether an archive of `size` bytes is complete. `tail` is the last `TAIL` bytes of the archive, or all of it if it is
/// shorter.
pub fn is_whole(tail: &[u8], size: u64) -> bool {
    let Some(start) = size.checked_sub(tail.len() as u64) else { return false };
    let places = (0..tail.len().saturating_sub(END - 1)).rev();
    places.into_iter().any(|at| adds_up(tail, at, start).unwrap_or(false))
}

/// Tells whether the end of the central directory is at `at`, the file ends after its comment, and the directory ends where the
/// record begins. `start` is the position in the file of the tail's first byte.
fn adds_up(tail: &[u8], at: usize, start: u64) -> Option<bool> {
    if !tail.get(at..)?.starts_with(b"PK\x05\x06") {
        return None;
    }
    let comment = usize::from(u16_at(tail, at + 20)?);
    let (directory, records_at) = match directory_64(tail, at, start) {
        Some(found) => found,
        None => (CentralDirectory::at(tail, at)?, start + at as u64),
    };
    let ends = directory.offset.checked_add(directory.size)?;
    Some(at + END + comment == tail.len() && ends == records_at && directory.entries > 0)
}

/// The central directory, as its end record describes it.
struct CentralDirectory {
    entries: u64,
    size: u64,
    offset: u64,
}

impl CentralDirectory {
    fn at(tail: &[u8], at: usize) -> Option<Self> {
        let entries = u16_at(tail, at + 10)?.into();
        Some(CentralDirectory { entries, size: u32_at(tail, at + 12)?.into(), offset: u32_at(tail, at + 16)?.into() })
    }
}

/// Reads the 64-bit form, which torch always writes: a locator right before the end record, and the record that the locator points
/// to right before that. Also returns the position of the record in the file.
fn directory_64(tail: &[u8], at: usize, start: u64) -> Option<(CentralDirectory, u64)> {
    let locator = at.checked_sub(LOCATOR)?;
    if !tail.get(locator..)?.starts_with(b"PK\x06\x07") {
        return None;
    }
    let records_at = u64_at(tail, locator + 8)?;
    let record = usize::try_from(records_at.checked_sub(start)?).ok()?;
    let length = usize::try_from(u64_at(tail, record.checked_add(4)?)?).ok()?;
    let right =
        tail.get(record..)?.starts_with(b"PK\x06\x06") && record.checked_add(12)?.checked_add(length)? == locator;
    let directory = CentralDirectory {
        entries: u64_at(tail, record + 32)?,
        size: u64_at(tail, record + 40)?,
        offset: u64_at(tail, record + 48)?,
    };
    right.then_some((directory, records_at))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Makes an archive with one stored entry, as torch writes it (`wide`: with 64-bit records) or as Python's zipfile does.
    pub(crate) fn archive(content: &[u8], wide: bool, comment: &[u8]) -> Vec<u8> {
        let name = b"archive/data.pkl";
        let mut header = vec![0; 26];
        header[14..18].copy_from_slice(&(content.len() as u32).to_le_bytes());
        header[18..22].copy_from_slice(&(content.len() as u32).to_le_bytes());
        header[22..24].copy_from_slice(&(name.len() as u16).to_le_bytes());
        let mut file = [b"PK\x03\x04".as_slice(), &header, name, content].concat();
        let offset = file.len() as u64;
        let mut central = vec![0; 42];
        central[24..26].copy_from_slice(&(name.len() as u16).to_le_bytes());
        file.extend([b"PK\x01\x02".as_slice(), &central, name].concat());
        let size = file.len() as u64 - offset;
        if wide {
            let at = file.len() as u64;
            let counts = [1_u64, 1, size, offset].map(u64::to_le_bytes).concat();
            file.extend([b"PK\x06\x06".as_slice(), &44_u64.to_le_bytes(), &[0; 12], &counts].concat());
            file.extend([b"PK\x06\x07".as_slice(), &[0; 4], &at.to_le_bytes(), &1_u32.to_le_bytes()].concat());
        }
        let numbers = [(size as u32).to_le_bytes(), (offset as u32).to_le_bytes()].concat();
        let length = (comment.len() as u16).to_le_bytes();
        file.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0".as_slice(), &numbers, &length, comment].concat());
        file
    }

    fn whole(file: &[u8]) -> bool {
        is_whole(&file[file.len().saturating_sub(TAIL)..], file.len() as u64)
    }

    #[test]
    fn an_archive_is_whole_with_its_last_byte() {
        for wide in [true, false] {
            assert!(whole(&archive(b"weights", wide, b"")));
            assert!(whole(&archive(&vec![7; 300_000], wide, &[b'c'; 0xffff])));
            assert!(!whole(&[archive(b"weights", wide, b""), vec![0]].concat()));
        }
        assert!(!whole(b""));
        assert!(!whole(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    }

    #[test]
    fn an_archive_in_an_archive_is_not_taken_for_its_end() {
        for wide in [true, false] {
            let outer = archive(&archive(b"weights", wide, b""), wide, b"");
            assert!(whole(&outer));
            assert_eq!((0..outer.len()).find(|&end| whole(&outer[..end])), None);
        }
    }

    proptest! {
        #[test]
        fn a_beginning_of_an_archive_is_never_whole(
            content in prop::collection::vec(any::<u8>(), 0..3000), wide: bool, comment in "[a-z]{0,30}", cut in 1..1000_usize,
        ) {
            let file = archive(&content, wide, comment.as_bytes());
            prop_assert!(whole(&file));
            prop_assert!(!whole(&file[..file.len() - cut.min(file.len())]));
        }

        #[test]
        fn any_bytes_end_in_an_answer(tail: Vec<u8>, size: u64) {
            let _ = is_whole(&tail, size);
        }
    }
}
