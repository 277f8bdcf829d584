//! What moves bytes: takes pieces of objects, and answers for each in any order. The rest of the crate knows no other side of a source.

use super::error::{ObjectFailure, Result};
use super::item::Item;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The length of a piece: what is fetched twice after a kill is at most this, for each of those that run at a time.
pub(crate) const PIECE: u64 = 16 << 20;

/// A piece of an object, and the file that it belongs in.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// The object's number in the listing.
    pub object: u64,
    /// The piece's number in the object.
    pub index: u32,
    /// The object.
    pub item: Item,
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
    /// The file, which exists and has the object's length.
    pub path: PathBuf,
}

/// What became of a piece.
#[derive(Clone, Debug)]
pub(crate) enum Moved {
    /// So many bytes of some piece are through, and more follow.
    Some(u64),
    /// The piece is written: its bytes beyond those told, and their SHA-256 if the mover knows it.
    Done(u64, u32, u64, Option<String>),
    /// A piece of this object is not written.
    Failed(u64, ObjectFailure),
}

/// What moves pieces.
pub(crate) trait Mover {
    /// How many pieces it works on at a time.
    fn width(&self) -> usize;

    /// Takes a piece.
    ///
    /// # Errors
    /// A mover that is of no more use.
    fn give(&mut self, piece: Piece) -> Result<()>;

    /// Waits for what became of a piece, at most so long.
    ///
    /// # Errors
    /// A mover that is of no more use.
    fn take(&mut self, wait: Duration) -> Result<Option<Moved>>;

    /// Returns the time that the file of an object has to bear, if its source keeps one.
    fn date(&self, _item: &Item) -> Option<SystemTime> {
        None
    }

    /// Looks at one object again, which has changed.
    ///
    /// # Errors
    /// Why there is no answer.
    fn again(&mut self, item: &Item) -> Result<std::result::Result<Item, ObjectFailure>>;
}

/// Returns the number of pieces of an object.
pub(crate) fn pieces(size: u64) -> u32 {
    u32::try_from(size.div_ceil(PIECE)).unwrap_or(u32::MAX)
}
