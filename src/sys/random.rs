//! What nobody can guess, from the kernel.

use std::fmt::Write;
use std::io;

/// 192 bits: 48 hexadecimal digits.
const BYTES: usize = 24;

/// A secret of 48 hexadecimal digits.
///
/// # Errors
/// What getrandom(2) says.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    // By number: std names the C library's function weakly, so a static link may leave it out, and a call of it would go nowhere.
    // SAFETY: the buffer is ours and as long as it is said to be. Up to 256 bytes come at once or not at all (getrandom(2)).
    let got = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), BYTES, 0) };
    if usize::try_from(got) != Ok(BYTES) {
        return Err(io::Error::last_os_error());
    }
    Ok(bytes.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_are_long() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 48 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }
}
