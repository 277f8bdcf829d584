//! Files under a name that no other file has, and how such a file takes its final name in one step. It does not know what is written.
//!
//! The crate tempfile draws the name and removes it. The file is opened here, because an error of the crate's own call has no number.
#![warn(unreachable_pub)]

use nix::libc::O_TMPFILE;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// Makes a file in a directory. Its name begins with `prefix`, and only its owner may read it.
///
/// # Errors
/// The error of open(2).
pub fn make(directory: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let open = |path: &Path| File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    Builder::new().prefix(prefix).make_in(directory, open)
}

/// Makes a file without a name. Where the file system has none such, the name begins with `prefix` and is removed at once.
///
/// # Errors
/// The error of open(2).
pub fn unnamed(directory: &Path, prefix: &str) -> io::Result<File> {
    let nameless = File::options().read(true).write(true).custom_flags(O_TMPFILE).mode(0o600).open(directory);
    nameless.or_else(|_| Ok(make(directory, prefix)?.into_file()))
}

/// Moves a file to its final path in one step, with this mode. With `durable` the bytes reach the disk first.
///
/// # Errors
/// The error of fchmod(2), fsync(2) or rename(2).
pub fn publish(new: NamedTempFile, place: &Path, mode: u32, durable: bool) -> io::Result<()> {
    new.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        new.as_file().sync_all()?;
    }
    new.persist(place)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_private_until_it_takes_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        let mut new = make(directory.path(), "two-").unwrap();
        assert_eq!(mode(new.path()), 0o600);
        new.write_all(b"text").unwrap();
        publish(new, &place, 0o644, true).unwrap();
        assert_eq!((std::fs::read(&place).unwrap(), mode(&place)), (b"text".to_vec(), 0o644));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_without_a_name_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        unnamed(directory.path(), "x").unwrap().write_all(b"text").unwrap();
        // The kernel's own file system refuses both ways.
        assert!(unnamed(Path::new("/proc"), "x").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_no_file_can_be_made_the_error_has_its_number() {
        let error = make(Path::new("/no/such/directory"), "x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENOENT));
    }
}
