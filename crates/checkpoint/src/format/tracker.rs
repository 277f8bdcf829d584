//! The small text file that some trainers write last and that names the newest checkpoint: `latest` of DeepSpeed and
//! `latest_checkpointed_iteration.txt` of Megatron. Both hold one word.

/// Most bytes that are read of a tracker file; a file name is no longer.
pub const MOST: usize = 256;

/// Returns the word in a tracker file, if the word can name an entry of the same directory.
pub fn parse(bytes: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(bytes.get(..MOST).unwrap_or(bytes)).ok()?.trim();
    let fits = !word.is_empty() && !matches!(word, "." | "..") && !word.contains(|c: char| c == '/' || c.is_control());
    fits.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_word_names_an_entry() {
        assert_eq!(parse(b"global_step100"), Some("global_step100"));
        assert_eq!(parse(b" 1000\n"), Some("1000"));
        for wrong in [b"".as_slice(), b"\n", b"..", b"../x", b"/etc", b"a\nb", b"a\0", b"\xff"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes: Vec<u8>) {
            prop_assert!(!parse(&bytes).is_some_and(|word| word.contains('/')));
        }
    }
}
