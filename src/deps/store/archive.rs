//! The file that a finished environment is packed in: an ordinary .tar.lz4 (`lz4 -dc FILE | tar tv` shows it) that can be checked
//! before it is used. The stream is cut into pieces, each an LZ4 frame; behind them a frame that decoders skip holds what the
//! environment is, and length and SHA-256 of every piece. Truncation is seen before anything is unpacked, damage before the
//! piece that has it. Bytes in, bytes out; knows no paths.

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes of a piece before it is packed.
const PIECE: usize = 1 << 20;

/// Most bytes of a packed piece: what cannot be packed grows a little.
const PACKED_MAX: u32 = (PIECE + (PIECE >> 7) + 1024) as u32;

/// Most bytes of what describes the rest: enough for environments of a terabyte.
const INDEX_MAX: u32 = 48 << 20;

/// How the frame of a piece begins: blocks that stand for themselves, of at most a megabyte, without hashes. A byte follows that is a
/// hash of the last two.
const BEGIN: [u8; 6] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x60];

/// All that comes before the first block.
const HEAD: usize = BEGIN.len() + 1;

/// The bit in a block's length that says that it is not packed.
const STORED: u32 = 1 << 31;

/// How a frame begins that decoders of LZ4 skip; then its length.
const SKIPPED: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();

/// The last bytes: the format's name and version.
const MAGIC: [u8; 8] = *b"trainit1";

/// Hash and length of the index, and the magic.
const FOOTER: usize = 32 + 4 + 8;

/// What an environment is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveManifest {
    /// What it was made for.
    pub key: String,
    /// The program that installed it, with its version.
    pub installer: String,
    /// Where that was.
    pub host: String,
    /// When, in seconds since 1970 by that machine's clock.
    pub at: u64,
    /// The requirement files, for people.
    pub requirements: Vec<String>,
    /// The interpreter, for people.
    pub python: String,
    /// What comes: names and versions.
    pub packages: Vec<(String, String)>,
    /// What goes, of what was there before: names.
    pub gone: Vec<String>,
    /// How many files come.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// A piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    packed: u32,
    plain: u32,
    sha256: [u8; 32],
}

/// What describes the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveIndex {
    /// What the environment is.
    pub manifest: ArchiveManifest,
    pieces: Vec<Piece>,
}

/// Packs what is written to it.
pub struct Packer<W: Write> {
    to: W,
    plain: Vec<u8>,
    pieces: Vec<Piece>,
}

impl<W: Write> Packer<W> {
    /// Into this.
    pub fn new(to: W) -> Self {
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

    /// Ends the file with what the environment is.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self, manifest: ArchiveManifest) -> io::Result<W> {
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

    /// Pieces are full but for the last one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a file is not one of these.
fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the description at the end, and holds the file's length against it.
///
/// # Errors
/// What reading says; `InvalidData` with the reason if it is not a whole file of this format.
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

/// Length and hash of the index.
fn footer_of(footer: &[u8]) -> Option<(u32, [u8; 32])> {
    let (hash, rest) = footer.split_first_chunk::<32>()?;
    let (length, magic) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    (magic == MAGIC && length <= INDEX_MAX).then_some((length, *hash))
}

/// Reads a description; none if it is not what its hash says, or promises what cannot be.
pub fn parse(bytes: &[u8], hash: &[u8; 32]) -> Option<ArchiveIndex> {
    let same = <[u8; 32]>::from(Sha256::digest(bytes)) == *hash;
    let index: ArchiveIndex = same.then(|| postcard::from_bytes(bytes).ok())??;
    let fits = |piece: &Piece| piece.packed <= PACKED_MAX && piece.plain as usize <= PIECE;
    index.pieces.iter().all(fits).then_some(index)
}

/// The pieces of a file, unpacked and checked, one by one.
pub struct Pieces<'a, R: Read> {
    from: R,
    left: std::slice::Iter<'a, Piece>,
    packed: Vec<u8>,
}

impl ArchiveIndex {
    /// Of the file that this was read from, from its start.
    pub fn pieces<R: Read>(&self, from: R) -> Pieces<'_, R> {
        Pieces { from, left: self.pieces.iter(), packed: Vec::new() }
    }
}

impl<R: Read> Pieces<'_, R> {
    /// Puts the next one in the place of what the buffer holds, so that one buffer is enough for all; none is left: false.
    ///
    /// # Errors
    /// What reading says; `InvalidData` if the piece is damaged.
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

/// Unpacks a frame as `Packer` makes them; how many bytes came. A reader for all kinds of frames would copy each byte twice more.
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

/// Takes over a block that could not be packed.
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

    /// Bytes that can hardly be packed, and some that can.
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
            // Only the words that decoders of LZ4 skip the end by are nobody else's business.
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
