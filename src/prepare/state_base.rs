//! The base of state directories that `state_dir` names: makes it if it is missing, and reports why it cannot be used.

use crate::error::Error;
use nix::unistd::AccessFlags;
use std::io;
use std::path::Path;
use sys::mountinfo::Mounts;
use sys::{process, reach, untrusted};

/// Makes sure that the base is a writable directory.
///
/// # Errors
/// Why it is not, as a warning for the person who configured it.
pub(super) fn provide(base: &Path, mounts: &Mounts) -> Result<(), Error> {
    if let Some(mount) = reach::far(mounts, base) {
        let place = text::location(mount.kind(), mount.source());
        let because = format!("it lies on {place}, and PID 1 must never wait for another machine");
        return Err(cannot(base).because(because).hint("state_dir: a directory on a local file system"));
    }
    make(base)
}

fn cannot(base: &Path) -> Error {
    Error::config(format!("state_dir {} cannot be used, so the state is in a usual place", text::path(base)))
}

/// Makes the directory and its parents, if they are missing.
fn make(base: &Path) -> Result<(), Error> {
    match std::fs::metadata(base) {
        Ok(found) if !found.is_dir() => {
            return Err(cannot(base).because("it is not a directory").hint("state_dir: a directory"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_missing(base)?,
        Err(error) => {
            return Err(cannot(base).caused_by(error).hint("state_dir: a directory that can be looked into"));
        }
    }
    let writable = nix::unistd::access(base, AccessFlags::W_OK | AccessFlags::X_OK);
    writable.map_err(|errno| cannot(base).caused_by(errno).hint("state_dir: a directory that this user may write"))
}

/// A missing directory that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("it is not there and cannot be made")]
struct NotMade(#[source] io::Error);

/// Makes what is missing by descriptors, because another user may exchange a part of the path meanwhile.
fn make_missing(base: &Path) -> Result<(), Error> {
    if !base.is_absolute() {
        return Err(cannot(base).because("it is not there").hint("state_dir: an absolute path"));
    }
    // Readers may be other users.
    let made = process::with_umask(0o022, || untrusted::make_directories(base, 0o755));
    made.map_err(|error| cannot(base).caused_by(NotMade(error)).hint("make it in the image, or mount it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use sys::credentials::own_uid;

    /// Returns mounts that are all local, except one.
    fn mounts() -> Mounts {
        let table = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /far rw - nfs4 nas:/x rw\n";
        sys::mountinfo::parse(table).into()
    }

    fn because(base: &Path) -> String {
        crate::report::because(&provide(base, &mounts()).unwrap_err()).unwrap_or_default()
    }

    #[test]
    fn what_is_missing_is_made_for_all_readers_with_what_is_above_it() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("not/there");
        provide(&base, &mounts()).unwrap();
        for made in [&base, base.parent().unwrap()] {
            assert_eq!(std::fs::metadata(made).unwrap().permissions().mode() & 0o7777, 0o755, "{made:?}");
        }
        provide(&base, &mounts()).unwrap();
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(because(&file), "it is not a directory");
        assert!(because(&file.join("below")).contains("directory"), "{}", because(&file.join("below")));
        assert!(
            because(Path::new("/proc/no/such")).contains("cannot be made"),
            "{}",
            because(Path::new("/proc/no/such"))
        );
    }

    #[test]
    fn another_machine_is_not_asked() {
        let because = because(Path::new("/far/state"));
        assert!(because.contains("nfs4") && because.contains("another machine"), "{because}");
    }

    #[test]
    fn root_makes_nothing_where_others_may_rename_it() {
        let home = tempfile::tempdir().unwrap();
        let (open, inner) = (home.path().join("open"), home.path().join("open/inner"));
        std::fs::create_dir_all(&inner).unwrap();
        let made = |mode: u32, name: &str| {
            std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
            provide(&inner.join(name), &mounts())
        };
        assert!(made(0o755, "a").is_ok() && made(0o1777, "b").is_ok());
        let refused = made(0o777, "c");
        if own_uid() != 0 {
            return assert!(refused.is_ok());
        }
        let because = crate::report::because(&refused.unwrap_err()).unwrap_or_default();
        assert!(because.contains("others may rename what is in it (mode 777"), "{because}");
        assert!(!inner.join("c").exists());
    }
}
