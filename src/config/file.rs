//! Configuration files: how one is looked for and read, and becomes a layer.

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

/// Largest file, 1 MiB: a configuration is a few kilobytes, and one from a mount must not cost memory or time.
const SIZE_MAX: u64 = 1 << 20;

/// Bytes of a file → its values, all checked. Any bytes give a layer or mistakes.
///
/// # Errors
/// Every mistake in it.
pub fn parse_bytes(bytes: &[u8], name: &Path) -> Result<ConfigLayer, Vec<Error>> {
    let mut problems = Problems::of_one_layer();
    let layer = parse(bytes, name, LayerSource::Image, &mut problems);
    problems.settle(true).map(|_| layer)
}

/// Bytes of a file → its values; what is wrong goes to `problems`.
pub fn parse(bytes: &[u8], name: &Path, source: LayerSource, problems: &mut Problems) -> ConfigLayer {
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

/// A regular file's bytes, one more than is allowed at most. A FIFO or a device in a mount must not block the start.
///
/// # Errors
/// What open(2), fstat(2) and read(2) say.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_whole(path).map(|found| found.bytes)
}

/// The same, and which file it is.
fn read_whole(path: &Path) -> io::Result<ConfigFile> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // Of a socket, which cannot be opened; a device's server may as well be gone.
        Some(libc::ENXIO) => io::Error::other("not a regular file"),
        _ => error,
    })?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // Whoever reads a log need not be root. Another user reads only what is its own to read.
    let open = !nix::unistd::geteuid().is_root() || meta.mode() & OTHERS_READ != 0;
    Ok(ConfigFile { bytes: read_capped(&file)?, identity: (meta.dev(), meta.ino()), open })
}

fn read_capped(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Which file it is, whatever it is called: its device and its number there.
pub type FileIdentity = (u64, u64);

/// What is told of a file system that gives no answer in time.
pub const SILENT: &str = "its file system does not answer";

/// Read permission for everybody.
const OTHERS_READ: u32 = 0o004;

/// A file that was read.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConfigFile {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Which one it is.
    pub identity: FileIdentity,
    /// What it holds may be repeated in messages: not only root's rights made it readable.
    pub open: bool,
}

/// What a look at a file that need not exist came to, as plain data: the look may have to be taken in another process.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileLook {
    /// There is a file whose name is nearly right.
    pub misnamed: bool,
    /// The file.
    pub found: FilePresence,
}

/// What there is of a file.
#[derive(Debug, Serialize, Deserialize)]
pub enum FilePresence {
    /// Nothing.
    Absent,
    /// Its directory may not be searched, so nobody can tell.
    Hidden(FileError),
    /// A file that cannot be read.
    Unreadable(FileError),
    /// What was read.
    Read(ConfigFile),
}

/// An I/O error that can be handed on.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileError {
    /// What the system said, without the number.
    pub reason: String,
    /// A permission is missing.
    pub denied: bool,
    /// The system's number, where it was the system that said no.
    pub errno: Option<i32>,
    /// It is the answer of an automount that does not reach into this container.
    pub automount: bool,
}

impl FileError {
    /// What is behind an error that may pass.
    pub fn cause(&self) -> Option<ErrnoCause> {
        let of_errno = || self.errno.and_then(|number| errno::cause(Errno::from_raw(number)));
        if self.automount { Some(errno::AUTOMOUNT) } else { of_errno() }
    }

    /// The same, where the path is known: a circle of links has the same errno as an automount.
    pub fn at(self, mounts: &[Mount], path: &Path) -> Self {
        let automount = self.errno == Some(Errno::ELOOP as i32) && mountinfo::is_automount(mounts, path);
        FileError { automount, ..self }
    }
}

impl From<io::Error> for FileError {
    /// A missing permission is told with who had none.
    fn from(error: io::Error) -> Self {
        let text = error.to_string();
        let mut reason = text.split(" (os error").next().unwrap_or(&text).to_owned();
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        if denied {
            reason.push_str(&format!(" for {}:{}", nix::unistd::geteuid(), nix::unistd::getegid()));
        }
        FileError { reason, denied, errno: error.raw_os_error(), automount: false }
    }
}

impl FileLook {
    /// A file that could not be looked at.
    pub fn failed(reason: impl Into<String>, errno: Errno) -> Self {
        let failure = FileError { reason: reason.into(), denied: false, errno: Some(errno as i32), automount: false };
        FileLook { misnamed: false, found: FilePresence::Unreadable(failure) }
    }

    /// The same, where the path is known.
    pub fn at(self, mounts: &[Mount], path: &Path) -> Self {
        let found = match self.found {
            FilePresence::Unreadable(failure) => FilePresence::Unreadable(failure.at(mounts, path)),
            found => found,
        };
        FileLook { found, ..self }
    }

    /// A file whose file system gave no answer in time.
    pub fn silent() -> Self {
        FileLook::failed(SILENT, Errno::ETIMEDOUT)
    }
}

/// Looks for a file and reads it.
pub fn look(path: &Path) -> FileLook {
    let misnamed = path.with_extension("yml").is_file();
    // Not `metadata`: a link that leads nowhere is a mistake, and not the absence of a file.
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => FilePresence::Absent,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => FilePresence::Hidden(error.into()),
        looked => match read_whole(path) {
            Ok(found) => FilePresence::Read(found),
            // The first error: after a look that failed, the second may be that there is no file, which is no mistake.
            Err(error) => FilePresence::Unreadable(looked.err().unwrap_or(error).into()),
        },
    };
    FileLook { misnamed, found }
}

/// A file that may be missing is: nobody made it, or not even its directory.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The files of /etc/trainit.d that are read, in order, and those whose name is nearly right. Hidden ones are not looked at:
/// a ConfigMap's mount has its versions there.
pub fn drop_ins(directory: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
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
