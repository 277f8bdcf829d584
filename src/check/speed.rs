//! The reading speed of a data set: a few files, a few seconds, only on request. Opening and reading are measured separately, because many
//! small files on a share are slow to open. Files in the page cache are counted separately, too.

use super::failures::errno;
use nix::errno::Errno;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::cache;
use sys::filesystem::FilesystemClass;

/// Limits of the measurement: files, bytes and time.
const FILES: usize = 64;
const BYTES: u64 = 64 << 20;
const TIME: Duration = Duration::from_secs(3);
/// Number of directory entries that are examined to find the files.
const ENTRIES: usize = 1000;

/// The result of a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Speed {
    files: u32,
    bytes: u64,
    opening: Duration,
    reading: Duration,
    /// Number of files that were already in the page cache.
    warm: u32,
    /// Whether the file system lies in memory.
    memory: bool,
}

/// Reads some files of a directory, or of the first subdirectory that has some; or the file itself.
///
/// # Errors
/// The error of readdir(3), open(2) or read(2).
pub(super) fn measure(path: &Path, class: Option<FilesystemClass>) -> Result<Speed, Errno> {
    let (begun, mut speed) =
        (Instant::now(), Speed { memory: class == Some(FilesystemClass::Memory), ..Speed::default() });
    for path in files(path, 1)? {
        if speed.bytes >= BYTES || begun.elapsed() > TIME {
            break;
        }
        speed.read(&path, begun)?;
    }
    Ok(speed)
}

fn files(path: &Path, deeper: u8) -> Result<Vec<PathBuf>, Errno> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut directory) = (Vec::new(), None);
    for entry in std::fs::read_dir(path).map_err(errno)?.take(ENTRIES) {
        let entry = entry.map_err(errno)?;
        let kind = entry.file_type().map_err(errno)?;
        if kind.is_file() && files.len() < FILES {
            files.push(entry.path());
        } else if kind.is_dir() && directory.is_none() {
            directory = Some(entry.path());
        }
    }
    match directory.filter(|_| files.is_empty() && deeper > 0) {
        Some(directory) => self::files(&directory, deeper - 1),
        None => Ok(files),
    }
}

impl Speed {
    fn read(&mut self, path: &Path, begun: Instant) -> Result<(), Errno> {
        let before = Instant::now();
        let mut file = File::open(path).map_err(errno)?;
        self.opening += before.elapsed();
        self.files += 1;
        self.warm += u32::from(cache::still_holds(&file));
        let (before, mut room) = (Instant::now(), vec![0; 1 << 20]);
        while self.bytes < BYTES && begun.elapsed() < TIME {
            let count = file.read(&mut room).map_err(errno)?;
            if count == 0 {
                break;
            }
            self.bytes += count as u64;
        }
        self.reading += before.elapsed();
        Ok(())
    }

    /// Returns the bytes per second; `None` if nothing was read.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        (self.bytes > 0).then(|| (self.bytes as f64 / self.reading.as_secs_f64().max(1e-9)) as u64)
    }

    fn opens_per_second(&self) -> u64 {
        (f64::from(self.files) / self.opening.as_secs_f64().max(1e-9)) as u64
    }

    /// Formats the speed: `412 MiB/s, 2300 opens/s`. Adds a note if the page cache makes the number meaningless.
    pub(super) fn described(&self) -> String {
        let warm = if self.memory || self.warm * 2 > self.files { " (from this machine's memory)" } else { "" };
        let bytes = self.bytes_per_second().map(|bytes| format!("{}/s", text::size(bytes)));
        format!("{}, {} opens/s{warm}", bytes.unwrap_or_else(|| "nothing to read".to_owned()), self.opens_per_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_and_reading_are_told_apart() {
        let (opening, reading) = (Duration::from_millis(100), Duration::from_secs(2));
        let speed = Speed { files: 10, bytes: 64 << 20, opening, reading, warm: 5, memory: false };
        assert_eq!(speed.described(), "32 MiB/s, 100 opens/s");
        assert!(Speed { warm: 6, ..speed }.described().ends_with(" (from this machine's memory)"));
        assert!(Speed { memory: true, ..speed }.described().ends_with("memory)"));
        assert!(Speed { bytes: 0, ..speed }.described().starts_with("nothing to read, "));
    }

    #[test]
    fn files_are_found_one_directory_down() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        assert!(measure(directory.path(), None).unwrap().bytes_per_second().is_none());
        std::fs::write(directory.path().join("a/x"), vec![7; 3 << 20]).unwrap();
        let speed = measure(directory.path(), None).unwrap();
        assert_eq!((speed.files, speed.bytes), (1, 3 << 20));
    }
}
