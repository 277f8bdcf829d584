//! An environment in a store, as a start that takes it has it: opened, checked and of a trusted owner.

use super::archive::{ArchiveIndex, ArchiveManifest};
use super::unpack::{self, UnpackState};
use std::fs::File;
use std::io;
use std::path::Path;

/// A packed environment that is whole and of a trusted owner.
#[derive(Debug)]
pub struct Packed {
    pub(super) index: ArchiveIndex,
    pub(super) file: File,
}

impl Packed {
    /// Returns the description of the environment.
    pub fn manifest(&self) -> &ArchiveManifest {
        &self.index.manifest
    }

    /// Unpacks the environment below a directory; `tell` gets the number of bytes after each file. After an error the files made so far are
    /// removed.
    ///
    /// # Errors
    /// Returns the error of reading or writing; `InvalidData` if the environment is damaged.
    pub fn unpack(self, root: &Path, tell: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut made = UnpackState::default();
        let done = unpack::unpack(&self.index, self.file, root, &mut made, tell);
        if done.is_err() {
            made.undo();
        }
        done
    }
}
