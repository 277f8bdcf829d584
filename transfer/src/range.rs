//! The local end of a range: a file that exists and is written in place, or read.

use crate::objects::Fetch;
use bytes::Bytes;
use md5::Digest as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use transfer_protocol::{Failure, FailureKind};

/// How much of a file is read at a time.
const PIECE: usize = 256 << 10;

/// What became of a local file, as a failure.
pub(crate) fn local(path: &Path, error: &io::Error) -> Failure {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let kind = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => FailureKind::Full,
        _ => FailureKind::Bad,
    };
    let words = error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |number| nix::errno::Errno::from_raw(number).desc().to_owned());
    Failure::new(kind, format!("{}: {words}", text::path(path)))
}

/// Bytes that arrive in order, are written, and summed if there is something to compare the sum with: a sum costs more than the bytes.
pub(crate) struct Sink<'a> {
    path: &'a Path,
    file: File,
    at: u64,
    done: u64,
    length: u64,
    sha256: Option<sha2::Sha256>,
    md5: Option<md5::Md5>,
}

impl<'a> Sink<'a> {
    /// Opens the file, which is made by trainit.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn open(fetch: &Fetch<'a>) -> Result<Self, Failure> {
        let (path, at, length) = (fetch.path, fetch.at, fetch.length);
        let file = File::options().write(true).open(path).map_err(|error| local(path, &error))?;
        Ok(Sink { path, file, at, done: 0, length, sha256: fetch.sha256.then(sha2::Digest::new), md5: None })
    }

    /// Has the MD5 summed, if no byte has come yet.
    pub(crate) fn expect(&mut self, md5: bool) {
        if self.done == 0 {
            self.md5 = md5.then(md5::Md5::new);
        }
    }

    /// Returns how many bytes are there.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Returns how many bytes are missing.
    pub(crate) fn missing(&self) -> u64 {
        self.length - self.done
    }

    /// Forgets all, for another try from the beginning.
    pub(crate) fn restart(&mut self) {
        (self.done, self.sha256, self.md5) = (0, self.sha256.is_some().then(sha2::Digest::new), None);
    }

    /// Writes what has come; what is more than was asked for is dropped.
    ///
    /// # Errors
    /// A disk that is full, or fails.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<u64, Failure> {
        let wanted = usize::try_from(self.missing()).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.get(..wanted).unwrap_or_default();
        self.file.write_all_at(bytes, self.at + self.done).map_err(|error| local(self.path, &error))?;
        if let Some(sha256) = &mut self.sha256 {
            sha2::Digest::update(sha256, bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.done += bytes.len() as u64;
        Ok(bytes.len() as u64)
    }

    /// Returns the MD5 of what has come, in hex, if it was summed.
    pub(crate) fn md5(&self) -> Option<String> {
        self.md5.clone().map(|md5| listing::hex(&md5.finalize()))
    }

    /// Returns the SHA-256 of what has come, in hex, if it was summed.
    pub(crate) fn sha256(self) -> Option<String> {
        self.sha256.map(|sha256| listing::hex(&sha2::Digest::finalize(sha256)))
    }
}

/// Reads a range of a file into memory, to be sent.
///
/// # Errors
/// A file that cannot be read, or that is shorter.
pub(crate) fn pieces(path: &Path, offset: u64, length: u64) -> Result<Vec<Bytes>, Failure> {
    let file = File::open(path).map_err(|error| local(path, &error))?;
    let (mut pieces, mut at) = (Vec::new(), offset);
    while at < offset + length {
        let mut piece = vec![0; usize::try_from(offset + length - at).unwrap_or(PIECE).min(PIECE)];
        file.read_exact_at(&mut piece, at).map_err(|error| shorter(path, &error))?;
        at += piece.len() as u64;
        pieces.push(piece.into());
    }
    Ok(pieces)
}

fn shorter(path: &Path, error: &io::Error) -> Failure {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return local(path, error);
    }
    Failure::new(FailureKind::Bad, format!("{}: it is shorter than it was", text::path(path)))
}
