//! Packs a finished environment into one file: an ordinary .tar.lz4 (`lz4 -dc FILE | tar tv` lists it) that can be checked before use. The
//! stream is cut into pieces, each of which is an LZ4 frame. A skippable frame behind them contains the manifest, and the length and
//! SHA-256 of every piece. Truncation is therefore found before anything is unpacked, and damage before its piece is used. The module
//! works on bytes and knows no paths.

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The size of a piece before compression, in bytes.
const PIECE: usize = 1 << 20;

/// The most bytes of a compressed piece: incompressible data grows a little.
const PACKED_MAX: u32 = (PIECE + (PIECE >> 7) + 1024) as u32;

/// The most bytes of the index, enough for an environment of a terabyte.
const INDEX_MAX: u32 = 48 << 20;

/// The beginning of a piece's frame: independent blocks of at most a megabyte, without checksums. A byte with a checksum of the last two
/// bytes follows.
const BEGIN: [u8; 6] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x60];

/// The length of the header before the first block.
const HEAD: usize = BEGIN.len() + 1;

/// The bit in a block's length that marks an uncompressed block.
const STORED: u32 = 1 << 31;

/// The beginning of a frame that LZ4 decoders skip; its length follows.
const SKIPPED: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();

/// The last bytes of the file: the format's name and version.
const MAGIC: [u8; 8] = *b"trainit1";

/// The length of the footer: the hash and length of the index, and the magic.
const FOOTER: usize = 32 + 4 + 8;

/// The description of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveManifest {
    /// The key of the environment.
    pub key: String,
    /// The program that installed it, with its version.
    pub installer: String,
    /// The host that installed it.
    pub host: String,
    /// The time of the installation, in seconds since 1970 by that host's clock.
    pub at: u64,
    /// The requirement files, for people.
    pub requirements: Vec<String>,
    /// The interpreter, for people.
    pub python: String,
    /// The names and versions of the packages that come.
    pub packages: Vec<(String, String)>,
    /// The names of earlier packages that go.
    pub gone: Vec<String>,
    /// The number of files.
    pub files: u64,
    /// The size of all files in bytes.
    pub bytes: u64,
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    packed: u32,
    plain: u32,
    sha256: [u8; 32],
}

/// The manifest and the list of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveIndex {
    /// The description of the environment.
    pub manifest: ArchiveManifest,
    pieces: Vec<Piece>,
}

/// A writer that packs a stream into pieces.
pub(super) struct Packer<W: Write> {
    to: W,
    plain: Vec<u8>,
    pieces: Vec<Piece>,
}

impl<W: Write> Packer<W> {
    /// Creates a packer that writes to `to`.
    pub(super) fn new(to: W) -> Self {
        Packer { to, plain: Vec::with_capacity(PIECE), pieces: Vec::new() }
    }

    fn end_piece(&mut self) -> io::Result<()> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let frame = FrameInfo::new().block_size(BlockSize::Max1MB);
        let mut packer = FrameEncoder::with_frame_info(frame, Vec::with_capacity(PIECE));
        packer.write_all(&self.plain)?;
        let packed = packer.finish().map_err(io::Error::other)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let (plain, sha256) = (length(&self.plain)?, Sha256::digest(&packed).into());
        self.pieces.push(Piece { packed: length(&packed)?, plain, sha256 });
        self.plain.clear();
        self.to.write_all(&packed)
    }

    /// Ends the file with the index.
    ///
    /// # Errors
    /// Returns the error of writing.
    pub(super) fn finish(mut self, manifest: ArchiveManifest) -> io::Result<W> {
        self.end_piece()?;
        let index = postcard::to_allocvec(&ArchiveIndex { manifest, pieces: self.pieces }).map_err(io::Error::other)?;
        let length = u32::try_from(index.len()).ok().filter(|length| *length <= INDEX_MAX);
        let length = length.ok_or_else(|| io::Error::other("too many files"))?;
        self.to.write_all(&SKIPPED)?;
        self.to.write_all(&(length + FOOTER as u32).to_le_bytes())?;
        self.to.write_all(&index)?;
        self.to.write_all(&Sha256::digest(&index))?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(&MAGIC)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.plain.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.plain.extend_from_slice(taken);
        if self.plain.len() == PIECE {
            self.end_piece()?;
        }
        Ok(taken.len())
    }

    /// Writes the buffer as a piece; every piece but the last is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the error for a file that is damaged or of another format.
fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the index at the end, and compares the file's length with it.
///
/// # Errors
/// Returns the error of reading; `InvalidData` with the reason if it is not a whole file of this format.
pub fn index(file: &mut (impl Read + Seek)) -> io::Result<ArchiveIndex> {
    let length = file.seek(SeekFrom::End(0))?;
    let before_footer = length.checked_sub(FOOTER as u64).ok_or_else(|| damaged("it is too short"))?;
    let mut footer = [0; FOOTER];
    file.seek(SeekFrom::Start(before_footer))?;
    file.read_exact(&mut footer)?;
    let (size, hash) = footer_of(&footer).ok_or_else(|| damaged("its end is missing"))?;
    let at = before_footer.checked_sub(size.into()).ok_or_else(|| damaged("its end is not its own"))?;
    let mut bytes = vec![0; size as usize];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    let index = parse(&bytes, &hash).ok_or_else(|| damaged("its description is damaged"))?;
    let pieces: u64 = index.pieces.iter().map(|piece| u64::from(piece.packed)).sum();
    if pieces + (SKIPPED.len() + 4) as u64 != at {
        return Err(damaged("it has not the length that it had"));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(index)
}

/// Parses the length and hash of the index.
fn footer_of(footer: &[u8]) -> Option<(u32, [u8; 32])> {
    let (hash, rest) = footer.split_first_chunk::<32>()?;
    let (length, magic) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    (magic == MAGIC && length <= INDEX_MAX).then_some((length, *hash))
}

/// Parses an index; `None` if its hash is wrong or its numbers are impossible.
fn parse(bytes: &[u8], hash: &[u8; 32]) -> Option<ArchiveIndex> {
    let same = <[u8; 32]>::from(Sha256::digest(bytes)) == *hash;
    let index: ArchiveIndex = same.then(|| postcard::from_bytes(bytes).ok())??;
    let fits = |piece: &Piece| piece.packed <= PACKED_MAX && piece.plain as usize <= PIECE;
    index.pieces.iter().all(fits).then_some(index)
}

/// The pieces of a file, decompressed and checked one by one.
pub struct Pieces<'a, R: Read> {
    from: R,
    left: std::slice::Iter<'a, Piece>,
    packed: Vec<u8>,
}

impl ArchiveIndex {
    /// Reads the pieces from the beginning of the file that this index was read from.
    pub fn pieces<R: Read>(&self, from: R) -> Pieces<'_, R> {
        Pieces { from, left: self.pieces.iter(), packed: Vec::new() }
    }
}

impl<R: Read> Pieces<'_, R> {
    /// Replaces the contents of the buffer by the next piece, so that one buffer serves for all; returns false after the last piece.
    ///
    /// # Errors
    /// Returns the error of reading; `InvalidData` if the piece is damaged.
    pub fn next_into(&mut self, plain: &mut Vec<u8>) -> io::Result<bool> {
        let Some(piece) = self.left.next() else { return Ok(false) };
        self.packed.resize(piece.packed as usize, 0);
        self.from.read_exact(&mut self.packed)?;
        if <[u8; 32]>::from(Sha256::digest(&self.packed)) != piece.sha256 {
            return Err(damaged("a piece of it is not what its hash says"));
        }
        plain.resize(piece.plain as usize, 0);
        match unpacked(&self.packed, plain) {
            Some(length) if length == plain.len() => Ok(true),
            _ => Err(damaged("a piece of it has another length")),
        }
    }
}

/// Decompresses a frame of `Packer`, and returns the number of bytes. A general LZ4 reader would copy each byte twice more.
fn unpacked(frame: &[u8], plain: &mut [u8]) -> Option<usize> {
    let (head, mut rest) = frame.split_first_chunk::<HEAD>()?;
    head.starts_with(&BEGIN).then_some(())?;
    let mut done = 0;
    loop {
        let (word, after) = rest.split_first_chunk::<4>()?;
        let word = u32::from_le_bytes(*word);
        if word == 0 {
            return after.is_empty().then_some(done);
        }
        let (block, after) = after.split_at_checked((word & !STORED) as usize)?;
        let room = plain.get_mut(done..)?;
        done += match word & STORED {
            0 => lz4_flex::block::decompress_into(block, room).ok()?,
            _ => stored(block, room)?,
        };
        rest = after;
    }
}

/// Copies an uncompressed block.
fn stored(block: &[u8], room: &mut [u8]) -> Option<usize> {
    room.get_mut(..block.len())?.copy_from_slice(block);
    Some(block.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn manifest() -> ArchiveManifest {
        ArchiveManifest { key: "k".into(), packages: vec![("a".into(), "1".into())], ..ArchiveManifest::default() }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new());
        packer.write_all(bytes).unwrap();
        packer.finish(manifest()).unwrap()
    }

    fn unpacked(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = Cursor::new(file);
        let index = index(&mut file)?;
        assert_eq!(index.manifest, manifest());
        let (mut pieces, mut piece, mut all) = (index.pieces(&mut file), Vec::new(), Vec::new());
        while pieces.next_into(&mut piece)? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// Makes bytes of which only a part is compressible.
    fn bytes(length: usize) -> Vec<u8> {
        let mut seed = 1u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..length).map(|at| if at % 5000 < 2500 { next() } else { 0 }).collect()
    }

    #[test]
    fn what_was_packed_comes_out_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let bytes = bytes(length);
            assert!(unpacked(&packed(&bytes)).unwrap() == bytes, "{length}");
        }
    }

    #[test]
    fn a_truncated_file_is_seen_before_anything_is_unpacked() {
        let whole = packed(&bytes(2 * PIECE));
        let cuts = (0..100).map(|cut| whole.len() * cut / 100).chain(whole.len() - 60..whole.len());
        for end in cuts {
            assert!(index(&mut Cursor::new(&whole[..end])).is_err(), "{end}");
        }
        let twice = [whole.as_slice(), whole.as_slice()].concat();
        assert!(index(&mut Cursor::new(&twice)).is_err());
    }

    #[test]
    fn one_changed_bit_is_seen_wherever_it_is() {
        let whole = packed(&bytes(PIECE + 100));
        for at in (0..whole.len()).step_by(whole.len() / 200).chain(whole.len() - 300..whole.len()) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            // Only the header of the skippable frame may change without notice: it is for LZ4 decoders alone.
            let ours = unpacked(&changed).ok().is_none_or(|found| found == bytes(PIECE + 100));
            assert!(ours, "{at}");
        }
    }

    #[test]
    fn the_tools_of_others_read_it() {
        let Ok(mut lz4) = std::process::Command::new("lz4")
            .arg("-dc")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
        else {
            println!("SKIPPED: no lz4");
            return;
        };
        let file = packed(b"a stream");
        lz4.stdin.take().unwrap().write_all(&file).unwrap();
        assert_eq!(lz4.wait_with_output().unwrap().stdout, b"a stream");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), real in any::<bool>()) {
            let mut file = bytes.clone();
            if real {
                file.extend(Sha256::digest(&bytes));
                file.extend((bytes.len() as u32).to_le_bytes());
                file.extend(MAGIC);
            }
            let _ = index(&mut Cursor::new(file));
        }
    }
}
