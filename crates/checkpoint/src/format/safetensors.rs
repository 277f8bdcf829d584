//! The safetensors format: eight bytes with the length of a JSON header, the header with the place of every tensor, and the
//! tensors. The header therefore tells how long the whole file has to be.

use super::u64_at;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Longest header in bytes that is read. The largest published models have less than 1 MiB; the format allows 100 MB.
pub const HEADER_MAX: u64 = 16 << 20;

/// Returns how many bytes from the file's beginning `is_whole` needs: the length and the header. `None` if `head` is shorter than
/// the length itself, or if the header is longer than `HEADER_MAX`.
pub fn head_length(head: &[u8]) -> Option<u64> {
    u64_at(head, 0).filter(|length| *length <= HEADER_MAX).map(|length| length + 8)
}

/// Returns the size in bytes that the whole file has to have. `head` is the file's beginning with the whole header.
pub fn expected_size(head: &[u8]) -> Option<u64> {
    let length = head_length(head)?;
    let header = head.get(8..usize::try_from(length).ok()?)?;
    let Furthest(end) = serde_json::from_slice(header).ok()?;
    length.checked_add(end)
}

/// Tells whether a file of `size` bytes that begins with `head` is complete.
pub fn is_whole(head: &[u8], size: u64) -> bool {
    expected_size(head) == Some(size)
}

/// The end of the last tensor, counted from the header's end. Nothing else of a header is kept.
struct Furthest(u64);

/// The part of a tensor's entry that is needed here.
#[derive(serde::Deserialize)]
struct Tensor {
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Furthest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Header;
        impl<'de> Visitor<'de> for Header {
            type Value = Furthest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Furthest, A::Error> {
                let mut end = 0;
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        end = end.max(map.next_value::<Tensor>()?.data_offsets.1);
                    }
                }
                Ok(Furthest(end))
            }
        }
        deserializer.deserialize_map(Header)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Makes a file with tensors of these sizes in bytes.
    pub(crate) fn file(sizes: &[usize]) -> Vec<u8> {
        let mut at = 0;
        let mut header = serde_json::json!({"__metadata__": {"format": "pt"}});
        for (n, size) in sizes.iter().enumerate() {
            header[format!("t{n}")] =
                serde_json::json!({"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]});
            at += size;
        }
        let header = header.to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![1; at]].concat()
    }

    fn whole(file: &[u8]) -> bool {
        is_whole(file, file.len() as u64)
    }

    #[test]
    fn the_header_says_how_long_the_file_is() {
        assert!(whole(&file(&[])));
        assert!(whole(&file(&[3, 0, 500])));
        assert!(!whole(&[file(&[3]), vec![0]].concat()));
        assert!(!whole(b""));
        assert!(!whole(&[0; 4096]));
        assert!(!whole(&[u64::MAX.to_le_bytes().as_slice(), b"{}"].concat()));
    }

    proptest! {
        #[test]
        fn a_beginning_of_a_file_is_never_whole(
            sizes in prop::collection::vec(0..500_usize, 0..8), cut in any::<prop::sample::Index>(),
        ) {
            let file = file(&sizes);
            prop_assert!(whole(&file));
            prop_assert!(!whole(&file[..cut.index(file.len())]));
        }

        #[test]
        fn any_bytes_end_in_an_answer(head: Vec<u8>, size: u64) {
            let _ = is_whole(&head, size);
        }
    }
}
