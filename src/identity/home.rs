//! The user's home: a directory that the user can write, or one made for it, with variables for tools that keep caches.
//!
//! This code runs as that user.

use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use sys::environment::Environment;
use sys::mountinfo::Mounts;
use sys::{credentials, reach};

/// Variables of tools with their own cache setting, below the cache directory. Some of these tools read /etc/passwd before HOME.
const CACHES: [(&str, &str); 6] = [
    ("HF_HOME", "huggingface"),
    ("TORCH_HOME", "torch"),
    ("TORCHINDUCTOR_CACHE_DIR", "torchinductor"),
    ("TRITON_CACHE_DIR", "triton"),
    ("MPLCONFIGDIR", "matplotlib"),
    ("NUMBA_CACHE_DIR", "numba"),
];

/// The place of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HomeDirectory {
    /// This directory can be written.
    Usable(PathBuf),
    /// This directory was made, because no other can be written.
    Made(PathBuf),
    /// No directory can be written.
    None,
}

/// Returns the first candidate that can be written, else a directory that is made for this user among the temporary files.
pub(super) fn find(
    candidates: impl Iterator<Item = PathBuf>,
    environment: &Environment,
    mounts: &Mounts,
) -> HomeDirectory {
    let mut absolute = candidates.filter(|path| path.is_absolute());
    match absolute.find(|path| is_writable(path, mounts)) {
        Some(path) => HomeDirectory::Usable(path),
        None => make(&temporary(environment)).map_or(HomeDirectory::None, HomeDirectory::Made),
    }
}

fn temporary(environment: &Environment) -> Vec<PathBuf> {
    let own = environment.get("TMPDIR").map(PathBuf::from);
    // Docker mounts /dev/shm noexec, so a tool cannot load what it compiles into a cache there. It is better than nothing.
    own.into_iter().chain(["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from)).collect()
}

/// Makes a directory in the first base that can be written; other users may write there, too, so only a directory of this user counts.
fn make(bases: &[PathBuf]) -> Option<PathBuf> {
    let uid = credentials::own_uid();
    bases.iter().map(|base| base.join(format!("home-{uid}"))).find(|path| {
        let _ = std::fs::DirBuilder::new().mode(0o700).create(path);
        let found = std::fs::symlink_metadata(path);
        let ours = found.is_ok_and(|found| found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0);
        ours && may_write(path)
    })
}

fn may_write(path: &Path) -> bool {
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Returns whether a home can be written; a home on a file system that may be dead is tested in another process.
fn is_writable(path: &Path, mounts: &Mounts) -> bool {
    reach::look(mounts, path, || may_write(path)).unwrap_or(false)
}

/// Returns variables for tools whose caches would be in `old`, a home that cannot be written; `home` is the one made instead.
///
/// Each is only a default.
pub(super) fn caches(
    home: &Path,
    old: Option<&Path>,
    environment: &Environment,
    mounts: &Mounts,
) -> Vec<(&'static str, OsString)> {
    let base = environment.get("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let mut variables = vec![("XDG_CACHE_HOME", base.clone().into_os_string())];
    variables.extend(CACHES.map(|(name, directory)| (name, base.join(directory).into_os_string())));
    // Python still finds packages that the image has in its user's home.
    let packages = old.map(|old| old.join(".local")).filter(|local| has_packages(local, mounts));
    variables.extend(packages.map(|local| ("PYTHONUSERBASE", local.into_os_string())));
    variables
}

/// Returns whether a home has packages; a home on another machine is not the image's, and may not answer.
fn has_packages(local: &Path, mounts: &Mounts) -> bool {
    reach::far(mounts, local).is_none() && local.join("lib").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_home_that_can_be_written_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let candidates = ["", "relative", "/no/such", home.path().to_str().unwrap()].map(PathBuf::from);
        let found = find(candidates.into_iter(), &Environment::default(), &Mounts::default());
        assert_eq!(found, HomeDirectory::Usable(home.path().to_owned()));
    }

    #[test]
    fn a_home_is_made_only_where_nobody_else_can_have_prepared_it() {
        let base = tempfile::tempdir().unwrap();
        let own = base.path().join(format!("home-{}", credentials::own_uid()));
        let bases = [PathBuf::from("/no/such"), base.path().to_owned()];
        assert_eq!(make(&bases), Some(own.clone()));
        assert_eq!(make(&bases), Some(own.clone()), "it is there from the last start");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(make(&bases), None, "others can look into it");
        std::fs::remove_dir(&own).unwrap();
        std::os::unix::fs::symlink("/tmp", &own).unwrap();
        assert_eq!(make(&bases), None, "it leads elsewhere");
    }

    #[test]
    fn caches_follow_an_inherited_cache_directory() {
        let told = |environment: &Environment| -> Vec<String> {
            let variables = caches(Path::new("/tmp/home-7"), None, environment, &Mounts::default());
            variables.iter().map(|(name, value)| format!("{name}={}", value.display())).collect()
        };
        assert!(told(&Environment::default()).contains(&"TRITON_CACHE_DIR=/tmp/home-7/.cache/triton".to_owned()));
        let cache: Environment = [("XDG_CACHE_HOME", "/cache")].into_iter().collect();
        assert!(told(&cache).contains(&"HF_HOME=/cache/huggingface".to_owned()));
    }

    #[test]
    fn packages_in_the_old_home_are_still_found() {
        let old = tempfile::tempdir().unwrap();
        let base = |old: &Path| {
            let variables = caches(Path::new("/h"), Some(old), &Environment::default(), &Mounts::default());
            variables.into_iter().find(|(name, _)| *name == "PYTHONUSERBASE").map(|(_, value)| value)
        };
        assert_eq!(base(old.path()), None);
        std::fs::create_dir_all(old.path().join(".local/lib")).unwrap();
        assert_eq!(base(old.path()), Some(old.path().join(".local").into_os_string()));
    }
}
