//! Files that are pointers of Git LFS in place of their content. git without git-lfs checks them out without a word, and a program then
//! reads a few lines of text as its weights.

use super::failure::{Failure, FailureKind};
use super::git::{Git, GitProgress};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a pointer begins (git-lfs, docs/spec.md); it has less than 1024 bytes.
const BEGIN: &[u8] = b"version https://git-lfs.github.com/spec/";
const MOST: u64 = 1024;

/// How many names are told.
const NAMED: usize = 3;

/// Fetches the contents of the pointers in a directory, if there are any.
///
/// # Errors
/// There is no git-lfs, or the server does not give the contents.
pub(crate) fn fetch(git: &Git<'_>, tell: &mut dyn FnMut(&GitProgress)) -> Result<(), Failure> {
    let found = pointers(git)?;
    if found.is_empty() {
        return Ok(());
    }
    if !git.agrees(&["lfs", "version"])? {
        return Err(missing(&found, false, String::new()));
    }
    // Only in this repository, and without hooks.
    git.ask(&["lfs", "install", "--local", "--skip-repo"])?;
    let pulled = git.run(&["lfs", "pull"], tell);
    match (pulled, pointers(git)?) {
        (Err(failure), left) if failure.may_pass() && left.is_empty() => Ok(()),
        (Err(failure), left) => match failure.kind {
            FailureKind::Other => Err(missing(&left, true, failure.told)),
            _ => Err(failure),
        },
        (Ok(_), left) if left.is_empty() => Ok(()),
        (Ok(_), left) => Err(missing(&left, true, String::new())),
    }
}

fn missing(found: &[Vec<u8>], tool: bool, told: String) -> Failure {
    let mut names: Vec<String> = found.iter().take(NAMED).map(|name| text::bytes(name)).collect();
    names.extend((found.len() > NAMED).then(|| "…".to_owned()));
    Failure { kind: FailureKind::Pointers { count: found.len(), names: names.join(", "), tool }, told }
}

fn pointers(git: &Git<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let all = git.ask(&["ls-files", "-z"])?;
    let names = all.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter(|name| is_pointer(&git.directory().join(OsStr::from_bytes(name)))).map(<[u8]>::to_vec).collect())
}

fn is_pointer(path: &Path) -> bool {
    let small = |found: std::fs::Metadata| found.is_file() && (BEGIN.len() as u64..MOST).contains(&found.len());
    if !std::fs::symlink_metadata(path).is_ok_and(small) {
        return false;
    }
    let mut begin = [0; BEGIN.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == BEGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_known_by_its_first_line_and_size() {
        let directory = tempfile::tempdir().unwrap();
        let is = |content: &[u8]| {
            let path = directory.path().join("x");
            std::fs::write(&path, content).unwrap();
            is_pointer(&path)
        };
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12\n";
        assert!(is(pointer));
        assert!(!is(b"version https://git-lfs"));
        assert!(!is(&[&pointer[..], &[b' '; 1024]].concat()));
        assert!(!is_pointer(directory.path()));
    }
}
