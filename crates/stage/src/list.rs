//! The listing of a source, in a file: written and read as a stream, so that the number of objects costs no memory.

use super::item::{Item, ItemKind};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a listing holds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Directories that are listed, and links.
    pub others: u64,
    /// The bytes of all files.
    pub bytes: u64,
}

/// A whole listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub totals: Totals,
    /// A text that is the same for the same objects, in whatever order they are listed.
    pub digest: String,
}

/// The sum of the digests of all lines, which does not depend on their order.
#[derive(Clone, Copy, Debug, Default)]
struct Fingerprint([u64; 4]);

impl Fingerprint {
    fn add(&mut self, line: &[u8]) {
        let digest: [u8; 32] = Sha256::digest(line).into();
        for (sum, part) in self.0.iter_mut().zip(digest.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
    }

    fn text(self) -> String {
        self.0.iter().map(|part| format!("{part:016x}")).collect()
    }
}

/// One of the equal parts of a source: every `of`th file, from the file `index` on. All who list the same source in its order get each file
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which part, from 0.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Part {
    fn has(self, file: u64) -> bool {
        file % u64::from(self.of.max(1)) == u64::from(self.index)
    }
}

/// A listing that is being written.
#[derive(Debug)]
pub(crate) struct ListWriter {
    path: PathBuf,
    part: Option<Part>,
    /// Files that were listed, also those of other parts.
    listed: u64,
    to: BufWriter<File>,
    totals: Totals,
    fingerprint: Fingerprint,
}

impl ListWriter {
    /// Begins a listing.
    ///
    /// # Errors
    /// The error of making the file.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let to = BufWriter::new(File::create(path)?);
        let (path, totals, fingerprint) = (path.to_owned(), Totals::default(), Fingerprint::default());
        Ok(ListWriter { path, part: None, listed: 0, to, totals, fingerprint })
    }

    /// Takes only the files of a part.
    pub(crate) fn of_part(self, part: Option<Part>) -> Self {
        ListWriter { part, ..self }
    }

    /// Adds an object.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn push(&mut self, item: &Item) -> io::Result<()> {
        if item.is_file() {
            self.listed += 1;
            if self.part.is_some_and(|part| !part.has(self.listed - 1)) {
                return Ok(());
            }
        }
        let line = item.line();
        self.fingerprint.add(&line);
        match item.kind {
            ItemKind::File | ItemKind::Program => {
                self.totals.files += 1;
                self.totals.bytes = self.totals.bytes.saturating_add(item.size);
            }
            ItemKind::Directory | ItemKind::Link => self.totals.others += 1,
        }
        self.to.write_all(&line)
    }

    /// Returns the number of files that were listed, also those of other parts.
    pub(crate) fn listed(&self) -> u64 {
        self.listed
    }

    /// Returns what it holds so far.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Ends the listing.
    ///
    /// # Errors
    /// The error of writing.
    pub(crate) fn finish(mut self) -> io::Result<Listing> {
        self.to.flush()?;
        Ok(Listing { path: self.path, totals: self.totals, digest: self.fingerprint.text() })
    }
}

/// The objects of a listing, in its order.
pub(crate) struct Items(BufReader<File>);

/// Opens a listing.
///
/// # Errors
/// The error of opening the file.
pub(crate) fn items(path: &Path) -> io::Result<Items> {
    Ok(Items(BufReader::new(File::open(path)?)))
}

impl Iterator for Items {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let item = line.strip_suffix(b"\n").and_then(Item::parse);
                Some(item.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the listing is damaged")))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads a whole listing once more: what it holds, and its digest.
///
/// # Errors
/// The error of reading, or of a damaged line.
pub(crate) fn again(path: &Path) -> io::Result<Listing> {
    let (mut totals, mut fingerprint) = (Totals::default(), Fingerprint::default());
    for item in items(path)? {
        let item = item?;
        fingerprint.add(&item.line());
        if item.is_file() {
            totals.files += 1;
            totals.bytes = totals.bytes.saturating_add(item.size);
        } else {
            totals.others += 1;
        }
    }
    Ok(Listing { path: path.to_owned(), totals, digest: fingerprint.text() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_listing_does_not_count_and_each_change_does() {
        let dir = tempfile::tempdir().unwrap();
        let listing = |items: &[Item]| {
            let mut writer = ListWriter::make(&dir.path().join("list")).unwrap();
            items.iter().for_each(|item| writer.push(item).unwrap());
            writer.finish().unwrap()
        };
        let (a, b) = (Item::file("a", 3, "1"), Item::file("b\n", 4, "1"));
        let both = listing(&[a.clone(), b.clone()]);
        assert_eq!(both.totals, Totals { files: 2, others: 0, bytes: 7 });
        assert_eq!(items(&both.path).unwrap().map(Result::unwrap).collect::<Vec<_>>(), [a.clone(), b.clone()]);
        assert_eq!(again(&both.path).unwrap(), both);
        assert_eq!(listing(&[b.clone(), a.clone()]).digest, both.digest);
        assert_ne!(listing(&[b.clone(), Item::file("a", 3, "2")]).digest, both.digest);
        assert_ne!(listing(&[a.clone(), a, b.clone(), b]).digest, both.digest);
    }
}
