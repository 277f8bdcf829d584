//! Configuration files: finds and reads a file, and turns it into a layer.

use super::{ConfigLayer, LayerSource, Problems, ValueOrigin, yaml};
use crate::error::{Error, Result};
use nix::errno::Errno;
use protocol::errno::{self, ErrnoCause};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use sys::mountinfo::{self, Mount};

/// Largest file, 1 MiB: a configuration has a few kilobytes, and a file from a mount must not cost memory or time.
const SIZE_MAX: u64 = 1 << 20;

/// Parses the bytes of a file into checked values. Any bytes give a layer or mistakes.
///
/// # Errors
/// Every mistake in the file.
pub fn parse_bytes(bytes: &[u8], name: &Path) -> Result<ConfigLayer, Vec<Error>> {
    let mut problems = Problems::of_one_layer();
    let layer = parse(bytes, name, LayerSource::Image, &mut problems);
    problems.settle(true).map(|_| layer)
}

/// Parses the bytes of a file into values, and adds mistakes to `problems`.
pub(super) fn parse(bytes: &[u8], name: &Path, source: LayerSource, problems: &mut Problems) -> ConfigLayer {
    let mut layer = ConfigLayer::empty(source);
    let place = |line| ValueOrigin::File(name.to_owned(), line);
    if bytes.len() as u64 > SIZE_MAX {
        problems.unreadable(&place(1), "larger than 1 MiB", "");
    } else if let Some(node) = yaml::parse(bytes, &place, problems) {
        layer.take_file(node, problems);
        layer.check(problems);
    }
    layer
}

/// Reads a regular file, at most one byte more than is allowed. A FIFO or a device in a mount must not block the start.
///
/// # Errors
/// The error of open(2), fstat(2) or read(2).
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(path).map(|found| found.bytes)
}

/// Reads a file, and returns its identity too.
fn read_whole(path: &Path) -> io::Result<ConfigFile> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // open(2) fails so for a socket; a device without a driver is possible, too.
        Some(libc::ENXIO) => io::Error::other("not a regular file"),
        _ => error,
    })?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::Error::other("a directory: for a missing file that is mounted the engine makes a directory"));
    }
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // The reader of a log need not be root. A process without root's rights reads only what that user may read anyway.
    let open = !nix::unistd::geteuid().is_root() || meta.mode() & OTHERS_READ != 0;
    Ok(ConfigFile { bytes: read_capped(&file)?, identity: (meta.dev(), meta.ino()), open })
}

fn read_capped(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The identity of a file, whatever its name: its device and inode number.
pub(super) type FileIdentity = (u64, u64);

/// The reason for a file system that does not answer in time.
pub(super) const SILENT: &str = "its file system does not answer";

/// Read permission for all users.
const OTHERS_READ: u32 = 0o004;

/// A file and its content.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConfigFile {
    /// The content.
    pub bytes: Vec<u8>,
    /// The file's identity.
    pub identity: FileIdentity,
    /// Whether messages may quote the content: the file was readable without root's rights.
    pub open: bool,
}

/// The result of looking for an optional file, as plain data, because another process may have to look.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileLook {
    /// Whether a file with a nearly right name exists.
    pub misnamed: bool,
    /// The file.
    pub found: FilePresence,
}

/// Whether a file exists and can be read.
#[derive(Debug, Serialize, Deserialize)]
pub enum FilePresence {
    /// There is no file.
    Absent,
    /// The directory may not be searched, so the answer is unknown.
    Hidden(FileError),
    /// The file cannot be read.
    Unreadable(FileError),
    /// The file was read.
    Read(ConfigFile),
}

/// An I/O error that can cross a process boundary.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileError {
    /// The words of the error.
    pub reason: String,
    /// Whether a permission is missing.
    pub denied: bool,
    /// The errno, if the system returned one.
    pub errno: Option<i32>,
    /// Whether the error comes from an automount that does not reach into this container.
    pub automount: bool,
}

impl FileError {
    /// Returns the cause of an error that may pass.
    pub fn cause(&self) -> Option<ErrnoCause> {
        let of_errno = || self.errno.and_then(|number| errno::cause(Errno::from_raw(number)));
        if self.automount { Some(errno::AUTOMOUNT) } else { of_errno() }
    }

    /// Adds the path: a cycle of links has the same errno as an automount.
    pub fn at(self, mounts: &[Mount], path: &Path) -> Self {
        let automount = self.errno == Some(Errno::ELOOP as i32) && mountinfo::is_automount(mounts, path);
        FileError { automount, ..self }
    }
}

impl From<io::Error> for FileError {
    /// Adds the user to the text of a missing permission.
    fn from(error: io::Error) -> Self {
        let mut reason = errno::words_of(&error);
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        if denied {
            reason.push_str(&format!(" for {}:{}", nix::unistd::geteuid(), nix::unistd::getegid()));
        }
        FileError { reason, denied, errno: error.raw_os_error(), automount: false }
    }
}

impl FileLook {
    /// Makes the result for a file that could not be examined.
    pub fn failed(reason: impl Into<String>, errno: Errno) -> Self {
        let failure = FileError { reason: reason.into(), denied: false, errno: Some(errno as i32), automount: false };
        FileLook { misnamed: false, found: FilePresence::Unreadable(failure) }
    }

    /// Adds the path to the error.
    pub fn at(self, mounts: &[Mount], path: &Path) -> Self {
        let found = match self.found {
            FilePresence::Unreadable(failure) => FilePresence::Unreadable(failure.at(mounts, path)),
            found => found,
        };
        FileLook { found, ..self }
    }

    /// Makes the result for a file system that gave no answer in time.
    pub fn silent() -> Self {
        FileLook::failed(SILENT, Errno::ETIMEDOUT)
    }
}

/// Looks for a file and reads it.
pub fn look(path: &Path) -> FileLook {
    let misnamed = path.with_extension("yml").is_file();
    // Not `metadata`: a broken link is a mistake, and not the absence of a file.
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => FilePresence::Absent,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => FilePresence::Hidden(error.into()),
        looked => match read_whole(path) {
            Ok(found) => FilePresence::Read(found),
            // The first error counts: a repeated access may report that there is no file, which would be no mistake.
            Err(error) => FilePresence::Unreadable(looked.err().unwrap_or(error).into()),
        },
    };
    FileLook { misnamed, found }
}

/// Returns whether an error means that the file, or its directory, does not exist.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns the files of /etc/trainit.d in order, and those with a nearly right name. Hidden files are skipped: a ConfigMap's mount keeps
/// its versions there.
pub(super) fn drop_ins(directory: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && !path.is_dir() {
            names.push(path);
        }
    }
    names.sort();
    let (read, others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|path| path.extension().is_some_and(|e| e == "yaml"));
    Ok((read, others.into_iter().filter(|path| path.extension().is_some_and(|e| e == "yml")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_links_is_a_mistake_unless_it_is_an_automounts_answer() {
        let table = mountinfo::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /net rw - autofs /etc/auto.net rw,direct\n",
        );
        let cause = |errno: Errno, path: &str| {
            let look = FileLook::failed("no", errno).at(&table, Path::new(path));
            let FilePresence::Unreadable(failure) = look.found else { return None };
            failure.cause()
        };
        assert_eq!(cause(Errno::ELOOP, "/net/nas/trainit.yaml"), Some(errno::AUTOMOUNT));
        assert_eq!(cause(Errno::ELOOP, "/home/trainit.yaml"), None);
        assert_eq!(cause(Errno::EACCES, "/net/nas/trainit.yaml"), None);
    }
}
