//! The checkpoints of a mirror, read from its manifests.

use super::manifest::{Manifest, Unreadable};
use super::names::{self, MirrorUrl};
use super::parts::{self, Found};
use super::store::{self, Store};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use transfer_protocol::{Failure, FailureKind, Object};

/// Most manifests that are read: those that were written last.
const MOST_READ: usize = 64;
/// The same of parts, of which each node writes one for each checkpoint.
const MOST_PARTS: usize = 4096;
/// The longest manifest: a hundred thousand files with long names.
const MANIFEST_MAX: u64 = 256 << 20;

/// All manifests that were read, by the names of their objects; one that is none is kept with the reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    read: BTreeMap<String, Result<Found, String>>,
}

impl Account {
    /// Reads what was listed below `.trainit/` and is not known yet, and forgets what is gone.
    pub(crate) fn learn(&mut self, store: &mut dyn Store, url: &MirrorUrl, listed: &[Object]) -> Result<(), Failure> {
        let (mut parts, mut manifests): (Vec<&Object>, Vec<&Object>) = listed
            .iter()
            .filter(|object| names::is_manifest(&object.key))
            .partition(|object| names::is_part(&object.key));
        for (some, most) in [(&mut manifests, MOST_READ), (&mut parts, MOST_PARTS)] {
            some.sort_by_key(|object| Reverse((object.modified, object.key.as_str())));
            some.truncate(most);
        }
        manifests.append(&mut parts);
        self.read.retain(|key, _| manifests.iter().any(|object| object.key == *key));
        for object in manifests {
            if self.read.contains_key(&object.key) {
                continue;
            }
            match read(store, url, object) {
                Ok(bytes) => drop(self.read.insert(object.key.clone(), found(object, &bytes))),
                // It was deleted after the listing.
                Err(failure) if failure.kind == FailureKind::Gone => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Notes a manifest that was just written.
    pub(crate) fn add(&mut self, found: Found) {
        self.read.insert(found.key.clone(), Ok(found));
    }

    /// Forgets a manifest that is about to be deleted.
    pub(crate) fn forget(&mut self, key: &str) {
        self.read.remove(key);
    }

    /// Returns all whole checkpoints, the one that was written last first.
    pub(crate) fn newest_first(&self) -> Vec<Found> {
        let (parts, whole): (Vec<&Found>, Vec<&Found>) = self.each().partition(|found| found.manifest.part.is_some());
        let mut all: Vec<Found> = whole.into_iter().cloned().chain(parts::joined(&parts)).collect();
        all.sort_by_key(|found| Reverse((found.modified, found.manifest.step)));
        all
    }

    /// Returns each manifest as it was read, also those of parts.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Found> {
        self.read.values().filter_map(|found| found.as_ref().ok())
    }

    /// Returns the names of the objects that are no manifests, each with the reason.
    fn odd(&self) -> impl Iterator<Item = (&String, &String)> {
        self.read.iter().filter_map(|(key, found)| Some((key, found.as_ref().err()?)))
    }

    /// Returns whether a manifest refers to this object of the mirror.
    pub(crate) fn refers_to(&self, name: &str) -> bool {
        let mut files =
            self.each().flat_map(|found| found.manifest.files.iter().map(|file| (&found.manifest.root, &file.path)));
        files.any(|(root, path)| name.strip_prefix(root.as_str()) == Some(path))
    }

    /// Returns whether an object that is no manifest may be one of a later version, which may refer to anything.
    pub(crate) fn may_refer_to_more(&self) -> bool {
        self.odd().next().is_some()
    }
}

fn found(object: &Object, bytes: &[u8]) -> Result<Found, String> {
    let manifest = Manifest::read(bytes).map_err(|error: Unreadable| error.to_string())?;
    Ok(Found { key: object.key.clone(), modified: object.modified, manifest, parts: Vec::new() })
}

fn read(store: &mut dyn Store, url: &MirrorUrl, object: &Object) -> Result<Vec<u8>, Failure> {
    if object.size > MANIFEST_MAX {
        return Ok(Vec::new());
    }
    store::read(store, url.object(&names::in_own(&object.key)), object.size)
}

/// Returns the whole checkpoints of a mirror, the one that was written last first, and lines about what is none.
///
/// # Errors
/// The failure of the store.
pub fn newest_first(store: &mut dyn Store, url: &MirrorUrl) -> Result<(Vec<Found>, Vec<String>), Failure> {
    let listed = store.list(&url.own())?;
    let mut account = Account::default();
    account.learn(store, url, &listed)?;
    let notes = account.odd().map(|(key, why)| format!("{} is not used: {why}", names::in_own(key))).collect();
    Ok((account.newest_first(), notes))
}
