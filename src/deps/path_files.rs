//! The files of path entries (`.pth`), by which packages lead a Python into further directories.

use super::digest::Digest;
use requirements::installed::{Folder, Folders};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Returns a digest that changes with what adds further directories to a Python's path: files of path entries in the given
/// directories, and those of the directories that were not there.
pub fn digest<'a>(directories: impl Iterator<Item = &'a PathBuf>, folders: &Folders) -> String {
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

/// Reads the files of path entries in a directory; gives names and texts, sorted.
fn read(folder: &Folder) -> Vec<(String, String)> {
    let names = folder.names().filter_map(OsStr::to_str).filter(|name| name.ends_with(".pth"));
    let text = |name: &str| fs::read(folder.path().join(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut files: Vec<_> = names.map(|name| (name.to_owned(), text(name).unwrap_or_default())).collect();
    files.sort();
    files
}

/// Tells whether a file of path entries in a directory does more than run code.
pub fn name_directories(folder: &Folder) -> bool {
    read(folder).iter().any(|(_, text)| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| !line.is_empty() && !line.starts_with(['#']) && !line.starts_with("import "))
    })
}
