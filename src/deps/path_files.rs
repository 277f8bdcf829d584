//! The files of path entries (`.pth`), by which packages lead a Python into further directories.

use requirements::installed::record::plain;
use requirements::installed::{Folder, Folders};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
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

/// Lists the directories that the `.pth` files in a directory add to a Python's path, in their order (site.py).
pub(super) fn added(folder: &Folder) -> Vec<PathBuf> {
    let lines = |text: &String| text.lines().filter_map(|line| named_by(line, folder.path())).collect::<Vec<_>>();
    let named = read(folder).iter().flat_map(|(_, text)| lines(text)).collect::<Vec<_>>();
    named.into_iter().filter(|path| path.exists()).collect()
}

/// Returns the path in a line of a `.pth` file; `None` for an empty line, a comment, or code.
fn named_by(line: &str, directory: &Path) -> Option<PathBuf> {
    let is_other = line.trim().is_empty()
        || line.starts_with(['#'])
        || ["import ", "import\t"].iter().any(|word| line.starts_with(word));
    (!is_other).then(|| plain(&directory.join(line.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_code_and_names_what_is_there_is_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        ["site", "lib", "site/own"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        fs::write(at("site/b.pth"), format!("# {0}\nimport os\n\n{0}  \n", at("lib").display())).unwrap();
        fs::write(at("site/a.pth"), "own\n../lib\n../gone\n").unwrap();
        let found = added(&Folders::default().get(&at("site")));
        assert_eq!(found, [at("site/own"), at("lib"), at("lib")]);
    }
}
