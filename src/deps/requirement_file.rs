//! Reads a requirement file as bytes, and makes the errors for one that cannot be read.

use super::refusal::permanent;
use crate::error::{Error, ErrorKind};
use protocol::exit_code::FailureFamily;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// The largest requirement file; a larger one is some other kind of file.
const FILE_MAX: u64 = 16 << 20;

/// Reads a requirement file, which must be a regular file: reading a pipe would wait for ever.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() || found.len() > FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file of less than 16 MiB"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes the error for an unusable requirement file. `from` names the file or setting that refers to it.
pub(super) fn unreadable(path: &Path, error: io::Error, from: Option<&str>) -> Error {
    let name = path.display();
    let asked = from.map_or(String::new(), |from| format!(" ({from} names it)"));
    match error.kind() {
        io::ErrorKind::NotFound => permanent(format!("requirement file {name} does not exist{asked}"))
            .hint("mount it, bake it into the image, or turn this off: TRAINIT_DEPS_REQUIREMENTS=off"),
        io::ErrorKind::IsADirectory => permanent(format!("{name} is a directory, not a requirement file{asked}"))
            .because("Docker makes an empty directory when the host's file of -v does not exist")
            .hint("check the host's side of the mount; then remove the empty directory there"),
        io::ErrorKind::PermissionDenied => permanent(format!("requirement file {name} cannot be read{asked}"))
            .because(format!("user {} has no permission", nix::unistd::geteuid()))
            .hint(format!("chmod a+r on the host's file of {name}")),
        io::ErrorKind::InvalidInput => permanent(format!("{name} is no requirement file{asked}")).caused_by(error),
        _ => Error::new(
            ErrorKind::Transient(FailureFamily::Deps),
            format!("requirement file {name} cannot be read{asked}"),
        )
        .caused_by(error),
    }
}
