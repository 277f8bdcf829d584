//! The source of the gpu-probe. The probe is part of this binary; what the container permits decides how it is executed.

use super::super::facts::ProbePath;
use super::GpuHelper;
use nix::errno::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use sys::image;

/// The path at which `trainit gpu install-probe` writes the probe.
pub const INSTALLED: &str = "/usr/local/libexec/trainit/gpu-helper";

/// Directories for a file without a name that can be executed.
const DIRECTORIES: [&str; 4] = ["/run", "/dev/shm", "/tmp", "/var/tmp"];

/// Returns the probe's bytes; `None` if this binary was built without it.
pub fn embedded() -> Option<&'static [u8]> {
    Some(gpu_probe::PROGRAM).filter(|bytes| !bytes.is_empty())
}

/// Returns whether this binary contains the probe.
pub fn is_embedded() -> bool {
    embedded().is_some()
}

/// Yields the ways that a choice allows, in order; each is tried when the iterator reaches it.
pub fn images(wanted: &GpuHelper) -> impl Iterator<Item = (ProbePath, nix::Result<OwnedFd>)> {
    let sources = match wanted {
        GpuHelper::Auto => [ProbeSource::Installed, ProbeSource::Memory]
            .into_iter()
            .chain(DIRECTORIES.map(ProbeSource::Unnamed))
            .collect(),
        GpuHelper::File => vec![ProbeSource::Installed],
        GpuHelper::Memfd => vec![ProbeSource::Memory],
        GpuHelper::Path(file) => vec![ProbeSource::File(file.clone())],
        GpuHelper::Smi | GpuHelper::Off => Vec::new(),
    };
    sources.into_iter().map(|source| (source.way(), source.open()))
}

enum ProbeSource {
    File(PathBuf),
    Installed,
    Memory,
    Unnamed(&'static str),
}

impl ProbeSource {
    fn way(&self) -> ProbePath {
        match self {
            ProbeSource::File(_) | ProbeSource::Installed => ProbePath::File,
            ProbeSource::Memory => ProbePath::Memory,
            ProbeSource::Unnamed(_) => ProbePath::Unnamed,
        }
    }

    fn open(&self) -> nix::Result<OwnedFd> {
        match self {
            ProbeSource::File(file) => image::on_disk(file),
            ProbeSource::Installed => installed(Path::new(INSTALLED)),
            ProbeSource::Memory => image::in_memory(c"trainit-gpu", embedded().ok_or(Errno::ENOEXEC)?),
            ProbeSource::Unnamed(directory) => image::unnamed(Path::new(directory), embedded().ok_or(Errno::ENOEXEC)?),
        }
    }
}

/// Opens the installed file, if it is the probe of this binary (ESTALE: it is another version's, or modified).
fn installed(file: &Path) -> nix::Result<OwnedFd> {
    let bytes = std::fs::read(file).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    if embedded() != Some(bytes.as_slice()) {
        return Err(Errno::ESTALE);
    }
    image::on_disk(file)
}
