//! Finds private directories for cached data: writable, and closed to other users.

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use tempfile::NamedTempFile;

/// Lists all candidate directories, best first: those that outlive the container, then local ones. It touches no file.
pub(super) fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = format!("trainit-{}", geteuid());
    let home = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let temporary = [absolute("TMPDIR"), Some("/var/tmp".into()), Some("/tmp".into())];
    home.map(|cache| cache.join("trainit"))
        .into_iter()
        .chain(temporary.into_iter().flatten().map(|dir| dir.join(&own)))
        .collect()
}

/// Returns the first writable candidate, which is made if need be. A directory without `noexec` is preferred.
pub(super) fn writable(environment: &Environment) -> Option<PathBuf> {
    let usable: Vec<_> = candidates(environment).into_iter().filter(|place| is_usable(place)).collect();
    usable.iter().find(|place| !is_noexec(place)).or(usable.first()).cloned()
}

/// Returns whether a candidate is there and writable, or could be made, without making it.
pub(super) fn may_be_written(environment: &Environment) -> bool {
    let opens = |place: &Path| access(place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    candidates(environment).iter().any(|place| match place.symlink_metadata() {
        Ok(_) => is_ours(place) && opens(place),
        Err(_) => place.ancestors().find(|above| above.exists()).is_some_and(opens),
    })
}

/// Makes a temporary file in the usual directory, else in a cache directory.
pub(super) fn temporary(environment: &Environment, prefix: &str) -> Option<NamedTempFile> {
    let usual = environment.get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let make = |dir: PathBuf| temporary::make(&dir, prefix).ok();
    make(usual).or_else(|| make(writable(environment)?))
}

/// Makes the directory if need be, and checks that it is private and writable.
fn is_usable(place: &Path) -> bool {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(place);
    is_ours(place) && takes_files(place)
}

/// Checks that a directory belongs to this user and that no other user can write to it. A link does not count: anyone can make one in
/// /tmp.
pub(super) fn is_ours(directory: &Path) -> bool {
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
}

/// Checks that files can be made in a directory, by making one: access(2) does not see every read-only file system.
pub(super) fn takes_files(directory: &Path) -> bool {
    temporary::make(directory, ".trainit-probe-").is_ok()
}

/// Checks that a file of one directory can be linked into another, by doing it: two mounts of one file system look the same.
pub(super) fn can_link(from: &Path, to: &Path) -> bool {
    let Ok(file) = temporary::make(from, ".trainit-probe-") else { return false };
    let name = to.join(file.path().file_name().unwrap_or_default());
    let linked = fs::hard_link(file.path(), &name).is_ok();
    linked && fs::remove_file(name).is_ok()
}

/// Checks whether the file system is mounted `noexec`, so that it allows no programs and no libraries.
pub(super) fn is_noexec(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|found| found.flags().contains(FsFlags::ST_NOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_cache_directory_comes_before_temporary_ones() {
        let environment: Environment = [("HOME", "/home/me"), ("TMPDIR", "relative")].into_iter().collect();
        let found = candidates(&environment);
        assert_eq!(found[0], Path::new("/home/me/.cache/trainit"));
        assert!(found[1].starts_with("/var/tmp"));
    }

    #[test]
    fn a_file_is_linked_within_a_file_system_and_not_beyond_it() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(can_link(one.path(), other.path()) && !can_link(one.path(), Path::new("/proc")));
        assert_eq!(fs::read_dir(one.path()).unwrap().chain(fs::read_dir(other.path()).unwrap()).count(), 0);
    }

    #[test]
    fn a_directory_that_others_can_write_is_not_ours() {
        let base = tempfile::tempdir().unwrap();
        let (open, link, good) = (base.path().join("open"), base.path().join("link"), base.path().join("good"));
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(is_usable(&good));
        symlink(&good, &link).unwrap();
        assert_eq!((is_ours(&open), is_ours(&link), is_ours(&good)), (false, false, true));
    }
}
