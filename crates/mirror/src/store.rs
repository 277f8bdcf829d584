//! What carries bytes between files and a mirror.

use std::io::{self, Write};
use transfer_protocol::{Done, Failure, FailureKind, Object, Task};

/// A longer text does not fit a line of the carrier, and goes through a file.
const TEXT_MAX: u64 = 24 << 10;

/// What carries bytes between files and a mirror.
pub trait Store {
    /// Carries out tasks, several at a time, and returns their outcomes in the same order. `moved` hears how many more bytes are
    /// through.
    ///
    /// # Errors
    /// The first failure; what else was under way may be done or not.
    fn run(&mut self, tasks: Vec<Task>, moved: &mut dyn FnMut(u64)) -> Result<Vec<Done>, Failure>;

    /// Lists everything below a prefix; names are relative to it.
    ///
    /// # Errors
    /// The failure of the store.
    fn list(&mut self, url: &str) -> Result<Vec<Object>, Failure>;
}

/// Carries out one task that moves next to nothing.
pub(crate) fn one(store: &mut dyn Store, task: Task) -> Result<Done, Failure> {
    store.run(vec![task], &mut |_| {}).map(|mut done| done.pop().unwrap_or_default())
}

/// Reads an object of this many bytes.
pub(crate) fn read(store: &mut dyn Store, url: String, size: u64) -> Result<Vec<u8>, Failure> {
    if size <= TEXT_MAX {
        let done = one(store, Task::Read { url, most: TEXT_MAX })?;
        return Ok(done.text.unwrap_or_default().into_bytes());
    }
    let file = tempfile::NamedTempFile::new().map_err(no_room)?;
    let path = file.path().to_owned();
    one(store, Task::Get { url, tag: None, offset: 0, length: size, path, at: 0, sha256: false })?;
    std::fs::read(file.path()).map_err(no_room)
}

/// Writes a text as an object; with `only_new` it fails with `Changed` where there is one.
pub(crate) fn write(store: &mut dyn Store, url: String, text: String, only_new: bool) -> Result<(), Failure> {
    if text.len() as u64 <= TEXT_MAX {
        return one(store, Task::PutText { url, text, only_new }).map(drop);
    }
    let mut file = tempfile::NamedTempFile::new().map_err(no_room)?;
    file.write_all(text.as_bytes()).map_err(no_room)?;
    let (path, length) = (file.path().to_owned(), text.len() as u64);
    one(store, Task::Put { url, path, offset: 0, length, only_new }).map(drop)
}

fn no_room(error: io::Error) -> Failure {
    Failure::new(FailureKind::Full, format!("no room for a text on its way: {error}"))
}
