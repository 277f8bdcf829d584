//! Compares a file with the sum that its source tells.

use super::item::Item;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The name of the sum in a listing.
const SHA256: &str = "sha256:";

/// Compares a whole file; `known` is the SHA-256 of its bytes, if whoever wrote them has it. Returns whether there was a sum to compare.
///
/// # Errors
/// The error of reading; in the inner result what was found instead.
pub(crate) fn check(item: &Item, path: &Path, known: Option<&str>) -> io::Result<Result<bool, String>> {
    let sum = String::from_utf8_lossy(&item.sum);
    let Some(wanted) = sum.strip_prefix(SHA256) else { return Ok(Ok(false)) };
    let found = match known {
        Some(known) => known.to_owned(),
        None => of(&mut File::open(path)?)?,
    };
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(Ok(true));
    }
    Ok(Err(format!("its SHA-256 is {found}, and has to be {wanted}")))
}

fn of(file: &mut impl Read) -> io::Result<String> {
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => digest.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_with_its_sum_if_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let with = |sum: &str| Item { sum: sum.as_bytes().to_vec(), ..Item::file("a", 3, "") };
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check(&with(abc), &path, None).unwrap(), Ok(true));
        assert_eq!(check(&with(""), &path, None).unwrap(), Ok(false));
        assert!(check(&with("sha256:00"), &path, None).unwrap().unwrap_err().contains("has to be 00"));
        assert!(check(&with(abc), &path, Some("00")).unwrap().is_err());
    }
}
