//! One object of a source, and its line in the file of the listing. Pure.

use std::io::Write;

/// The kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A file.
    File,
    /// A file that may be executed.
    Program,
    /// A directory that holds nothing.
    Directory,
    /// A symbolic link; its target is in `sum`.
    Link,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its bytes.
    pub size: u64,
    /// The text that changes with its contents: an ETag, a generation, a time.
    pub tag: String,
    /// What its bytes have to be (`sha256:HEX`), or empty; of a link its target.
    pub sum: Vec<u8>,
    /// Its name below the source.
    pub key: Vec<u8>,
}

/// The letters of the kinds.
const LETTERS: [(u8, ItemKind); 4] =
    [(b'F', ItemKind::File), (b'X', ItemKind::Program), (b'D', ItemKind::Directory), (b'L', ItemKind::Link)];

impl Item {
    /// Makes a plain file.
    pub fn file(key: impl Into<Vec<u8>>, size: u64, tag: impl Into<String>) -> Self {
        Item { kind: ItemKind::File, size, tag: tag.into(), sum: Vec::new(), key: key.into() }
    }

    /// Returns whether it is a file with bytes of its own.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, ItemKind::File | ItemKind::Program)
    }

    /// Returns the key for people.
    pub fn shown(&self) -> String {
        text::bytes(&self.key)
    }

    /// Writes the line: kind, size, tag, sum and key with tabs between them.
    pub fn line(&self) -> Vec<u8> {
        let letter = LETTERS.iter().find(|(_, kind)| *kind == self.kind).map_or(b'F', |(letter, _)| *letter);
        let mut line = vec![letter, b'\t'];
        let _ = write!(line, "{}", self.size); // a vector takes every byte
        for part in [self.tag.as_bytes(), &self.sum, &self.key] {
            line.push(b'\t');
            escape(part, &mut line);
        }
        line.push(b'\n');
        line
    }

    /// Parses a line without its end; `None` for any other text.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.split(|byte| *byte == b'\t');
        let kind = match parts.next()? {
            [letter] => LETTERS.iter().find(|(known, _)| known == letter)?.1,
            _ => return None,
        };
        let size = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let tag = String::from_utf8(unescape(parts.next()?)?).ok()?;
        let (sum, key) = (unescape(parts.next()?)?, unescape(parts.next()?)?);
        parts.next().is_none().then_some(Item { kind, size, tag, sum, key })
    }
}

fn escape(part: &[u8], line: &mut Vec<u8>) {
    for byte in part {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b'\n' => line.extend(b"\\n"),
            b'\t' => line.extend(b"\\t"),
            byte => line.push(*byte),
        }
    }
}

fn unescape(part: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut rest) = (Vec::with_capacity(part.len()), part.iter());
    while let Some(byte) = rest.next() {
        plain.push(match (byte, byte == &b'\\') {
            (byte, false) => *byte,
            _ => match rest.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b't' => b'\t',
                _ => return None,
            },
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was_written(
            kind in prop_oneof![Just(ItemKind::File), Just(ItemKind::Program), Just(ItemKind::Directory), Just(ItemKind::Link)],
            size: u64, tag in "\\PC{0,20}[\t\n\\\\]?", sum in proptest::collection::vec(any::<u8>(), 0..20),
            key in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let item = Item { kind, size, tag, sum, key };
            let line = item.line();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(Item::parse(line.strip_suffix(b"\n").unwrap()), Some(item));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Item::parse(&bytes);
        }
    }
}
