//! Sources that are paths: what is there, and how it is copied.

mod copy;
mod walk;

pub(crate) use copy::CopyMover;
pub(crate) use walk::list;

use super::error::{Failed, ObjectFailure};
use super::item::{Item, ItemKind};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Makes the item of a regular file.
fn item_of(key: Vec<u8>, found: &Metadata) -> Item {
    let kind = if found.mode() & 0o111 == 0 { ItemKind::File } else { ItemKind::Program };
    let tag = format!("{}.{:09}", found.mtime(), found.mtime_nsec());
    Item { kind, size: found.len(), tag, sum: Vec::new(), key }
}

/// Returns the path of an object of a source, which may be one file.
fn path_of(root: &Path, key: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    root.join(std::ffi::OsStr::from_bytes(key))
}

/// Makes the failure of a system call.
fn failure(doing: &str, error: &io::Error) -> ObjectFailure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Failed::Gone,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failed::Full,
        _ if protocol::errno::cause_of(error).is_some() => Failed::Later,
        _ => Failed::Denied,
    };
    let hints = protocol::errno::cause_of(error).map(|cause| cause.advice.to_owned()).into_iter().collect();
    ObjectFailure { kind, text: format!("{doing}: {}", protocol::errno::words_of(error)), hints, skew: None }
}
