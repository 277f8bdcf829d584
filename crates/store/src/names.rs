//! Recognizes the files of a store by their names alone. No other file in the directory is ever touched. Pure.

use super::store_dir::UNFINISHED;
use std::path::{Path, PathBuf};

/// The suffix of a finished environment's name.
const PACKED: &str = "tar.lz4";

/// The length of a key.
const KEY: usize = 16;

/// The paths of one environment's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNames {
    /// The packed environment.
    pub packed: PathBuf,
    /// The lease of its builder.
    pub lease: PathBuf,
    /// The marker of a failed attempt.
    pub failed: PathBuf,
    /// The file whose modification time is the time of the last use.
    pub used: PathBuf,
}

impl EntryNames {
    /// Returns the paths for the environment with this key.
    pub fn of(store: &Path, key: &str) -> Self {
        let file = |end: &str| store.join(format!("{key}.{end}"));
        EntryNames { packed: file(PACKED), lease: file("lease"), failed: file("failed"), used: file("used") }
    }
}

/// The kind of a file in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreFileKind<'a> {
    /// The packed environment with this key.
    Packed(&'a str),
    /// The record of the last use of the environment with this key.
    Used(&'a str),
    /// The lease of a builder.
    Lease,
    /// The marker of a failed attempt.
    Failed,
    /// An unfinished or half-removed file.
    Leftover,
}

/// Returns the kind of a file by its name; `None` if it is not a file of the store.
pub(super) fn what(name: &str) -> Option<StoreFileKind<'_>> {
    if name.starts_with(UNFINISHED) {
        return Some(StoreFileKind::Leftover);
    }
    let (key, end) = name.split_once('.')?;
    let is_key = key.len() == KEY && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let what = match end {
        PACKED => StoreFileKind::Packed(key),
        "used" => StoreFileKind::Used(key),
        "lease" => StoreFileKind::Lease,
        "failed" => StoreFileKind::Failed,
        end if end.starts_with("stale-") || end.starts_with("gone-") => StoreFileKind::Leftover,
        _ => return None,
    };
    is_key.then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_has_a_meaning() {
        let key = "0123456789abcdef";
        let names = EntryNames::of(Path::new("/store"), key);
        let of = |path: &Path| what(Box::leak(path.file_name().unwrap().to_str().unwrap().to_owned().into_boxed_str()));
        assert_eq!(of(&names.packed), Some(StoreFileKind::Packed(key)));
        assert_eq!(of(&names.used), Some(StoreFileKind::Used(key)));
        assert_eq!([of(&names.lease), of(&names.failed)], [Some(StoreFileKind::Lease), Some(StoreFileKind::Failed)]);
        assert_eq!(what(&format!("{key}.stale-5-7")), Some(StoreFileKind::Leftover));
        assert_eq!(what(".new-Ab12Cd"), Some(StoreFileKind::Leftover));
        for foreign in
            ["model.tar.lz4", "0123456789ABCDEF.used", "0123456789abcdef.txt", "0123456789abcdef", ".newer", ""]
        {
            assert_eq!(what(foreign), None, "{foreign}");
        }
    }
}
