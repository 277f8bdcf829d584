//! The sum of a part of a file.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 16;

/// Returns the SHA-256 of a part of a file, in lower-case hex.
///
/// # Errors
/// The error of reading; `UnexpectedEof` where the file is shorter.
pub(crate) fn sum_of(file: &File, offset: u64, length: u64) -> io::Result<String> {
    let (mut sum, mut buffer, mut done) = (Sha256::new(), vec![0; BUFFER], 0);
    while done < length {
        let wanted = usize::try_from(length - done).unwrap_or(BUFFER).min(BUFFER);
        let count = file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), offset + done)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        sum.update(buffer.get(..count).unwrap_or_default());
        done += count as u64;
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
