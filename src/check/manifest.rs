//! A list of a data set's files as sha256sum(1) writes it, with optional sizes. One line:
//!
//!     HASH[ SIZE]  NAME          (`*` instead of the second blank is as good; `-` for a hash that is not known)
//!
//! This file parses and picks lines; `verify` compares the files.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Size up to which a manifest is read whole; in a longer one only the picked lines are read.
const WHOLE: u64 = 8 << 20;
/// Number of bytes that are read at one offset: two names of any length fit.
const WINDOW: u64 = 16 << 10;

/// The entry of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its SHA-256.
    pub hash: Option<[u8; 32]>,
    /// Its length.
    pub size: Option<u64>,
    /// The path below the data set's directory.
    pub name: PathBuf,
}

/// The reason why a line is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// The line has another form.
    #[error("lines are `SHA256  NAME`, `SHA256 SIZE  NAME` or `- SIZE  NAME`")]
    Form,
    /// The name leads out of the directory.
    #[error("names are below the directory, without `..`")]
    Outside,
}

/// Parses a line; returns `None` for a blank line or a comment.
///
/// # Errors
/// The reason why the line is invalid.
pub fn parse(line: &[u8]) -> Result<Option<ManifestEntry>, LineFault> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let (escaped, line) = line.strip_prefix(b"\\").map_or((false, line), |line| (true, line));
    let (hash, rest) = split(line).ok_or(LineFault::Form)?;
    let hash = if hash == b"-" { None } else { Some(digest(hash).ok_or(LineFault::Form)?) };
    let (size, rest) = match rest.first() {
        Some(b'0'..=b'9') => {
            split(rest).and_then(|(size, rest)| Some((Some(number(size)?), rest))).ok_or(LineFault::Form)?
        }
        _ => (None, rest),
    };
    if hash.is_none() && size.is_none() {
        return Err(LineFault::Form);
    }
    let name = rest.strip_prefix(b" ").or(rest.strip_prefix(b"*")).ok_or(LineFault::Form)?;
    let name = if escaped { unescaped(name) } else { name.to_vec() };
    let name = PathBuf::from(OsString::from_vec(name));
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.as_os_str().is_empty() || !name.components().all(inside) {
        return Err(LineFault::Outside);
    }
    Ok(Some(ManifestEntry { hash, size, name }))
}

/// Splits a text at the first blank.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// Undoes the escapes of sha256sum: a backslash before the line, and `\n`, `\r`, `\\` in the name.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let (mut plain, mut bytes) = (Vec::with_capacity(name.len()), name.iter().copied());
    while let Some(byte) = bytes.next() {
        plain.push(match (byte, byte == b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                other => other.unwrap_or(b'\\'),
            },
            (byte, false) => byte,
        });
    }
    plain
}

/// Picks lines at random: from a short manifest without repetition, from a long one at random offsets.
///
/// # Errors
/// The error of open(2) or read(2).
pub fn pick(manifest: &Path, count: usize, chance: &mut RandomSample) -> io::Result<Vec<Vec<u8>>> {
    let mut file = File::open(manifest)?;
    let size = file.metadata()?.len();
    if size <= WHOLE {
        let mut bytes = Vec::new();
        file.take(WHOLE).read_to_end(&mut bytes)?;
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| says_something(line)).collect();
        let picked = count.min(lines.len());
        for at in 0..picked {
            let other = at + chance.below((lines.len() - at) as u64) as usize;
            lines.swap(at, other);
        }
        return Ok(lines.into_iter().take(picked).map(<[u8]>::to_vec).collect());
    }
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.extend(line_at(&mut file, chance.below(size.saturating_sub(WINDOW)))?);
    }
    Ok(lines)
}

/// Reads the first whole line after an offset.
fn line_at(file: &mut File, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(WINDOW).read_to_end(&mut bytes)?;
    let mut lines = bytes.split(|byte| *byte == b'\n');
    // The piece before the first newline belongs to another line.
    Ok(lines.nth(1).filter(|line| says_something(line)).map(<[u8]>::to_vec))
}

fn says_something(line: &[u8]) -> bool {
    !line.trim_ascii().is_empty() && !line.starts_with(b"#")
}

/// Random numbers that differ between starts and replicas, so that together they cover more of a data set.
pub struct RandomSample(u64);

impl RandomSample {
    /// Starts from a seed, which is never zero: xorshift would return zeros for ever.
    pub fn new(seed: u64) -> Self {
        RandomSample(seed | 1)
    }

    /// Returns a number below a limit (xorshift).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.checked_rem(limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn one(line: &str) -> ManifestEntry {
        parse(line.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_sha256sum_writes_is_read_and_sizes_may_be_added() {
        let plain = one(&format!("{HASH}  ./train/0 1.tar"));
        assert_eq!((plain.size, plain.name, plain.hash.unwrap()[0]), (None, "./train/0 1.tar".into(), 0xe3));
        assert_eq!(one(&format!("{HASH} *a")).name, PathBuf::from("a"));
        assert_eq!(one(&format!("{HASH} 17  a")).size, Some(17));
        assert_eq!(one("- 17  a\r"), ManifestEntry { hash: None, size: Some(17), name: "a".into() });
        assert_eq!(one(&format!("\\{HASH}  a\\nb\\\\c")).name, PathBuf::from("a\nb\\c"));
        assert_eq!((parse(b"# made by hand"), parse(b"  ")), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e  a";
        for line in
            [md5, "a", "-  a", "- 17 a", "- x  a", &format!("{HASH}  "), &format!("{HASH}a"), &format!("{HASH} 1")]
        {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
        for name in ["/etc/passwd", "../x", "a/../../x"] {
            assert_eq!(parse(format!("- 1  {name}").as_bytes()), Err(LineFault::Outside));
        }
    }

    #[test]
    fn lines_are_picked_once_from_a_short_manifest_and_anywhere_from_a_long_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifest");
        let line = |n: u32| format!("- {n}  file-{n:08}\n");
        std::fs::write(&file, format!("# ten\n\n{}", (0..10).map(line).collect::<String>())).unwrap();
        let mut picked = pick(&file, 20, &mut RandomSample::new(7)).unwrap();
        picked.sort();
        picked.dedup();
        assert_eq!(picked.len(), 10);
        std::fs::write(&file, (0..500_000).map(line).collect::<String>()).unwrap();
        let picked = pick(&file, 20, &mut RandomSample::new(7)).unwrap();
        assert_eq!(picked.len(), 20);
        let well = |line: &Vec<u8>| {
            parse(line).unwrap().is_some_and(|entry| entry.name.ends_with(format!("file-{:08}", entry.size.unwrap())))
        };
        assert!(picked.iter().all(well), "{picked:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_refused(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&line);
        }

        #[test]
        fn what_was_written_is_read_back(size in any::<Option<u64>>(), name in "[^/\\\\\\x00\\n\\r]{1,20}") {
            prop_assume!(name != "." && name != "..");
            let size_text = size.map(|size| format!(" {size}")).unwrap_or_default();
            let entry = one(&format!("{HASH}{size_text}  {name}"));
            prop_assert_eq!((entry.size, entry.name), (size, PathBuf::from(name)));
        }
    }
}
