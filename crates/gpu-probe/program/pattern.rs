//! The bytes that travel to a GPU and back: every 64-bit word differs from every other, so that memory that answers for another
//! address is seen as well as a flipped bit. Pure; trainit's own tests use it.

/// Words in one piece; 4 MiB.
pub(super) const WORDS: usize = 512 << 10;

/// The word at this place, of all pieces counted through.
pub(super) fn word(seed: u64, at: u64) -> u64 {
    // An odd factor makes it a permutation of the 64-bit numbers; the rest spreads it over the bits.
    let mixed = (at ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Fills a piece that begins at this word.
pub(super) fn fill(piece: &mut [u64], seed: u64, first: u64) {
    piece.iter_mut().zip(first..).for_each(|(place, at)| *place = word(seed, at));
}

/// How many words of a piece are not what they should be.
pub(super) fn differing(piece: &[u64], seed: u64, first: u64) -> u64 {
    piece.iter().zip(first..).filter(|(found, at)| **found != word(seed, *at)).count() as u64
}
