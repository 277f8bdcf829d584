//! `trainit inject`: copies this program, and trainit-transfer from beside it, into a directory that another container mounts, so that an
//! image starts with trainit that was built without it.

use super::{CommandOutput, program_file};
use crate::error::{Error, ErrorKind, Result};
use protocol::exit_code::FailureFamily;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use transfer_protocol::PROGRAM;

/// The own program, also where its path names another file by now.
const OWN: &str = "/proc/self/exe";

/// Writes `DIR/trainit`, and `DIR/trainit-transfer` where that lies beside this program, executable for all users, and prints their
/// paths.
///
/// # Errors
/// A directory that cannot be written (113).
pub(super) fn run(directory: &Path) -> Result<CommandOutput> {
    inject(directory, beside().as_deref())
}

fn inject(directory: &Path, transfer: Option<&Path>) -> Result<CommandOutput> {
    let programs = [(Path::new(OWN), "trainit")].into_iter().chain(transfer.map(|file| (file, PROGRAM)));
    let mut written = String::new();
    for (program, name) in programs {
        let place = directory.join(name);
        copy(program, &place).map_err(|error| {
            Error::new(ErrorKind::Permanent(FailureFamily::Output), format!("cannot write {}", text::path(&place)))
                .caused_by(error)
                .hint("a directory that this user may write, on a volume that the other container mounts, too")
        })?;
        written.push_str(&format!("{}\n", text::path(&place)));
    }
    Ok(CommandOutput::well(written))
}

/// Returns trainit-transfer, if it lies beside this program's file.
fn beside() -> Option<PathBuf> {
    std::fs::read_link(OWN).ok()?.parent().map(|directory| directory.join(PROGRAM)).filter(|file| file.is_file())
}

fn copy(program: &Path, place: &Path) -> io::Result<()> {
    program_file::write(place, &mut File::open(program)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::exit_code::Exit;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_copy_is_this_program_and_takes_the_place_of_an_old_one_or_of_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (other, place) = (directory.path().join("other"), directory.path().join("deep/er/trainit"));
        std::fs::write(&other, "not to be written").unwrap();
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(&other, &place).unwrap();
        for _ in 0..2 {
            assert_eq!(run(place.parent().unwrap()).unwrap().text.trim(), place.to_str().unwrap());
            assert!(std::fs::read(&place).unwrap() == std::fs::read(OWN).unwrap());
            assert_eq!(std::fs::symlink_metadata(&place).unwrap().permissions().mode() & 0o7777, 0o755);
        }
        assert_eq!(std::fs::read(other).unwrap(), b"not to be written");
    }

    #[test]
    fn the_program_for_object_stores_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let transfer = directory.path().join("there");
        std::fs::write(&transfer, "moves bytes").unwrap();
        let said = inject(directory.path(), Some(&transfer)).unwrap().text;
        let paths: Vec<&Path> = said.lines().map(Path::new).collect();
        assert_eq!(paths, [directory.path().join("trainit"), directory.path().join("trainit-transfer")]);
        assert_eq!(std::fs::read(paths[1]).unwrap(), b"moves bytes");
        assert_eq!(std::fs::metadata(paths[1]).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let error = run(Path::new("/proc/no/such")).err().unwrap();
        assert_eq!(error.exit(), Exit::Permanent(FailureFamily::Output));
        assert!(error.what.contains("/proc/no/such/trainit"), "{}", error.what);
    }
}
