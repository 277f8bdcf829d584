//! What nobody can guess, from the kernel.

use super::support::unsupported;
use nix::errno::Errno;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};

/// 192 bits: 48 hexadecimal digits.
const BYTES: usize = 24;

/// A secret of 48 hexadecimal digits.
///
/// # Errors
/// What getrandom(2) says, or /dev/urandom where that call is not there.
pub fn secret() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    // By number: std names the C library's function weakly, so a static link may leave it out, and a call of it would go nowhere.
    // SAFETY: the buffer is ours and as long as it is said to be. Up to 256 bytes come at once or not at all (getrandom(2)).
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
