//! Unpacking an environment: files and nothing else, below one directory and nowhere else.

use super::archive::Index;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

/// Longest name, as for the kernel.
const NAME_MAX: u64 = 4096;

/// So many pieces are unpacked ahead of the files that are written.
const AHEAD: usize = 8;

/// What was made of an environment so far.
#[derive(Debug, Default)]
pub struct Made {
    files: Vec<PathBuf>,
    bytes: u64,
    directories: HashSet<PathBuf>,
}

impl Made {
    /// Takes away again what was made.
    pub fn undo(&self) {
        self.files.iter().for_each(|file| _ = fs::remove_file(file));
    }
}

/// Unpacks everything below a root. `tell` hears how many bytes there are, after each file.
///
/// # Errors
/// What reading and writing say; `InvalidData` if the file is damaged, or would do more than put files below the root.
pub fn unpack(index: &Index, from: File, root: &Path, made: &mut Made, tell: &mut dyn FnMut(u64)) -> io::Result<()> {
    let (to, pieces) = sync_channel(AHEAD);
    thread::scope(|scope| {
        // Reading, checking and unpacking go on while files are written; it ends when nobody wants more.
        scope.spawn(move || index.pieces(from).try_for_each(|piece| to.send(piece)));
        let mut stream = Stream { pieces, piece: Vec::new(), at: 0 };
        entries(&mut stream, root, made, tell)?;
        // What is behind the last entry is checked, too.
        io::copy(&mut stream, &mut io::sink())?;
        let promised = (index.manifest.files, index.manifest.bytes);
        if promised != (made.files.len() as u64, made.bytes) {
            Err(refused("it has not the files that it had"))
        } else {
            Ok(())
        }
    })
}

fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn entries(stream: &mut Stream, root: &Path, made: &mut Made, tell: &mut dyn FnMut(u64)) -> io::Result<()> {
    let mut tar = tar::Archive::new(stream);
    let mut long_name = None;
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type() {
            tar::EntryType::GNULongName if entry.size() <= NAME_MAX => {
                let mut name = Vec::new();
                entry.read_to_end(&mut name)?;
                long_name = Some(name);
            }
            tar::EntryType::Regular => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let path = root.join(below(&name).ok_or_else(|| refused("a name in it leads elsewhere"))?);
                let (size, header) = (entry.size(), entry.header());
                let (mode, time) = (header.mode()?, header.mtime()?);
                made.bytes += size;
                made.file(path, mode, time, &mut entry, size)?;
                tell(made.bytes);
            }
            _ => return Err(refused("it holds something that is no file")),
        }
    }
    Ok(())
}

/// A name as a path below a directory; none if it leads elsewhere.
pub fn below(name: &[u8]) -> Option<PathBuf> {
    let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    let path = Path::new(OsStr::from_bytes(name));
    let inside = name.len() as u64 <= NAME_MAX && path.components().all(|part| matches!(part, Component::Normal(_)));
    (inside && !name.ends_with(b"/")).then(|| path.to_owned())
}

impl Made {
    /// One file. What is there under its name goes first: it may be a link, or another name of a file in a cache.
    fn file(&mut self, path: PathBuf, mode: u32, time: u64, from: &mut impl Read, size: u64) -> io::Result<()> {
        if let Some(directory) = path.parent().filter(|directory| !self.directories.contains(*directory)) {
            fs::create_dir_all(directory)?;
            self.directories.insert(directory.to_owned());
        }
        let mut options = File::options();
        options.write(true).create_new(true).mode(mode & 0o777);
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        self.files.push(path);
        if io::copy(from, &mut file)? != size {
            return Err(refused("a file in it is cut off"));
        }
        // Python holds what it compiled against the time of the source.
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time)).unwrap_or(SystemTime::UNIX_EPOCH);
        file.set_times(FileTimes::new().set_modified(time))
    }
}

/// The pieces as one stream.
struct Stream {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.piece, self.at) = (piece?, 0);
        }
        let mut rest = self.piece.get(self.at..).unwrap_or_default();
        let count = rest.read(bytes)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
#[path = "unpack/tests.rs"]
mod tests;
