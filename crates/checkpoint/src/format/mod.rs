//! File formats, as far as one can tell from a few bytes whether a file was written to its end. Pure functions over bytes,
//! public so that they can be fuzzed; none of them knows a trainer or touches a file.

pub mod index;
pub mod pickle;
pub mod safetensors;
pub mod tracker;
pub mod zip;

/// The `N` bytes at a place, if there are so many.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// A little-endian number of two bytes.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

/// A little-endian number of four bytes.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

/// A little-endian number of eight bytes.
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}
