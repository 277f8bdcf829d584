//! Where a process may keep something of its own: a directory that can be written and that nobody else could have put there.

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::temporary::TemporaryFile;

/// Every place there could be, best first: what outlives the container, then what is only local. Nothing is touched.
pub fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = format!("trainit-{}", geteuid());
    let home = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let temporary = [absolute("TMPDIR"), Some("/var/tmp".into()), Some("/tmp".into())];
    home.map(|cache| cache.join("trainit"))
        .into_iter()
        .chain(temporary.into_iter().flatten().map(|dir| dir.join(&own)))
        .collect()
}

/// The first place that can be written, made if need be. One that programs may be loaded from is preferred.
pub fn writable(environment: &Environment) -> Option<PathBuf> {
    let usable: Vec<_> = candidates(environment).into_iter().filter(|place| is_usable(place)).collect();
    usable.iter().find(|place| !is_noexec(place)).or(usable.first()).cloned()
}

/// A temporary file, where those go, else in a place of our own.
pub fn temporary(environment: &Environment, prefix: &str) -> Option<TemporaryFile> {
    let usual = environment.get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let make = |dir: PathBuf| TemporaryFile::make(&dir, prefix).ok();
    make(usual).or_else(|| make(writable(environment)?))
}

/// Makes the directory if need be; whether it is ours alone and takes files.
fn is_usable(place: &Path) -> bool {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(place);
    is_ours(place) && takes_files(place)
}

/// Whether a directory belongs to us and nobody else can put anything into it. A link is not ours: /tmp is everybody's.
pub fn is_ours(directory: &Path) -> bool {
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0)
}

/// Whether files can be made in a directory. Asked by making one: access(2) does not see every read-only file system.
pub fn takes_files(directory: &Path) -> bool {
    TemporaryFile::make(directory, ".trainit-probe-").is_ok()
}

/// Whether a file of one directory can get a second name in another. Asked by doing it: two mounts of one file system look the same.
pub fn can_link(from: &Path, to: &Path) -> bool {
    let Ok(file) = TemporaryFile::make(from, ".trainit-probe-") else { return false };
    let name = to.join(file.path().file_name().unwrap_or_default());
    let linked = fs::hard_link(file.path(), &name).is_ok();
    linked && fs::remove_file(name).is_ok()
}

/// Whether the file system forbids to run programs and to load libraries from it.
pub fn is_noexec(directory: &Path) -> bool {
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
