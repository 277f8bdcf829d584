//! Finds the directories of packages, digests their contents, and repairs them after a killed installer.

use super::import_path::user_directories;
use super::python::Python;
use super::python_start::PythonStart;
use requirements::installed::{Folder, Folders, record};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::digest::Digest;

/// Returns a digest that changes when a package comes, goes or changes its version in any directory of this Python. It covers names only:
/// times are unreliable on overlay file systems, and every import may write a `__pycache__`.
pub(super) fn state(python: &Python, more: &[PathBuf], start: &PythonStart, folders: &Folders) -> String {
    let mut digest = Digest::default();
    for directory in python.sites.iter().chain(more) {
        add(&mut digest, &folders.get(directory), |name| !name.starts_with(b".") && name != b"__pycache__");
    }
    for directory in user_directories(python, start, folders).iter().chain(&start.python_path) {
        // The code's own directory may be among these, so only packages' metadata counts.
        add(&mut digest, &folders.get(directory), is_metadata);
    }
    digest.hex()
}

/// Adds a directory to the digest. An empty one counts like a missing one: another user's home, or a PYTHONPATH that is set only when the
/// container runs.
fn add(digest: &mut Digest, folder: &Folder, counts: fn(&[u8]) -> bool) {
    let mut names: Vec<_> = folder.names().map(OsStr::as_bytes).filter(|name| counts(name)).collect();
    names.sort_unstable();
    names.iter().for_each(|name| digest.add("name", name));
    if !names.is_empty() {
        digest.add("end", "");
    }
}

fn is_metadata(name: &[u8]) -> bool {
    [".dist-info", ".egg-info", ".egg-link", ".pth"].iter().any(|end| name.ends_with(end.as_bytes()))
}

/// Removes the metadata of packages that an installer left unfinished since `begun`, so that the next one installs them again. Older
/// packages are not touched: some distributions ship without lists of files.
pub(super) fn repair(directories: &[&Path], begun: SystemTime) -> Vec<String> {
    let mut taken = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let fresh = entry.metadata().and_then(|found| found.modified()).is_ok_and(|at| at >= begun);
            if fresh
                && path.extension().is_some_and(|end| end == "dist-info")
                && !is_whole(directory, &path)
                && fs::remove_dir_all(&path).is_ok()
            {
                taken.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    taken
}

/// Checks that every file of a package's own list (RECORD) exists.
fn is_whole(directory: &Path, metadata: &Path) -> bool {
    let Ok(record) = fs::read_to_string(metadata.join("RECORD")) else { return false };
    let there = |path: String| directory.join(path).symlink_metadata().is_ok();
    metadata.join("METADATA").is_file() && record::paths(&record).all(there)
}

/// Checks that only packaging tools are installed.
pub(super) fn is_bare(python: &Python) -> bool {
    let entries = python.sites.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    entries
        .map(|entry| entry.file_name())
        .filter(|name| is_metadata(name.as_bytes()))
        .all(|name| TOOLS.iter().any(|tool| name.as_bytes().starts_with(tool.as_bytes())))
}

/// Prefixes of the names of packaging tools' files.
const TOOLS: [&str; 6] = ["pip-", "setuptools-", "distutils-precedence.pth", "wheel-", "uv-", "_virtualenv.pth"];

#[cfg(test)]
mod tests {
    use super::super::python::tests::example;
    use super::*;
    use std::time::Duration;

    fn python(directory: &Path) -> Python {
        Python { sites: vec![directory.to_owned()], ..example() }
    }

    fn package(directory: &Path, name: &str, record: Option<&str>) {
        let metadata = directory.join(format!("{name}.dist-info"));
        fs::create_dir_all(&metadata).unwrap();
        fs::write(metadata.join("METADATA"), "Name: x\n").unwrap();
        if let Some(record) = record {
            fs::write(metadata.join("RECORD"), record).unwrap();
        }
    }

    #[test]
    fn a_package_that_comes_or_goes_changes_the_state_and_a_cache_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let none = PythonStart::default();
        let state = || state(&python(dir.path()), &[], &none, &Folders::default());
        let empty = state();
        package(dir.path(), "a-1", None);
        let one = state();
        fs::create_dir(dir.path().join("__pycache__")).unwrap();
        fs::create_dir(dir.path().join(".trainit")).unwrap();
        assert_eq!(one, state());
        assert_ne!(empty, one);
        fs::create_dir(dir.path().join("a")).unwrap();
        assert_ne!(one, state());
    }

    #[test]
    fn of_a_directory_in_pythonpath_only_packages_count() {
        let (site, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = PythonStart { python_path: vec![code.path().to_owned()], ..PythonStart::default() };
        let without = state(&python(site.path()), &[], &PythonStart::default(), &Folders::default());
        let state = || state(&python(site.path()), &[], &start, &Folders::default());
        let before = state();
        assert_eq!(before, without);
        fs::write(code.path().join("train.py"), "").unwrap();
        assert_eq!(before, state());
        package(code.path(), "b-1", None);
        assert_ne!(before, state());
    }

    #[test]
    fn only_half_done_packages_of_the_killed_installer_are_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("there, too.py"), "").unwrap();
        package(dir, "old-1", None);
        let begun = SystemTime::now();
        // The clock of file systems has steps of some milliseconds.
        let past = begun - Duration::from_secs(60);
        fs::File::open(dir.join("old-1.dist-info")).unwrap().set_modified(past).unwrap();
        package(dir, "norecord-1", None);
        package(dir, "missing-1", Some("missing/__init__.py,sha256=x,1\n"));
        package(dir, "whole-1", Some("\"there, too.py\",sha256=x,0\nwhole-1.dist-info/RECORD,,\n"));
        let mut taken = repair(&[dir], begun - Duration::from_secs(1));
        taken.sort();
        assert_eq!(taken, ["missing-1.dist-info", "norecord-1.dist-info"]);
        assert!(dir.join("old-1.dist-info").exists() && dir.join("whole-1.dist-info").exists());
    }
}
