//! Packs files below a directory into an archive.

use super::archive::{ArchiveManifest, Packer};
use super::error::UnreadFile;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::untrusted::{self, Owners};

/// Packs files below a root; `tell` gets the number of bytes read, from time to time.
///
/// # Errors
/// Returns the error of reading or writing.
pub(super) fn pack(
    root: &Path,
    files: &[PathBuf],
    mut manifest: ArchiveManifest,
    to: impl Write,
    tell: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut tar = tar::Builder::new(Packer::new(to));
    for name in files {
        let file = untrusted::open_named(&root.join(name), Owners::Anyone)
            .map_err(|error| io::Error::new(error.kind(), UnreadFile(name.clone(), error)))?;
        let found = file.metadata()?;
        tar.append_data(&mut header(&found), name, file.take(found.len()))?;
        manifest.files += 1;
        manifest.bytes += found.len();
        tell(manifest.bytes);
    }
    tar.into_inner()?.finish(manifest)?.flush()
}

/// Makes the header of a file, without its owner.
fn header(found: &fs::Metadata) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(found.len());
    header.set_mode(found.mode() & 0o777);
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
    header
}
