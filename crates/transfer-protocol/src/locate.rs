//! Where the program lies: beside trainit's own file, or on PATH. A start that runs as root takes it only from where root alone may
//! write, because whoever wrote it acts as root.

use nix::unistd::AccessFlags;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The program's name.
pub const PROGRAM: &str = "trainit-transfer";

/// Bit of a directory in which only its owner may remove a file (stat(2), S_ISVTX).
const STICKY: u32 = 0o1000;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct SearchPath<'a> {
    /// trainit's own file, without links.
    pub own: Option<&'a Path>,
    /// The value of PATH.
    pub path: Option<&'a OsStr>,
    /// Whether this process is root.
    pub as_root: bool,
}

/// Finds the program; `None` if it is nowhere, or only where root must not take it from.
pub fn locate(search: SearchPath<'_>) -> Option<PathBuf> {
    let beside = search.own.and_then(|own| Some((own.parent()?.to_owned(), owner(own))));
    let on_path = std::env::split_paths(search.path.unwrap_or_default()).map(|directory| (directory, None));
    let mut places = beside.into_iter().chain(on_path).filter(|(directory, _)| directory.is_absolute());
    places.find_map(|(directory, also)| {
        let file = directory.join(PROGRAM);
        let runs = file.is_file() && sys::access::may(&file, AccessFlags::X_OK).is_ok();
        (runs && (!search.as_root || is_guarded(&file, also))).then_some(file)
    })
}

fn owner(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|found| found.uid())
}

/// Returns whether only root, and the owner of trainit's own file, may change the file or put another in its place.
fn is_guarded(file: &Path, also: Option<u32>) -> bool {
    let Ok(real) = file.canonicalize() else { return false };
    [file, &real].into_iter().flat_map(Path::ancestors).all(|path| {
        path.metadata().is_ok_and(|found| {
            let trusted = found.uid() == 0 || also == Some(found.uid());
            let by_group = found.mode() & 0o020 != 0 && found.gid() != 0;
            let by_all = found.mode() & 0o002 != 0;
            trusted && (!by_group && !by_all || found.is_dir() && found.mode() & STICKY != 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn put(directory: &Path, mode: u32) -> PathBuf {
        std::fs::create_dir_all(directory).unwrap();
        let file = directory.join(PROGRAM);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn beside_trainit_comes_before_the_path_and_a_relative_word_of_it_counts_for_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (own, other) = (home.path().join("a"), home.path().join("b"));
        let (beside, on_path) = (put(&own, 0o755), put(&other, 0o755));
        let trainit = own.join("trainit");
        let path = std::env::join_paths([Path::new("."), &home.path().join("none"), &other]).unwrap();
        let search = SearchPath { own: Some(&trainit), path: Some(&path), as_root: false };
        assert_eq!(locate(search), Some(beside.clone()));
        std::fs::set_permissions(&beside, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(locate(search), Some(on_path));
        assert_eq!(locate(SearchPath { path: None, ..search }), None);
    }

    #[test]
    fn root_takes_it_from_no_place_where_others_may_write() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can make files that root alone may write");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("bin");
        let file = put(&directory, 0o755);
        let found = || locate(SearchPath { own: None, path: Some(directory.as_os_str()), as_root: true });
        assert_eq!(found(), Some(file.clone()));
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(found(), None);
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&file, Some(1000), None).unwrap();
        assert_eq!(found(), None);
    }
}
