//! The lines of the report, built in a small buffer without allocation. Pure; trainit's own tests parse the result.

/// Longest line; a longer error text of a library is cut.
pub(super) const LONGEST: usize = 1024;

/// The unwritten part of the report: facts are buffered until the next risky call is announced.
pub(super) struct Report {
    bytes: [u8; LONGEST * 4],
    used: usize,
}

impl Report {
    /// Makes an empty report.
    pub(super) const fn new() -> Self {
        Report { bytes: [0; LONGEST * 4], used: 0 }
    }

    /// Returns the unwritten part.
    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Clears the buffer after it was written.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Returns whether the buffer may lack room for another line.
    pub(super) fn is_full(&self) -> bool {
        self.used + LONGEST > self.bytes.len()
    }

    /// Adds bytes unchanged.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = *byte;
                self.used += 1;
            }
        }
    }

    /// Adds a field with foreign text: bytes that would break the line are replaced, and a long text is cut.
    pub(super) fn field(&mut self, text: &[u8]) {
        self.raw(b"\t");
        for byte in text.iter().take(LONGEST / 2) {
            self.raw(&[if byte.is_ascii_control() { b' ' } else { *byte }]);
        }
    }

    /// Adds a number as a field.
    pub(super) fn number(&mut self, number: i64) {
        self.raw(b"\t");
        if number < 0 {
            self.raw(b"-");
        }
        self.digits(number.unsigned_abs());
    }

    /// Adds the digits of a number without a separator.
    pub(super) fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut count = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            count += 1;
            if number == 0 {
                break;
            }
        }
        self.raw(digits.get(digits.len() - count..).unwrap_or_default());
    }

    /// Adds bytes in the hexadecimal form of a UUID after a prefix.
    pub(super) fn uuid(&mut self, prefix: &[u8], bytes: &[u8; 16]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.raw(b"\t");
        self.raw(prefix);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                self.raw(b"-");
            }
            let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or(b'?');
            self.raw(&[digit(byte >> 4), digit(byte & 15)]);
        }
    }

    /// Ends the line.
    pub(super) fn end(&mut self) {
        self.raw(b"\n");
    }
}
