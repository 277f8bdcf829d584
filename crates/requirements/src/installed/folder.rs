//! Directories of packages as they were at one moment. Whoever answers one question shares them, so that each is looked into once, and
//! all parts of the answer are about the same packages.

use super::{Distributions, distributions};
use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sys::directory::{DirectoryNames, OpenDirectory};

/// One directory.
#[derive(Debug)]
pub struct Folder {
    files: Rc<FolderFiles>,
    names: DirectoryNames,
    distributions: OnceCell<Distributions>,
}

/// The way to the files of a directory.
#[derive(Debug)]
pub struct FolderFiles {
    path: PathBuf,
    open: io::Result<OpenDirectory>,
}

/// The directories that were looked into so far.
#[derive(Debug, Default)]
pub struct Folders(RefCell<Vec<Rc<Folder>>>);

impl Folders {
    /// The directory of this path; the first time it is read.
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
    /// Reads one. A directory that cannot be read has no names.
    fn read(path: &Path) -> Self {
        let open = OpenDirectory::open(path);
        let names = open.as_ref().ok().and_then(|open| open.names().ok()).unwrap_or_default();
        Folder { files: Rc::new(FolderFiles { path: path.to_owned(), open }), names, distributions: OnceCell::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.files.path
    }

    /// Whether there is a directory, even if it cannot be read.
    pub fn is_there(&self) -> bool {
        self.files.open.is_ok() || self.path().is_dir()
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.names.iter()
    }

    /// The way to its files.
    pub fn files(&self) -> &Rc<FolderFiles> {
        &self.files
    }

    /// The distributions in it.
    pub fn distributions(&self) -> &Distributions {
        self.distributions.get_or_init(|| distributions(self))
    }
}

impl FolderFiles {
    /// Opens a file below the directory.
    ///
    /// # Errors
    /// What openat(2) says.
    pub fn open(&self, name: &Path) -> io::Result<File> {
        match &self.open {
            Ok(open) => open.file(name),
            Err(error) => Err(error.kind().into()),
        }
    }

    /// The whole path of a name below it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}
