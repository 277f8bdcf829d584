//! The bytes that are copied to a GPU and back. All 64-bit words differ, so that memory that answers for another address is noticed as
//! well as a flipped bit. Pure; trainit's own tests use it.

/// Words in one piece of 4 MiB.
pub(super) const WORDS: usize = 512 << 10;

/// Returns the word at this index, counted over all pieces.
pub(super) fn word(seed: u64, at: u64) -> u64 {
    // An odd factor makes it a permutation of the 64-bit numbers; the rest spreads it over the bits.
    let mixed = (at ^ seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Fills a piece that starts at this word.
pub(super) fn fill(piece: &mut [u64], seed: u64, first: u64) {
    piece.iter_mut().zip(first..).for_each(|(place, at)| *place = word(seed, at));
}

/// Returns how many words of a piece are wrong.
pub(super) fn differing(piece: &[u64], seed: u64, first: u64) -> u64 {
    piece.iter().zip(first..).filter(|(found, at)| **found != word(seed, *at)).count() as u64
}
