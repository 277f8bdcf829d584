//! Lists of packages beside a history, one file for each hash. While a history waits for a first checkpoint, its list waits in the state
//! directory, because PID 1 keeps no text of such a length.

use super::HistoryFile;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::untrusted::{self, Owners};

/// The longest list that is kept, in bytes.
const LIST_MAX: u64 = 1 << 20;

/// The beginning and the end of a list's name.
const BEGINS: &str = "packages-";
const ENDS: &str = ".txt";

/// Returns the name of the list with this hash.
pub(crate) fn list_name(hash: &str) -> String {
    format!("{BEGINS}{hash}{ENDS}")
}

impl HistoryFile {
    /// Keeps a list beside the history, if it is not there yet.
    ///
    /// # Errors
    /// The error of the file system, also where the history's own directory does not exist.
    pub(crate) fn keep_list(&self, hash: &str, list: &str) -> io::Result<()> {
        if list.len() as u64 > LIST_MAX {
            return Ok(());
        }
        self.put_beside(Path::new(&list_name(hash)), list.as_bytes())
    }

    /// Returns the names of the lists that are kept.
    pub(crate) fn lists(&self) -> Vec<String> {
        let names = self.path.parent().map(waiting).unwrap_or_default();
        names.into_iter().filter_map(|name| name.to_str().map(str::to_owned)).collect()
    }

    /// Reads a list.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn list(&self, name: &str) -> io::Result<Vec<u8>> {
        let directory = File::open(self.path.parent().unwrap_or(Path::new(".")))?;
        untrusted::read(directory, Path::new(name), LIST_MAX, Owners::Anyone)
    }

    /// Keeps a list that has a name already, if it is one of a list and not there yet.
    ///
    /// # Errors
    /// The error of the file system, also where the history's own directory does not exist.
    pub(crate) fn keep_named_list(&self, name: &str, list: &str) -> io::Result<()> {
        let hash = name.strip_prefix(BEGINS).and_then(|rest| rest.strip_suffix(ENDS));
        let hash = hash.filter(|hash| !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hash.map_or(Ok(()), |hash| self.keep_list(hash, list))
    }

    /// Moves the lists that wait in a directory to the history. What does not work is left out: a history without a list is whole.
    pub(crate) fn take_waiting_lists(&self, directory: &Path) {
        for name in waiting(directory) {
            let list = File::open(directory).and_then(|open| untrusted::read(open, &name, LIST_MAX, Owners::Anyone));
            if list.is_ok_and(|list| self.put_beside(&name, &list).is_ok()) {
                let _ = fs::remove_file(directory.join(&name));
            }
        }
    }
}

/// Lets a list wait in a directory.
///
/// # Errors
/// The error of the file system.
pub(crate) fn let_list_wait(directory: &Path, hash: &str, list: &str) -> io::Result<()> {
    match untrusted::create(File::open(directory)?, Path::new(&list_name(hash)), 0o644) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => io::Write::write_all(&mut made?, list.as_bytes()),
    }
}

fn waiting(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_list = |name: &[u8]| name.starts_with(BEGINS.as_bytes()) && name.ends_with(ENDS.as_bytes());
    names.filter(|name| is_list(name.as_bytes())).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_has_waited_ends_beside_the_history_and_is_written_once() {
        let (state, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = HistoryFile::in_directory(dir.path());
        let_list_wait(state.path(), "0a", "a==1\n").unwrap();
        let_list_wait(state.path(), "0a", "another text\n").unwrap();
        file.take_waiting_lists(state.path());
        assert!(waiting(state.path()).len() == 1, "there is no history yet, so the list waits on");
        fs::create_dir(dir.path().join(".trainit")).unwrap();
        file.take_waiting_lists(state.path());
        let kept = dir.path().join(".trainit/packages-0a.txt");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "a==1\n");
        assert!(waiting(state.path()).is_empty());
        file.keep_list("0a", "another text\n").unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "a==1\n");
        file.keep_list("0b", &"x".repeat(LIST_MAX as usize + 1)).unwrap();
        assert!(!dir.path().join(".trainit/packages-0b.txt").exists());
    }
}
