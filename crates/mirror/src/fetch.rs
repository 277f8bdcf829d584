//! Fetches the files of a checkpoint into a directory of their own. What lies there already, and is right, is not fetched again.

use super::digest::sum_of;
use super::manifest::{Manifest, MirroredFile};
use super::names::MirrorUrl;
use super::store::Store;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use transfer_protocol::{Failure, Task};

/// How many pieces are asked for at once.
const BATCH: usize = 128;

/// Why a checkpoint was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store failed.
    #[error("{}", .0.text)]
    Store(Failure),
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Local {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// An object is not what its manifest says.
    #[error("{0} is not what its manifest says")]
    Corrupt(String),
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        FetchError::Store(failure)
    }
}

/// A piece that has to be fetched.
struct Missing<'a> {
    file: &'a MirroredFile,
    offset: u64,
    length: u64,
    sum: &'a str,
}

/// Fetches the files of a checkpoint to their paths below a directory, and has them written to the disk. `moved` hears how many more
/// bytes are there.
///
/// # Errors
/// The failure of the store or of the disk, or an object that is not what the manifest says.
pub fn fetch(
    store: &mut dyn Store,
    url: &MirrorUrl,
    manifest: &Manifest,
    into: &Path,
    moved: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let mut missing = Vec::new();
    for file in &manifest.files {
        missing.extend(prepare(file, into, moved)?);
    }
    for batch in missing.chunks(BATCH) {
        let task = |piece: &Missing<'_>| Task::Get {
            url: url.object(&manifest.object(piece.file)),
            tag: None,
            offset: piece.offset,
            length: piece.length,
            path: into.join(&piece.file.path),
            at: piece.offset,
            sha256: true,
        };
        let done = store.run(batch.iter().map(task).collect(), moved)?;
        let wrong = batch.iter().zip(done).find(|(piece, done)| done.sha256.as_deref() != Some(piece.sum));
        if let Some((piece, _)) = wrong {
            return Err(FetchError::Corrupt(piece.file.path.clone()));
        }
    }
    // The time tells the searches which checkpoint is the newer one.
    let saved = manifest.saved_at();
    manifest.files.iter().try_for_each(|file| finish(&into.join(&file.path), saved))
}

/// Makes a file of the right length, and returns the pieces that it lacks.
fn prepare<'a>(
    file: &'a MirroredFile,
    into: &Path,
    moved: &mut dyn FnMut(u64),
) -> Result<Vec<Missing<'a>>, FetchError> {
    let path = into.join(&file.path);
    let local = |source| FetchError::Local { path: path.clone(), source };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(local)?;
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(local)?;
    let before = open.metadata().map_err(local)?.len();
    open.set_len(file.size).map_err(local)?;
    let mut missing = Vec::new();
    for ((offset, length), sum) in file.pieces().into_iter().zip(&file.sha256) {
        let is_there = before == file.size && sum_of(&open, offset, length).map_err(local)? == *sum;
        match is_there {
            true => moved(length),
            false if length == 0 => {}
            false => missing.push(Missing { file, offset, length, sum }),
        }
    }
    Ok(missing)
}

/// Gives a file its time, and has it written to the disk.
fn finish(path: &Path, saved: SystemTime) -> Result<(), FetchError> {
    let local = |source| FetchError::Local { path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).open(path).map_err(local)?;
    file.set_modified(saved).and_then(|()| file.sync_all()).map_err(local)
}
