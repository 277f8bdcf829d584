//! "Did you mean" for files: the file that a missing path most likely means. Only names that exist are suggested, and little is read.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// Most entries of one directory that are compared.
const ENTRIES: usize = 1000;
/// Most directories that are looked into.
const DIRECTORIES: usize = 32;
/// Longest name that is compared.
const LONGEST: usize = 64;
/// Length of a name in which two slips are one mistake.
const LONG: usize = 10;

/// Returns the file that a missing relative path means, below the same directory: another spelling of its last name, of a directory in it, or
/// the same name one directory deeper or higher.
pub(super) fn near(directory: &Path, wanted: &Path) -> Option<PathBuf> {
    let plain = wanted.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let (parent, name) = (wanted.parent()?, wanted.file_name()?.to_str()?);
    if !plain {
        return None;
    }
    let parent = match directory.join(parent).is_dir() {
        true => parent.to_owned(),
        false => spelled(directory, parent).unwrap_or_default(),
    };
    in_directory(&directory.join(&parent), name)
        .map(|found| parent.join(found).components().filter(|part| *part != Component::CurDir).collect())
        .or_else(|| elsewhere(directory, wanted, name))
}

/// Returns the spelling of a directory's name.
fn spelled(directory: &Path, parent: &Path) -> Option<PathBuf> {
    let name = parent.to_str().filter(|name| !name.contains('/'))?;
    let names = names(directory, |path| path.is_dir());
    same_letters(name, &names).or_else(|| slip(name, names.iter().map(String::as_str))).map(PathBuf::from)
}

/// Returns the file of a directory that a name means.
fn in_directory(directory: &Path, name: &str) -> Option<String> {
    let names = names(directory, Path::is_file);
    if names.iter().any(|known| known == name) {
        return Some(name.to_owned());
    }
    let ending = Path::new(name).extension().and_then(OsStr::to_str);
    let with = |ending: &str| names.iter().find(|known| **known == format!("{name}.{ending}"));
    if let Some(found) = same_letters(name, &names) {
        return Some(found.to_owned());
    }
    match ending {
        None => ["py", "sh"].into_iter().find_map(with).cloned(),
        // What has another ending is read by another program.
        Some(ending) => {
            let same = names
                .iter()
                .map(String::as_str)
                .filter(|known| Path::new(known).extension() == Some(OsStr::new(ending)));
            slip(name, same).map(str::to_owned)
        }
    }
}

/// Returns the only name that differs by a slip of the finger; the ending, which all have, does not count.
fn slip<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_lowercase();
    let (wanted, most) = (stem(name), if name.chars().count() < LONG { 1 } else { 2 });
    let near = |known: &&str| known.len() <= LONGEST && strsim::damerau_levenshtein(&wanted, &stem(known)) <= most;
    let mut found = candidates.filter(|_| name.len() <= LONGEST && wanted.len() > 1).filter(near);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn same_letters<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let mut same = names.iter().filter(|known| known.to_lowercase() == name.to_lowercase());
    let first = same.next()?;
    same.next().is_none().then_some(first.as_str())
}

/// Returns the only file of this name one directory deeper, or at the top.
fn elsewhere(directory: &Path, wanted: &Path, name: &str) -> Option<PathBuf> {
    if wanted != Path::new(name) && directory.join(name).is_file() {
        return Some(name.into());
    }
    let directories = names(directory, |path| path.is_dir()).into_iter().take(DIRECTORIES);
    let mut found = directories.filter(|inner| directory.join(inner).join(name).is_file());
    let first = found.next()?;
    found.next().is_none().then(|| Path::new(&first).join(name))
}

/// Returns the names of a directory's entries that meet a condition; hidden ones and those of programs are left out.
fn names(directory: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().take(ENTRIES);
    let named = entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)));
    let shown = named.filter(|(_, name)| !name.starts_with('.') && !name.starts_with("__"));
    let mut names: Vec<String> =
        shown.filter(|(path, _)| is_wanted(path)).map(|(_, name)| name).take(ENTRIES).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(wanted: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        for file in [
            "train.py",
            "Makefile",
            "src/eval.py",
            "src/data.py",
            "lib/data.py",
            "run.sh",
            "notes.txt",
            "sweep/go.py",
            "evaluate_all.py",
        ] {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "pass").unwrap();
        }
        near(directory.path(), Path::new(wanted)).map(|path| path.display().to_string())
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (wanted, file) in [
            ("trian.py", "train.py"),
            ("Train.py", "train.py"),
            ("TRAIN.PY", "train.py"),
            ("train", "train.py"),
            ("src/eval", "src/eval.py"),
            ("eval.py", "src/eval.py"),
            ("src/train.py", "train.py"),
            ("scr/eval.py", "src/eval.py"),
            ("Src/eval.py", "src/eval.py"),
            ("rnu.sh", "run.sh"),
            ("./tran.py", "train.py"),
            ("evalaute_al.py", "evaluate_all.py"),
        ] {
            assert_eq!(meant(wanted).as_deref(), Some(file), "{wanted}");
        }
    }

    #[test]
    fn what_is_not_near_or_not_one_is_not_suggested() {
        for wanted in ["finetune.py", "data.py", "notes.py", "train.sh", "/train.py", "../train.py", "x", "main.py"] {
            assert_eq!(meant(wanted), None, "{wanted}");
        }
    }
}
