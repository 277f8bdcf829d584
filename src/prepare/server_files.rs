//! Writes the files of a mode's server: private ones in one step, those that programs make, shared and kept ones.

use crate::error::{Error, ErrorKind, Result};
use crate::mode::{KeptFile, MadeFile, PrivateFile, SharedFile};
use crate::program;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::process;

/// Longest time for making a key or a certificate on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a file in one step, so that no reader sees a part of it or more than its mode allows.
pub(super) fn write(file: &PrivateFile) -> Result<()> {
    if file.keep && file.path.exists() {
        return Ok(());
    }
    let write = || {
        let directory = directory_of(&file.path)?;
        let mut new = temporary::make(directory, ".trainit-")?;
        new.write_all(&file.content)?;
        temporary::publish(new, &file.path, 0o600, false)
    };
    write().map_err(|error: io::Error| internal(&format!("cannot write {}", text::path(&file.path)), error))
}

/// Returns the directory of a private file, made if it is missing.
fn directory_of(path: &Path) -> io::Result<&Path> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    Ok(directory)
}

pub(super) fn make(made: &MadeFile, environment: &Environment) -> Result<()> {
    let Some((program, words)) = made.command.split_first().filter(|_| !made.path.exists()) else { return Ok(()) };
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(words);
    program::with_environment(&mut command, environment);
    let failed = || {
        let what = format!("{name} could not make {}", text::path(&made.path));
        Error::new(ErrorKind::NotFound, what).hint(made.hint.clone())
    };
    // The directory makes the new file private from its first byte on. If it cannot be made, the program reports that.
    let _ = directory_of(&made.path);
    let answer = process::with_umask(0o077, || program::capture(command, Some(Instant::now() + PATIENCE)));
    match answer {
        Ok(answer) if answer.succeeded() && made.path.exists() => {
            std::fs::set_permissions(&made.path, Permissions::from_mode(0o600))
                .map_err(|error| internal(&format!("cannot close {}", text::path(&made.path)), error))
        }
        Ok(answer) => Err(failed().because(answer.output.lines().last().unwrap_or("it said nothing"))),
        Err(error) => Err(failed().caused_by(error)),
    }
}

pub(super) fn share(file: &SharedFile) -> io::Result<()> {
    let (mode, group) = match std::fs::metadata(&file.path) {
        Ok(found) => (found.mode() & 0o777, Some(found.gid())),
        Err(_) => (0o644, None),
    };
    let mut new = temporary::make(file.path.parent().unwrap_or(Path::new("/")), ".trainit-")?;
    new.write_all(&file.content)?;
    std::os::unix::fs::fchown(new.as_file(), None, group)?;
    temporary::publish(new, &file.path, mode, false)
}

/// Copies a file to keep; a copy that another start has made first stays.
pub(super) fn keep(kept: &KeptFile) -> io::Result<()> {
    let directory = kept.to.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
    let mut new = temporary::make(directory, ".trainit-")?;
    new.write_all(&std::fs::read(&kept.from)?)?;
    match kept.to.exists() {
        true => Ok(()),
        false => temporary::publish(new, &kept.to, 0o600, true),
    }
}

pub(super) fn cannot_write(path: &Path, written: io::Result<()>) -> Option<String> {
    written.err().map(|error| format!("cannot write {}: {}", text::path(path), protocol::errno::words_of(&error)))
}

pub(super) fn internal(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Internal, what).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn files_are_private_and_those_that_are_to_be_kept_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/token");
        let file = |content: &str, keep| PrivateFile { path: path.clone(), content: content.into(), keep };
        write(&file("one", true)).unwrap();
        write(&file("two", true)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&file("two", false)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        // What others could read is replaced and not written into: a reader who has it open sees nothing new.
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut reader = std::fs::File::open(&path).unwrap();
        process::with_umask(0, || write(&file("three", false))).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut reader, &mut seen).unwrap();
        assert_eq!(seen, "two");
    }

    #[test]
    fn what_a_program_makes_is_closed_and_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let command = ["/bin/sh", "-c", "umask 0; echo made >>\"$0\""].map(OsString::from).to_vec();
        let command = [command, vec![path.clone().into()]].concat();
        let made = MadeFile { path: path.clone(), command, hint: String::new() };
        (0..2).for_each(|_| make(&made, &Environment::default()).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"made\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_last_words() {
        let command = ["/bin/sh", "-c", "echo first; echo no room >&2; exit 3"].map(OsString::from).to_vec();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = MadeFile { path: path.clone(), command, hint: "install it".into() };
        let error = make(&made, &Environment::default()).unwrap_err();
        assert_eq!(error.what, format!("sh could not make {}", path.display()));
        assert_eq!((error.because.as_deref(), error.kind), (Some("no room"), ErrorKind::NotFound));
    }
}
