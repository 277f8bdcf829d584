//! Python pickles, judged without running them: whether one ends with its STOP, whether it is torch's format from before 1.6, the
//! files that a DCP index names, and the step of a Lightning checkpoint.

use super::{bytes_at, u16_at, u32_at};
use std::collections::BTreeSet;

/// The beginning of the old torch format: a pickle of its magic number.
const LEGACY_TORCH: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Tells whether these are the first bytes of a pickle of protocol 2 or later.
pub fn begins(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

/// Tells whether this is torch's old format: pickles followed by raw numbers, without a recognisable end.
pub fn is_legacy_torch(head: &[u8]) -> bool {
    head.starts_with(LEGACY_TORCH)
}

/// Tells whether these last bytes are the end of a pickle.
pub fn ends(tail: &[u8]) -> bool {
    tail.last() == Some(&b'.')
}

/// Returns the `.distcp` files that the index of a torch DCP checkpoint names, if it names any.
pub fn distcp_names(index: &[u8]) -> BTreeSet<&str> {
    let ends = index.windows(7).enumerate().filter(|(_, part)| *part == b".distcp").map(|(at, _)| at + 7);
    ends.filter_map(|end| string_ending_at(index, end)).filter(|name| !name.contains('/')).collect()
}

/// Finds the string (BINUNICODE or SHORT_BINUNICODE) whose text ends at `end`.
fn string_ending_at(bytes: &[u8], end: usize) -> Option<&str> {
    let longest = end.min(256);
    let text = (8..=longest).find_map(|length| {
        let at = end - length;
        let long = at >= 5 && bytes.get(at - 5) == Some(&b'X') && u32_at(bytes, at - 4) == u32::try_from(length).ok();
        let short =
            at >= 2 && bytes.get(at - 2) == Some(&0x8c) && bytes.get(at - 1).copied() == u8::try_from(length).ok();
        (long || short).then(|| bytes.get(at..end)).flatten()
    });
    std::str::from_utf8(text?).ok()
}

/// Returns the number under the first `global_step` key. Lightning writes that key among the first entries of `data.pkl`, which is
/// the first entry of the archive and not compressed.
pub fn global_step(head: &[u8]) -> Option<u64> {
    number_under("global_step", head)
}

/// Returns the number under the first such key of a dictionary. The key has less than 256 bytes.
pub fn number_under(key: &str, head: &[u8]) -> Option<u64> {
    let key = [&[b'X', u8::try_from(key.len()).ok()?, 0, 0, 0], key.as_bytes()].concat();
    let at = head.windows(key.len()).position(|part| part == key)? + key.len();
    let value = match head.get(at)? {
        b'q' => at + 2, // BINPUT: the key's number in the memo comes between
        b'r' => at + 5, // LONG_BINPUT
        _ => at,
    };
    match head.get(value)? {
        b'K' => head.get(value + 1).map(|byte| u64::from(*byte)),
        b'M' => u16_at(head, value + 1).map(u64::from),
        b'J' => bytes_at(head, value + 1).map(i32::from_le_bytes).and_then(|step| step.try_into().ok()),
        0x8a => long(head.get(value + 1..)?),
        _ => None,
    }
}

/// Parses LONG1: a length and that many bytes, the least significant first. The last bit is the sign.
fn long(bytes: &[u8]) -> Option<u64> {
    let (&length, rest) = bytes.split_first()?;
    let digits = rest.get(..usize::from(length)).filter(|digits| digits.last().is_some_and(|last| *last < 0x80))?;
    digits.iter().rev().try_fold(0_u64, |sum, digit| Some(sum.checked_mul(256)? + u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_step(opcodes: &[u8]) -> Vec<u8> {
        [b"\x80\x02}q\0(X\x05\0\0\0epochq\x01K\x03X\x0b\0\0\0global_step".as_slice(), opcodes].concat()
    }

    #[test]
    fn a_lightning_checkpoint_tells_its_step() {
        assert_eq!(global_step(&with_step(b"q\x02K\x0aX")), Some(10));
        assert_eq!(global_step(&with_step(b"q\x02M\xe8\x03X")), Some(1000));
        assert_eq!(global_step(&with_step(b"r\0\x01\0\0J\x40\x0d\x03\0X")), Some(200_000));
        assert_eq!(global_step(&with_step(b"q\x02J\xff\xff\xff\xffX")), None);
        assert_eq!(global_step(&with_step(b"q\x02\x8a\x05\0\0\0\0\x01X")), Some(1 << 32));
        assert_eq!(global_step(&with_step(b"q\x02N")), None);
        assert_eq!(global_step(&with_step(b"")), None);
    }

    #[test]
    fn a_states_file_of_deepspeed_tells_for_how_many_ranks_it_was_saved() {
        // As DeepSpeed 0.14.5 wrote it.
        let real = b"\x04X\r\0\0\0dp_world_sizeq9K\x02X\r\0\0\0mp_world_sizeq:K\x01X";
        assert_eq!((number_under("dp_world_size", real), number_under("world_size", real)), (Some(2), None));
    }

    #[test]
    fn an_index_names_its_data_files() {
        let index = b"\x80\x04X\x0c\0\0\0__0_0.distcpq\x01\x8c\x0c__1_0.distcp\x94K\x05X\x0c\0\0\0__0_0.distcp.";
        assert_eq!(distcp_names(index).into_iter().collect::<Vec<_>>(), ["__0_0.distcp", "__1_0.distcp"]);
        assert!(distcp_names(b"\x80\x02}.").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes: Vec<u8>, end: Vec<u8>) {
            let _ = (distcp_names(&bytes), distcp_names(&[bytes.as_slice(), b".distcp"].concat()));
            let _ = (global_step(&with_step(&end)), begins(&bytes), ends(&bytes));
        }
    }
}
