//! What somebody changed in a directory that trainit filled: files, or commits of their own. After a killed checkout a file may be half
//! written; only what neither commit can explain is somebody's.

use super::failure::{Failure, FailureKind};
use super::git::Git;
use super::stamp::Stamp;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// How many names are told.
const NAMED: usize = 3;

/// What differs from what trainit brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Files: how many, and the first names.
    Files(usize, Vec<Vec<u8>>),
    /// Another commit is checked out.
    Commit(String),
}

/// Reads the answer of `git status --porcelain=v1 -z`: the number of changed files, and the first names.
///
/// An entry is `XY NAME` with a NUL behind it. A renamed file has a second entry with its old name.
pub fn changed_names(answer: &[u8]) -> (usize, Vec<Vec<u8>>) {
    let mut entries = answer.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        if entry.get(..2).is_some_and(|state| state.contains(&b'R') || state.contains(&b'C')) {
            entries.next();
        }
        names.push(entry.get(3..).unwrap_or_default().to_vec());
    }
    some(names)
}

fn some(mut names: Vec<Vec<u8>>) -> (usize, Vec<Vec<u8>>) {
    let count = names.len();
    names.truncate(NAMED);
    (count, names)
}

/// Compares a directory with the commit that the stamp names.
///
/// # Errors
/// A damaged repository.
pub(crate) fn of_whole(git: &Git<'_>, commit: &str) -> Result<Option<Changes>, Failure> {
    if let Some(other) = other_head(git, &[commit])? {
        return Ok(Some(Changes::Commit(other)));
    }
    let words = ["status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules=untracked"];
    let answer = git.run_with(&words, &[("GIT_OPTIONAL_LOCKS", "0".into())], &mut |_| {})?;
    Ok(files(changed_names(&answer)))
}

fn files((count, names): (usize, Vec<Vec<u8>>)) -> Option<Changes> {
    (count > 0).then_some(Changes::Files(count, names))
}

/// Compares a directory in which a checkout was killed with both commits.
///
/// # Errors
/// A damaged repository.
pub(crate) fn of_torn(git: &Git<'_>, stamp: &Stamp, target: &str) -> Result<Option<Changes>, Failure> {
    let known: Vec<&str> = stamp.commit.iter().map(String::as_str).chain([target]).collect();
    if let Some(other) = other_head(git, &known)? {
        return Ok(Some(Changes::Commit(other)));
    }
    let as_before = match &stamp.commit {
        Some(before) => unchanged(git, before)?,
        None => BTreeSet::new(),
    };
    let differs = differing(git, target)?;
    let unexplained = differs.into_iter().filter(|name| !as_before.contains(name));
    let mut foreign = Vec::new();
    for name in unexplained {
        if !is_a_part(git, target, &name)? {
            foreign.push(name);
        }
    }
    Ok(files(some(foreign)))
}

/// Returns the commit that is checked out if it is none of these. Before the first checkout there is none.
fn other_head(git: &Git<'_>, known: &[&str]) -> Result<Option<String>, Failure> {
    let head = match git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) {
        Ok(head) => String::from_utf8_lossy(&head).trim().to_owned(),
        Err(failure) if matches!(failure.kind, FailureKind::NoGit) => return Err(failure),
        Err(_) if known.len() == 1 && is_unborn(git)? => return Ok(None),
        Err(_) => return Err(Failure::new(FailureKind::Damaged)),
    };
    Ok((!known.contains(&head.as_str())).then_some(head))
}

/// Tells whether nothing was ever checked out in a repository that is in order.
fn is_unborn(git: &Git<'_>) -> Result<bool, Failure> {
    Ok(git.agrees(&["rev-parse", "--git-dir"])? && !git.agrees(&["rev-parse", "--verify", "--quiet", "HEAD"])?)
}

/// Returns the files of a commit that are in the directory as they are in the commit.
fn unchanged(git: &Git<'_>, commit: &str) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let all = git.ask(&["ls-tree", "-r", "-z", "--name-only", commit])?;
    let differs: BTreeSet<Vec<u8>> = differing(git, commit)?.into_iter().collect();
    Ok(names(&all).filter(|name| !differs.contains(name)).collect())
}

/// Returns the files of a commit that are in the directory, but with another content.
fn differing(git: &Git<'_>, commit: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let index = git.directory().join(".git/trainit-index");
    let variables = [("GIT_INDEX_FILE", OsString::from(&index))];
    let _ = fs::remove_file(&index);
    git.run_with(&["read-tree", commit], &variables, &mut |_| {})?;
    // It ends with 1 where a file differs.
    let _ = git.run_with(&["update-index", "-q", "--refresh"], &variables, &mut |_| {});
    let answer = git.run_with(&["diff-files", "--name-only", "-z", "--ignore-submodules"], &variables, &mut |_| {});
    let _ = fs::remove_file(&index);
    let is_there = |name: &Vec<u8>| {
        let found = fs::symlink_metadata(git.directory().join(OsStr::from_bytes(name)));
        found.is_ok_and(|found| !found.is_dir())
    };
    Ok(names(&answer?).filter(is_there).collect())
}

/// Tells whether a file is the beginning of what the commit has there: a killed checkout leaves one such file.
fn is_a_part(git: &Git<'_>, commit: &str, name: &[u8]) -> Result<bool, Failure> {
    let Ok(found) = fs::read(git.directory().join(OsStr::from_bytes(name))) else { return Ok(false) };
    if found.is_empty() {
        return Ok(true);
    }
    let object = format!("{commit}:{}", String::from_utf8_lossy(name));
    let whole = git.ask(&["cat-file", "--filters", &object])?;
    Ok(whole.starts_with(&found))
}

fn names(answer: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    answer.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_tells_is_read_with_odd_names_and_old_names() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(changed_names(b""), (0, Vec::new()));
        assert_eq!(changed_names(b" M a\nb\0R  new\0old\0"), (2, names(&["a\nb", "new"])));
        assert_eq!(changed_names(b"M  1\0A  2\0 D 3\0 M 4\0"), (4, names(&["1", "2", "3"])));
        assert_eq!(changed_names(b"R\0"), (1, names(&[""])));
    }
}
