//! The files of path entries (`.pth`), by which packages lead a Python into further directories.

use requirements::installed::{Folder, Folders};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use store::digest::Digest;

/// Returns a digest that changes when directories are added to a Python's path. It covers the `.pth` files in the given directories, and
/// which of the directories exist.
pub(super) fn digest<'a>(directories: impl Iterator<Item = &'a PathBuf>, folders: &Folders) -> String {
    let mut digest = Digest::default();
    for directory in directories {
        let folder = folders.get(directory);
        digest.add("directory", directory.as_os_str().as_bytes());
        digest.add("there", [u8::from(folder.is_there())]);
        for (name, text) in read(&folder) {
            digest.add(&name, text);
        }
    }
    digest.hex()
}

/// Reads the `.pth` files in a directory; returns names and texts, sorted.
fn read(folder: &Folder) -> Vec<(String, String)> {
    let names = folder.names().filter_map(OsStr::to_str).filter(|name| name.ends_with(".pth"));
    let text = |name: &str| fs::read(folder.path().join(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut files: Vec<_> = names.map(|name| (name.to_owned(), text(name).unwrap_or_default())).collect();
    files.sort();
    files
}

/// Checks whether a `.pth` file in a directory does more than run code.
pub(super) fn name_directories(folder: &Folder) -> bool {
    read(folder).iter().any(|(_, text)| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| !line.is_empty() && !line.starts_with(['#']) && !line.starts_with("import "))
    })
}
