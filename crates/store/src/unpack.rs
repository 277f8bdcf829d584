//! Unpacks an environment: files only, and only below one directory. The kernel's work for making files dominates the cost. Names are
//! therefore looked up in open directories, and bytes are written from the buffer that they were decompressed to. Another thread reads,
//! checks and decompresses meanwhile. Memory is a few buffers, however large an environment is.

use super::archive::ArchiveIndex;
use super::queue::{QueueReceiver, QueueSender, queue};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// The longest name, as for the kernel.
const NAME_MAX: u64 = 4096;

/// The size of an archive's blocks.
const BLOCK: usize = 512;

/// The number of pieces that are decompressed ahead of the writing.
const AHEAD: usize = 4;

/// The files and directories made so far.
#[derive(Debug, Default)]
pub(super) struct UnpackState {
    files: Vec<PathBuf>,
    /// The directories, each after the one that it is in.
    directories: Vec<PathBuf>,
    bytes: u64,
}

impl UnpackState {
    /// Removes the files and directories again. An empty directory of metadata would be a package without a version.
    pub(super) fn undo(&self) {
        self.files.iter().for_each(|file| _ = fs::remove_file(file));
        self.directories.iter().rev().for_each(|directory| _ = fs::remove_dir(directory));
    }
}

/// Unpacks everything below a root; `tell` gets the number of bytes after each file.
///
/// # Errors
/// Returns the error of reading or writing; `InvalidData` if the file is damaged, or contains more than files below the root.
pub(super) fn unpack(
    index: &ArchiveIndex,
    from: File,
    root: &Path,
    made: &mut UnpackState,
    tell: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let (to, pieces) = queue(AHEAD);
    let (back, used) = queue(usize::MAX);
    thread::scope(|scope| {
        // The thread ends when the receiver is dropped.
        scope.spawn(move || read_ahead(index, from, &to, &used));
        let mut stream = Stream { pieces, back, piece: Vec::new(), at: 0 };
        entries(&mut stream, root, made, tell)?;
        // The rest of the file is read so that it is checked as well.
        while !stream.some(u64::MAX)?.is_empty() {}
        let promised = (index.manifest.files, index.manifest.bytes);
        if promised != (made.files.len() as u64, made.bytes) {
            Err(refused("it has not the files that it had"))
        } else {
            Ok(())
        }
    })
}

/// Reads, checks and decompresses the pieces, into used buffers if there are any.
fn read_ahead(index: &ArchiveIndex, from: File, to: &QueueSender<io::Result<Vec<u8>>>, used: &QueueReceiver<Vec<u8>>) {
    let mut pieces = index.pieces(from);
    loop {
        let mut piece = used.receive_now().unwrap_or_default();
        let next = match pieces.next_into(&mut piece) {
            Ok(true) => Ok(piece),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        let is_last = next.is_err();
        if to.send(next).is_none() || is_last {
            return;
        }
    }
}

fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn entries(stream: &mut Stream, root: &Path, made: &mut UnpackState, tell: &mut dyn FnMut(u64)) -> io::Result<()> {
    let (mut way, mut long_name) = (OpenPath::from(root)?, Vec::new());
    while let Some(header) = stream.header()? {
        let size = header.entry_size()?;
        match header.entry_type() {
            tar::EntryType::GNULongName if size <= NAME_MAX => stream.write(size, &mut long_name)?,
            tar::EntryType::Regular => {
                let short_name = header.path_bytes();
                let name = if long_name.is_empty() { &short_name } else { long_name.as_slice() };
                let name = below(name).ok_or_else(|| refused("a name in it leads elsewhere"))?;
                let mut file =
                    way.make(name, header.mode()?, &mut |directory| made.directories.push(root.join(directory)))?;
                made.files.push(root.join(name));
                made.bytes = made.bytes.saturating_add(size);
                stream.write(size, &mut file)?;
                set_time(&file, name, header.mtime()?)?;
                long_name.clear();
                tell(made.bytes);
            }
            _ => return Err(refused("it holds something that is no file")),
        }
        stream.skip_padding(size)?;
    }
    Ok(())
}

/// Returns a name as a path below a directory; `None` if it leads elsewhere.
pub fn below(name: &[u8]) -> Option<&Path> {
    let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    let path = Path::new(OsStr::from_bytes(name));
    let inside = name.len() as u64 <= NAME_MAX && path.components().all(|part| matches!(part, Component::Normal(_)));
    (inside && !name.ends_with(b"/")).then_some(path)
}

/// Sets the time of a file, because Python compares byte code with the time of its source. The time of byte code itself does not matter.
fn set_time(file: &File, name: &Path, time: u64) -> io::Result<()> {
    if name.extension().is_some_and(|end| end == "pyc") {
        return Ok(());
    }
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time)).unwrap_or(SystemTime::UNIX_EPOCH);
    file.set_times(FileTimes::new().set_modified(time))
}

/// The open directories from the root to the last file. Files are sorted, so the next one is near.
struct OpenPath {
    root: File,
    open: Vec<(OsString, File)>,
}

impl OpenPath {
    fn from(root: &Path) -> io::Result<Self> {
        Ok(OpenPath { root: File::open(root)?, open: Vec::new() })
    }

    /// Creates one file. An existing file is removed first: it may be a link, or another name of a file in a cache.
    /// `tell` gets each directory that is made on the way.
    fn make(&mut self, path: &Path, mode: u32, tell: &mut dyn FnMut(&Path)) -> io::Result<File> {
        let directory = self.to(path.parent().unwrap_or(Path::new("")), tell)?;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let make = || openat(directory, name, flags, Mode::from_bits_truncate(mode & 0o777));
        let made = match make() {
            Err(Errno::EEXIST) => {
                unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
                make()
            }
            made => made,
        };
        Ok(File::from(made?))
    }

    /// Opens a directory, which is made if need be.
    fn to(&mut self, directory: &Path, tell: &mut dyn FnMut(&Path)) -> io::Result<&File> {
        let known = self.open.iter().zip(directory.iter()).take_while(|((open, _), part)| open == part).count();
        self.open.truncate(known);
        for part in directory.iter().skip(known) {
            let here = self.open.last().map_or(&self.root, |(_, file)| file);
            let made = || tell(&self.open.iter().map(|(open, _)| open.as_os_str()).chain([part]).collect::<PathBuf>());
            let next = entered(here, part, made)?;
            self.open.push((part.to_owned(), next));
        }
        Ok(self.open.last().map_or(&self.root, |(_, file)| file))
    }
}

fn entered(here: &File, name: &OsStr, made: impl FnOnce()) -> io::Result<File> {
    let open = || openat(here.as_fd(), name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let opened = match open() {
        Err(Errno::ENOENT) => {
            mkdirat(here.as_fd(), name, Mode::from_bits_truncate(0o777))?;
            made();
            open()
        }
        opened => opened,
    };
    Ok(File::from(opened?))
}

/// The pieces as one stream.
struct Stream {
    pieces: QueueReceiver<io::Result<Vec<u8>>>,
    /// The queue that returns used buffers.
    back: QueueSender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Stream {
    /// Returns the next contiguous bytes, at most `most`; empty at the end.
    fn some(&mut self, most: u64) -> io::Result<&[u8]> {
        while self.at == self.piece.len() {
            let Some(piece) = self.pieces.receive() else { return Ok(&[]) };
            let _ = self.back.send(std::mem::replace(&mut self.piece, piece?));
            self.at = 0;
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let some = usize::try_from(most).ok().and_then(|most| rest.get(..most)).unwrap_or(rest);
        self.at += some.len();
        Ok(some)
    }

    fn write(&mut self, mut size: u64, to: &mut impl Write) -> io::Result<()> {
        while size > 0 {
            let some = self.some(size)?;
            if some.is_empty() {
                return Err(refused("a file in it is cut off"));
            }
            to.write_all(some)?;
            size -= some.len() as u64;
        }
        Ok(())
    }

    /// Reads the next entry's header; `None` at the end, which is a block of zeros.
    fn header(&mut self) -> io::Result<Option<tar::Header>> {
        let mut header = tar::Header::new_old();
        self.write(BLOCK as u64, &mut header.as_mut_bytes().as_mut_slice())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if header.as_gnu().is_none() { Err(refused("it holds something that is no entry")) } else { Ok(Some(header)) }
    }

    fn skip_padding(&mut self, size: u64) -> io::Result<()> {
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        self.write(padding, &mut io::sink())
    }
}

#[cfg(test)]
#[path = "unpack/tests.rs"]
mod tests;
