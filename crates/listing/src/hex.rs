//! Sums as text.

/// The hex form of a sum that a store gives in base64.
pub fn hex_of_base64(text: &str) -> Option<String> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    (!bytes.is_empty()).then(|| hex(&bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sum_in_base64_is_the_same_in_hex() {
        assert_eq!(hex_of_base64("yZRlqg==").as_deref(), Some("c99465aa"));
        assert_eq!((hex_of_base64(""), hex_of_base64("a b")), (None, None));
    }

    proptest! {
        #[test]
        fn every_text_is_a_sum_or_none(text in "\\PC*") {
            let found = hex_of_base64(&text);
            prop_assert!(found.is_none_or(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())));
        }
    }
}
