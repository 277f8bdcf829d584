//! Where the helper comes from. It is part of this binary; how it is executed depends on what the container permits.

use super::super::facts::Way;
use crate::config::GpuHelper;
use nix::errno::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use sys::image;

/// What build.rs made; empty where it could not.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gpu-helper"));

/// Where `trainit gpu install-probe` puts it.
pub const INSTALLED: &str = "/usr/local/libexec/trainit/gpu-helper";

/// Where a file without a name may be made, and executed.
const DIRECTORIES: [&str; 4] = ["/run", "/dev/shm", "/tmp", "/var/tmp"];

/// The helper's bytes; none where this binary was built without.
pub fn embedded() -> Option<&'static [u8]> {
    Some(EMBEDDED).filter(|bytes| !bytes.is_empty())
}

/// Whether there is one.
pub fn is_embedded() -> bool {
    embedded().is_some()
}

/// The ways that a choice allows, in order, each tried when it is asked for.
pub fn images(wanted: &GpuHelper) -> impl Iterator<Item = (Way, nix::Result<OwnedFd>)> {
    let sources = match wanted {
        GpuHelper::Auto => {
            [Source::Installed, Source::Memory].into_iter().chain(DIRECTORIES.map(Source::Unnamed)).collect()
        }
        GpuHelper::File => vec![Source::Installed],
        GpuHelper::Memfd => vec![Source::Memory],
        GpuHelper::Path(file) => vec![Source::File(file.clone())],
        GpuHelper::Smi | GpuHelper::Off => Vec::new(),
    };
    sources.into_iter().map(|source| (source.way(), source.open()))
}

enum Source {
    File(PathBuf),
    Installed,
    Memory,
    Unnamed(&'static str),
}

impl Source {
    fn way(&self) -> Way {
        match self {
            Source::File(_) | Source::Installed => Way::File,
            Source::Memory => Way::Memory,
            Source::Unnamed(_) => Way::Unnamed,
        }
    }

    fn open(&self) -> nix::Result<OwnedFd> {
        match self {
            Source::File(file) => image::on_disk(file),
            Source::Installed => installed(Path::new(INSTALLED)),
            Source::Memory => image::in_memory(c"trainit-gpu", embedded().ok_or(Errno::ENOEXEC)?),
            Source::Unnamed(directory) => image::unnamed(Path::new(directory), embedded().ok_or(Errno::ENOEXEC)?),
        }
    }
}

/// The file that was installed, if it is the one of this binary (ESTALE: it is another version's, or changed).
fn installed(file: &Path) -> nix::Result<OwnedFd> {
    let bytes = std::fs::read(file).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    if embedded() != Some(bytes.as_slice()) {
        return Err(Errno::ESTALE);
    }
    image::on_disk(file)
}
