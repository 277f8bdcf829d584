//! Caches directories of packages as they were at one moment. All parts of one answer share the cache, so that each directory is read once
//! and every part is about the same packages.

use super::{Distributions, distributions};
use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::directory::{DirectoryNames, OpenDirectory};

/// One directory with the names in it.
#[derive(Debug)]
pub struct Folder {
    files: Rc<FolderFiles>,
    names: DirectoryNames,
    distributions: OnceCell<Distributions>,
}

/// Access to the files of a directory.
#[derive(Debug)]
pub struct FolderFiles {
    path: PathBuf,
    open: io::Result<OpenDirectory>,
}

/// The directories that were read so far.
#[derive(Debug, Default)]
pub struct Folders(RefCell<Vec<Rc<Folder>>>);

impl Folders {
    /// Returns the directory of this path, which is read the first time.
    pub fn get(&self, path: &Path) -> Rc<Folder> {
        let known = self.0.borrow().iter().find(|folder| folder.path() == path).cloned();
        known.unwrap_or_else(|| {
            let new = Rc::new(Folder::read(path));
            self.0.borrow_mut().push(Rc::clone(&new));
            new
        })
    }
}

impl Folder {
    /// Reads a directory; an unreadable one has no names.
    fn read(path: &Path) -> Self {
        let open = OpenDirectory::open(path);
        let names = open.as_ref().ok().and_then(|open| open.names().ok()).unwrap_or_default();
        Folder { files: Rc::new(FolderFiles { path: path.to_owned(), open }), names, distributions: OnceCell::new() }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.files.path
    }

    /// Checks whether the directory exists, even if it cannot be read.
    pub fn is_there(&self) -> bool {
        self.files.open.is_ok() || self.path().is_dir()
    }

    /// Returns the names in the directory.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.names.iter()
    }

    /// Returns the access to the files of the directory.
    pub fn files(&self) -> &Rc<FolderFiles> {
        &self.files
    }

    /// Returns the distributions in the directory.
    pub fn distributions(&self) -> &Distributions {
        self.distributions.get_or_init(|| distributions(self))
    }
}

impl FolderFiles {
    /// Opens a file below the directory.
    ///
    /// # Errors
    /// Returns the error of openat(2).
    pub fn open(&self, name: &Path) -> io::Result<File> {
        match &self.open {
            Ok(open) => open.file(name),
            Err(error) => Err(error.kind().into()),
        }
    }

    /// Returns the whole path of a name below the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}
