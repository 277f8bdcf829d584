//! File formats, as far as a few bytes tell whether a file was written to its end. The functions take bytes and are public so that
//! they can be fuzzed. No function here knows a trainer or opens a file.

pub mod index;
pub mod pickle;
pub mod safetensors;
pub mod tracker;
pub mod zip;

/// Returns the `N` bytes at a position, if there are that many.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Reads a little-endian number of two bytes.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

/// Reads a little-endian number of four bytes.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

/// Reads a little-endian number of eight bytes.
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}
