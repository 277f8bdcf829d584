//! What lies in a store, by its name alone. Nothing else in the directory is ever touched. Pure.

use super::store_dir::UNFINISHED;
use std::path::{Path, PathBuf};

/// How the name of a finished environment ends.
const PACKED: &str = "tar.lz4";

/// Length of a key.
const KEY: usize = 16;

/// The files of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNames {
    /// Packed.
    pub packed: PathBuf,
    /// Somebody builds it.
    pub lease: PathBuf,
    /// It could not be built.
    pub failed: PathBuf,
    /// Written when it is used.
    pub used: PathBuf,
}

impl EntryNames {
    /// Of the environment with this key.
    pub fn of(store: &Path, key: &str) -> Self {
        let file = |end: &str| store.join(format!("{key}.{end}"));
        EntryNames { packed: file(PACKED), lease: file("lease"), failed: file("failed"), used: file("used") }
    }
}

/// What a file of a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFileKind<'a> {
    /// The environment with this key.
    Packed(&'a str),
    /// When the one with this key was used.
    Used(&'a str),
    /// That somebody builds it.
    Lease,
    /// That it could not be built.
    Failed,
    /// What somebody was writing or taking away.
    Leftover,
}

/// What a name says; none if it is nothing of ours.
pub fn what(name: &str) -> Option<StoreFileKind<'_>> {
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
