//! Secrets that cannot be guessed, made from the kernel's random numbers.

use super::support::unsupported;
use nix::errno::Errno;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};

/// Bytes of a secret: 192 bits, or 48 hexadecimal digits.
const BYTES: usize = 24;

/// Makes a secret of 48 hexadecimal digits.
///
/// # Errors
/// The error of getrandom(2), or of /dev/urandom where that call does not exist.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    // By number: std names the C library's function weakly, so a static link may leave it out, and a call would jump to nothing.
    // SAFETY: the buffer is ours and has the given length. Up to 256 bytes come at once or not at all (getrandom(2)).
    let got = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), BYTES, 0) };
    match Errno::last() {
        _ if usize::try_from(got) == Ok(BYTES) => {}
        errno if unsupported(errno) => File::open("/dev/urandom")?.read_exact(&mut bytes)?,
        errno => return Err(errno.into()),
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
