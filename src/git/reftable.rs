//! Reads references in git's tables (`git init --ref-format=reftable`; format: git's Documentation/technical/reftable).
//!
//! Only the blocks that lead from a name to its commit are read: blocks of references, which are not compressed. Bytes in, no side
//! effects. Unknown content counts as missing.

/// The value of a reference in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceValue {
    /// The reference was deleted.
    Deleted,
    /// A commit, as hexadecimal digits.
    Commit(String),
    /// Another reference.
    Reference(Vec<u8>),
}

/// Bytes of the header in front of the first block: `REFT`, version, block size, two update indices; version 2 adds the name of its hash.
const HEADER: usize = 24;
/// Bytes of a block's type and length.
const BLOCK: usize = 4;

/// Returns the value of this name; `None` if the table lacks it.
pub fn find(table: &[u8], name: &[u8]) -> Option<ReferenceValue> {
    let header = table.strip_prefix(b"REFT")?;
    let (version, block_size) = (*header.first()?, number(header.get(1..4)?));
    let (mut at, hash) = match (version, table.get(HEADER..HEADER + 4)) {
        (1, _) => (HEADER, 20),
        (2, Some(b"sha1")) => (HEADER + 4, 20),
        (2, Some(b"s256")) => (HEADER + 4, 32),
        _ => return None,
    };
    let mut begin = 0;
    loop {
        let length = number(table.get(at + 1..at + BLOCK)?);
        let end = begin + length;
        if *table.get(at)? != b'r' || end <= at + BLOCK {
            return None;
        }
        if let Some(value) = (Block { rest: table.get(at + BLOCK..end)?, hash }).find(name) {
            return Some(value);
        }
        // Blocks are padded, unless the table says otherwise.
        begin = if block_size == 0 { end } else { begin + block_size.max(length) };
        at = begin;
    }
}

/// A block's records, followed by its restart points.
struct Block<'a> {
    rest: &'a [u8],
    hash: usize,
}

impl Block<'_> {
    fn find(mut self, name: &[u8]) -> Option<ReferenceValue> {
        let (front, count) = self.rest.split_last_chunk::<2>()?;
        let restarts = usize::from(u16::from_be_bytes(*count)) * 3;
        self.rest = front.get(..front.len().checked_sub(restarts)?)?;
        let mut known = Vec::new();
        while !self.rest.is_empty() {
            let value = self.record(&mut known)?;
            if known == name {
                return Some(value);
            }
        }
        None
    }

    /// Reads one record, whose name shares a prefix with the one before it.
    fn record(&mut self, known: &mut Vec<u8>) -> Option<ReferenceValue> {
        let shared = self.varint()?;
        let suffix = self.varint()?;
        known.truncate(shared);
        known.extend_from_slice(self.take(suffix >> 3)?);
        let _update = self.varint()?;
        match suffix & 7 {
            0 => Some(ReferenceValue::Deleted),
            1 => self.commit(),
            2 => {
                let value = self.commit();
                self.commit()?;
                value
            }
            3 => {
                let length = self.varint()?;
                Some(ReferenceValue::Reference(self.take(length)?.to_vec()))
            }
            _ => None,
        }
    }

    fn commit(&mut self) -> Option<ReferenceValue> {
        let hash = self.hash;
        Some(ReferenceValue::Commit(self.take(hash)?.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads a number of seven bits per byte, the highest first; each further byte adds one to the value before it.
    fn varint(&mut self) -> Option<usize> {
        let mut value = 0usize;
        for _ in 0..5 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(value);
            }
            value = (value + 1) << 7;
        }
        None
    }
}

/// Returns bytes as a number, the highest first.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint(mut value: usize) -> Vec<u8> {
        let mut bytes = vec![(value & 0x7f) as u8];
        while value > 0x7f {
            value = (value >> 7) - 1;
            bytes.insert(0, 0x80 | (value & 0x7f) as u8);
        }
        bytes
    }

    /// Builds a table with one block for each list of names; each name has its number as its commit.
    fn table(blocks: &[Vec<String>], block_size: usize) -> Vec<u8> {
        let mut table = [&b"REFT\x01"[..], &(block_size as u32).to_be_bytes()[1..], &[0; 16]].concat();
        let mut number = 0u8;
        for (at, names) in blocks.iter().enumerate() {
            let (begin, header) = if at == 0 { (0, HEADER) } else { (table.len(), 0) };
            let mut records = Vec::new();
            let mut last = String::new();
            for name in names {
                let shared = name.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
                records.extend(
                    [varint(shared), varint((name.len() - shared) << 3 | 1), name[shared..].into(), vec![0]].concat(),
                );
                records.extend([number; 20]);
                (last, number) = (name.clone(), number + 1);
            }
            let length = header + BLOCK + records.len() + 5;
            table.extend([&b"r"[..], &(length as u32).to_be_bytes()[1..], &records, &[0, 0, 28, 0, 1]].concat());
            let padded = begin + block_size.max(length);
            table.resize(if block_size == 0 { begin + length } else { padded }, 0);
        }
        table
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, version in 0u8..4) {
            let _ = find(&[&b"REFT"[..], &[version], &bytes].concat(), b"HEAD");
        }

        #[test]
        fn each_name_is_found_with_its_own_commit(names in proptest::collection::btree_set("refs/heads/[a-c/]{1,150}", 1..30), per_block in 1usize..30, padded: bool) {
            let names: Vec<String> = names.into_iter().collect();
            let blocks: Vec<Vec<String>> = names.chunks(per_block).map(<[String]>::to_vec).collect();
            let table = table(&blocks, if padded { 8192 } else { 0 });
            for (number, name) in names.iter().enumerate() {
                let commit = format!("{number:02x}").repeat(20);
                prop_assert_eq!(find(&table, name.as_bytes()), Some(ReferenceValue::Commit(commit)), "{}", name);
            }
            prop_assert_eq!(find(&table, b"refs/heads/d"), None);
        }
    }
}
