//! Small texts that a mirror keeps beside its checkpoints, in a directory of their own below `.trainit/`. They are no part of any
//! checkpoint, and no upload touches them.

use super::names::{self, MirrorUrl};
use super::store::{self, Store, one};
use transfer_protocol::{Failure, FailureKind, Object, Task};

/// The longest text that is read.
const MOST: u64 = 8 << 20;

/// A directory of texts in a mirror.
#[derive(Clone, Debug)]
pub struct Records {
    url: MirrorUrl,
    directory: &'static str,
}

impl Records {
    /// Returns the directory of this name; a mirror without it has no texts in it.
    pub fn new(url: &str, directory: &'static str) -> Self {
        Records { url: MirrorUrl::new(url), directory }
    }

    /// Lists the texts; their keys are names.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn list(&self, store: &mut dyn Store) -> Result<Vec<Object>, Failure> {
        match store.list(&self.object("")) {
            Err(failure) if failure.kind == FailureKind::Gone => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Reads a text; `None` if it is gone, or too long.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn read(&self, store: &mut dyn Store, listed: &Object) -> Result<Option<Vec<u8>>, Failure> {
        if listed.size > MOST {
            return Ok(None);
        }
        match store::read(store, self.object(&listed.key), listed.size) {
            Err(failure) if failure.kind == FailureKind::Gone => Ok(None),
            read => read.map(Some),
        }
    }

    /// Writes a text, in place of one of this name.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn write(&self, store: &mut dyn Store, name: &str, text: String) -> Result<(), Failure> {
        store::write(store, self.object(name), text, false)
    }

    /// Deletes a text.
    ///
    /// # Errors
    /// The failure of the store.
    pub fn delete(&self, store: &mut dyn Store, name: &str) -> Result<(), Failure> {
        one(store, Task::Delete { url: self.object(name) }).map(drop)
    }

    fn object(&self, name: &str) -> String {
        self.url.object(&names::in_own(&format!("{}/{name}", self.directory)))
    }
}
