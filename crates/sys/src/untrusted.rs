//! Files and directories that other users may have written, and directories that no other user can exchange. A name in a shared
//! directory may be a link to one of our files, a pipe that is never opened at its other end, or a file without an end. The
//! functions here never wait for an open. They accept only a regular file (or a directory) of a user who is believed, and read up
//! to a limit.

use super::credentials;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The users whose files are believed.
#[derive(Clone, Copy, Debug)]
pub enum Owners<'a> {
    /// Any user: whoever names the file answers for it, or nothing depends on its content.
    Anyone,
    /// Only these users.
    These(&'a [u32]),
}

impl Owners<'_> {
    fn check(self, found: &Metadata) -> io::Result<()> {
        match self {
            Owners::These(believed) if !believed.contains(&found.uid()) => {
                Err(io::Error::other(format!("it belongs to user {}", found.uid())))
            }
            _ => Ok(()),
        }
    }
}

/// Flags with which an open never waits: for the other end of a pipe, for a lease on a file (fcntl(2), F_SETLEASE), or for a
/// terminal.
const NOT_WAITING: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens a regular file in a directory for reading. A symbolic link is not followed.
///
/// # Errors
/// The error of openat(2); in words, if it is no regular file, or belongs to a user who is not believed.
pub fn open(directory: impl AsFd, name: &Path, owners: Owners<'_>) -> io::Result<File> {
    checked(openat(directory, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | NOT_WAITING, Mode::empty()), owners)
}

/// Opens a regular file by a path that a user or the image has named: links in such a path are meant, and are followed.
///
/// # Errors
/// The errors of `open`.
pub fn open_named(path: &Path, owners: Owners<'_>) -> io::Result<File> {
    checked(openat(AT_FDCWD, path, OFlag::O_RDONLY | NOT_WAITING, Mode::empty()), owners)
}

/// Opens a file in a directory for appending, and makes the file if it does not exist.
///
/// # Errors
/// The errors of `open`.
pub fn append(directory: impl AsFd, name: &Path, mode: u32, owners: Owners<'_>) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NOFOLLOW | NOT_WAITING;
    checked(openat(directory, name, flags, Mode::from_bits_truncate(mode)), owners)
}

/// Makes a file in a directory. A file or link that exists stays as it is.
///
/// # Errors
/// The error of openat(2); EEXIST if a file has this name.
pub fn create(directory: impl AsFd, name: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(openat(directory, name, flags, Mode::from_bits_truncate(mode)).map(File::from)?)
}

fn checked(opened: nix::Result<std::os::fd::OwnedFd>, owners: Owners<'_>) -> io::Result<File> {
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::ELOOP) => return Err(io::Error::other("it is a symbolic link")),
        // The file is a socket, or a pipe without a reader.
        Err(Errno::ENXIO) => return Err(io::Error::other("it is not a regular file")),
        Err(errno) => return Err(errno.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    owners.check(&found)?;
    Ok(file)
}

/// Reads a file in a directory as a whole.
///
/// # Errors
/// The errors of `open`, and in words if the file has more than `limit` bytes.
pub fn read(directory: impl AsFd, name: &Path, limit: u64, owners: Owners<'_>) -> io::Result<Vec<u8>> {
    read_all(&open(directory, name, owners)?, limit)
}

/// Reads a file as a whole that a user or the image has named.
///
/// # Errors
/// The errors of `open_named`, and in words if the file has more than `limit` bytes.
pub fn read_named(path: &Path, limit: u64, owners: Owners<'_>) -> io::Result<Vec<u8>> {
    read_all(&open_named(path, owners)?, limit)
}

/// Reads a file to its end.
///
/// # Errors
/// The error of read(2), and in words if the file has more than `limit` bytes.
pub fn read_all(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other(format!("it has more than {limit} bytes"))),
        false => Ok(bytes),
    }
}

/// Opens a directory in a directory, if it belongs to a user who is believed and no other user may write it. A link is not
/// followed.
///
/// # Errors
/// The error of openat(2); in words, which user it belongs to, or that others may write it.
pub fn directory(parent: impl AsFd, name: &Path, owners: Owners<'_>) -> io::Result<File> {
    let opened = openat(parent, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty()).map(File::from)?;
    let found = opened.metadata()?;
    owners.check(&found)?;
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(io::Error::other(format!("others may write there (mode {:o})", found.mode() & 0o7777)));
    }
    Ok(opened)
}

/// Makes a directory and the missing ones above it, each in one that is open, so that no other user can lead this process elsewhere.
///
/// The lowest directory that is there has to be one where no other user can exchange what root makes (`settled`). A user other than
/// root has no rights that others lack, so for one any directory does. Links in the part that is there are meant, and are followed.
///
/// # Errors
/// The error of mkdirat(2) or openat(2); in words, which directory breaks a rule, and which rule.
pub fn make_directories(path: &Path, mode: u32) -> io::Result<()> {
    let there = path.ancestors().find(|above| above.is_dir()).ok_or(Errno::ENOENT)?;
    let mut parent = match settled(there) {
        Err(_) if credentials::own_uid() != 0 => File::from(openat(AT_FDCWD, there, SEARCHED, Mode::empty())?),
        settled => settled?,
    };
    for name in path.strip_prefix(there).unwrap_or(Path::new("")) {
        match mkdirat(&parent, name, Mode::from_bits_truncate(mode)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        parent = directory(&parent, Path::new(name), Owners::These(&[0, credentials::own_uid()]))?;
    }
    Ok(())
}

/// How a directory is opened in which entries are only made and looked up.
const SEARCHED: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(NOT_WAITING);
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Opens a directory in which no other user can exchange our files. Neither the directory nor any directory above it may be
/// writable for others, unless its sticky bit forbids to rename files of others. Each must belong to root or to this user. The
/// directories above a mount point do not matter.
///
/// # Errors
/// The error of open(2); in words, which directory breaks a rule, and which rule.
pub fn settled(path: &Path) -> io::Result<File> {
    let path = path.canonicalize()?;
    let mut below = None;
    for step in path.ancestors() {
        let found = std::fs::symlink_metadata(step)?;
        // A mount point is not renamed, whoever may write the directory above it (EBUSY).
        let mounted = below.replace(found.dev()).is_some_and(|below| below != found.dev());
        if let Some(why) = exchangeable(&found).filter(|_| !mounted) {
            return Err(io::Error::other(format!("{}: {why}", step.display())));
        }
    }
    Ok(openat(AT_FDCWD, &path, SEARCHED | OFlag::O_NOFOLLOW, Mode::empty()).map(File::from)?)
}

/// Returns why others could exchange a file of this directory; `None` if they cannot.
fn exchangeable(found: &Metadata) -> Option<String> {
    let owner = found.uid();
    if owner != 0 && owner != credentials::own_uid() && !credentials::is_of_no_user_here(owner) {
        return Some(format!("it belongs to user {owner}"));
    }
    let open = found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0;
    open.then(|| format!("others may rename what is in it (mode {:o}, no sticky bit)", found.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Makes a directory with a file, a link to the file, a pipe and a directory.
    fn shared() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "0123456789").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        let open = File::open(dir.path()).unwrap();
        (dir, open)
    }

    #[test]
    fn only_a_regular_file_within_its_limit_is_read() {
        let (_dir, at) = shared();
        let read = |name: &str, limit| read(&at, Path::new(name), limit, Owners::Anyone).map_err(|e| e.to_string());
        assert_eq!(read("file", 10).unwrap(), b"0123456789");
        assert_eq!(read("file", 9).unwrap_err(), "it has more than 9 bytes");
        assert_eq!(read("link", 10).unwrap_err(), "it is a symbolic link");
        assert_eq!(read("pipe", 10).unwrap_err(), "it is not a regular file");
        assert_eq!(read("directory", 10).unwrap_err(), "it is not a regular file");
        assert_eq!(open(&at, Path::new("none"), Owners::Anyone).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_person_names_may_be_a_link_but_not_a_pipe() {
        let (dir, _at) = shared();
        assert_eq!(read_named(&dir.path().join("link"), 10, Owners::Anyone).unwrap(), b"0123456789");
        assert!(read_named(&dir.path().join("pipe"), 10, Owners::Anyone).is_err());
    }

    #[test]
    fn nothing_is_written_through_a_link_or_waited_for_at_a_pipe() {
        let (dir, at) = shared();
        let append = |name: &str| append(&at, Path::new(name), 0o600, Owners::Anyone).map_err(|e| e.to_string());
        assert_eq!(append("link").unwrap_err(), "it is a symbolic link");
        assert_eq!(append("pipe").unwrap_err(), "it is not a regular file");
        assert!(append("file").is_ok() && append("new").is_ok());
        assert!(create(&at, Path::new("link"), 0o600).is_err() && create(&at, Path::new("other"), 0o600).is_ok());
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"0123456789");
    }

    #[test]
    fn a_file_of_another_user_is_refused_by_its_number() {
        let (_dir, at) = shared();
        let own = credentials::own_uid();
        assert!(open(&at, Path::new("file"), Owners::These(&[own])).is_ok());
        let told = open(&at, Path::new("file"), Owners::These(&[own + 1])).unwrap_err();
        assert_eq!(told.to_string(), format!("it belongs to user {own}"));
        assert!(directory(&at, Path::new("directory"), Owners::These(&[own])).is_ok());
        assert!(directory(&at, Path::new("directory"), Owners::These(&[own + 1])).is_err());
    }

    #[test]
    fn directories_are_made_below_a_settled_one_and_never_through_a_link() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        make_directories(&inner.join("a/b"), 0o755).unwrap();
        make_directories(&inner.join("a/b"), 0o755).unwrap();
        assert!(inner.join("a/b").is_dir());
        symlink(outer.path().join("elsewhere"), inner.join("link")).unwrap();
        assert!(make_directories(&inner.join("link/c"), 0o755).is_err() && !outer.path().join("elsewhere").exists());
        if credentials::own_uid() == 0 {
            // The directory itself is root's, and another user may put another one in its place.
            fs::set_permissions(outer.path(), Permissions::from_mode(0o777)).unwrap();
            let told = make_directories(&inner.join("d"), 0o755).unwrap_err().to_string();
            assert!(told.contains("others may rename") && !inner.join("d").exists(), "{told}");
        }
    }

    #[test]
    fn a_directory_is_settled_only_if_nobody_else_can_rename_it_or_what_is_in_it() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let with = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert!(settled(&inner).is_ok());
        with(&inner, 0o1777);
        assert!(settled(&inner).is_ok());
        with(&inner, 0o777);
        assert!(settled(&inner).unwrap_err().to_string().contains("mode 777, no sticky bit"));
        with(&inner, 0o755);
        with(outer.path(), 0o775);
        let told = settled(&inner).unwrap_err().to_string();
        assert!(told.starts_with(&format!("{}: others", outer.path().canonicalize().unwrap().display())), "{told}");
        with(outer.path(), 0o700);
        assert!(directory(File::open(outer.path()).unwrap(), Path::new("inner"), Owners::Anyone).is_ok());
        with(&inner, 0o770);
        assert!(directory(File::open(outer.path()).unwrap(), Path::new("inner"), Owners::Anyone).is_err());
    }
}
