//! SHA-256 over labelled pieces, so that two different lists of pieces have different digests.

use sha2::{Digest as _, Sha256};
use std::fmt::Write;

/// A digest under construction.
#[derive(Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds one piece under a label. The lengths are hashed as well, so that ("ab", "c") differs from ("a", "bc").
    pub fn add(&mut self, label: &str, bytes: impl AsRef<[u8]>) {
        for part in [label.as_bytes(), bytes.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Returns the digest in hexadecimal.
    pub fn hex(self) -> String {
        self.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Returns the first 16 digits, which are enough for a file name.
pub fn short(hex: &str) -> &str {
    hex.get(..16).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_piece_ends_matters() {
        let of = |pieces: &[(&str, &str)]| {
            let mut digest = Digest::default();
            pieces.iter().for_each(|(label, bytes)| digest.add(label, bytes));
            digest.hex()
        };
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bcd")]));
        assert_eq!(of(&[("a", "b")]).len(), 64);
    }
}
