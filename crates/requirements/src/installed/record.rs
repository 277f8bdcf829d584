//! The list of a distribution's files (RECORD, PEP 376 and 427).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Lists the files of a distribution as absolute paths without `..`: the files in its list, the byte code that Python compiled from them,
/// and all files beside the list. It leaves out listed byte code that does not exist. `None` if there is no list.
pub fn files(metadata: &Path) -> Option<BTreeSet<PathBuf>> {
    let directory = metadata.parent()?;
    let record = fs::read_to_string(metadata.join("RECORD")).ok()?;
    let mut all: BTreeSet<PathBuf> = paths(&record).map(|path| plain(&directory.join(path))).collect();
    all.retain(|file| !is_compiled(file) || file.exists());
    let modules = all.iter().filter(|file| file.extension().is_some_and(|end| end == "py"));
    let directories: BTreeSet<_> = modules.filter_map(|file| file.parent()).map(Path::to_owned).collect();
    let compiled = directories.iter().flat_map(|dir| entries(&dir.join("__pycache__")));
    let compiled: Vec<_> =
        compiled.filter(|file| module_of(file).is_some_and(|module| all.contains(&module))).collect();
    all.extend(compiled);
    all.extend(entries(metadata));
    Some(all)
}

/// Returns the paths of a list, relative to the directory of packages.
pub fn paths(record: &str) -> impl Iterator<Item = String> {
    record.lines().filter(|line| !line.is_empty()).map(first_field)
}

/// Returns the first field of a line of comma-separated values.
fn first_field(line: &str) -> String {
    match line.strip_prefix('"') {
        Some(quoted) => quoted.replace("\"\"", "\u{0}").split('"').next().unwrap_or_default().replace('\u{0}', "\""),
        None => line.split(',').next().unwrap_or_default().to_owned(),
    }
}

/// Removes `.` and `..` from a path without looking at the file system.
pub fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir())).map(|entry| entry.path())
}

fn is_compiled(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "pyc")
}

/// Returns the module of a file in `__pycache__`: `m.py` for `__pycache__/m.cpython-312.opt-1.pyc` (PEP 3147).
fn module_of(file: &Path) -> Option<PathBuf> {
    let (stem, _) = file.file_name()?.to_str()?.split_once('.')?;
    is_compiled(file).then(|| Some(file.parent()?.parent()?.join(format!("{stem}.py"))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_belongs_to_a_distribution_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/site-packages");
        let metadata = site.join("a-1.dist-info");
        for name in
            ["a/__pycache__/m.cpython-312.pyc", "a/__pycache__/mm.cpython-312.pyc", "a/m.py", "a-1.dist-info/INSTALLER"]
        {
            let path = site.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(files(&metadata), None);
        let record = "a/m.py,sha256=x,1\na/__pycache__/m.cpython-310.pyc,,\n../../bin/tool,,\n\"a/b,c\",,\na-1.dist-info/RECORD,,\n";
        fs::write(metadata.join("RECORD"), record).unwrap();
        let found = files(&metadata).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        let below = "lib/site-packages";
        let expected =
            ["a/__pycache__/m.cpython-312.pyc", "a/b,c", "a/m.py", "a-1.dist-info/INSTALLER", "a-1.dist-info/RECORD"];
        let expected: Vec<_> =
            ["bin/tool".to_owned()].into_iter().chain(expected.map(|name| format!("{below}/{name}"))).collect();
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(names.into_iter().map(str::to_owned).collect()), sorted(expected));
    }
}
