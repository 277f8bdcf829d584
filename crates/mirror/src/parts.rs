//! Checkpoints of which each node has a part: whole is one when all parts of one save are there.

use super::manifest::{Manifest, Part};
use std::collections::{BTreeMap, BTreeSet};

/// A manifest, and what the store says about its object.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The object's name below `.trainit/`.
    pub key: String,
    /// Seconds since 1970 when it was written, by the store's clock.
    pub modified: i64,
    /// The manifest; of a checkpoint in parts one with the files of all.
    pub manifest: Manifest,
    /// The manifests of its parts; empty where it has none.
    pub(crate) parts: Vec<Found>,
}

/// Returns the whole checkpoints among these parts, each with the files of all. Where two nodes have saved a file of one name, that of
/// the first one counts.
pub(crate) fn joined(parts: &[&Found]) -> Vec<Found> {
    saves(parts).into_values().filter(|found| lacking(found).is_empty()).filter_map(join).collect()
}

/// Returns the parts of each save, the first part first.
pub(crate) fn saves<'a>(parts: &[&'a Found]) -> BTreeMap<&'a str, Vec<&'a Found>> {
    let mut saves: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for found in parts {
        if let Some(part) = &found.manifest.part {
            saves.entry(&part.save).or_default().push(found);
        }
    }
    saves.values_mut().for_each(|found| found.sort_by_key(|found| number(found)));
    saves
}

/// Returns the numbers of the parts that are missing of a save.
pub(crate) fn lacking(found: &[&Found]) -> Vec<u32> {
    let of = |found: &&Found| found.manifest.part.as_ref().map_or(0, |part| part.of);
    let there: BTreeSet<u32> = found.iter().map(|found| number(found)).collect();
    (1..=found.iter().map(of).max().unwrap_or(1)).filter(|number| !there.contains(number)).collect()
}

fn number(found: &Found) -> u32 {
    found.manifest.part.as_ref().map_or(0, |part: &Part| part.number)
}

fn join(found: Vec<&Found>) -> Option<Found> {
    let first = *found.first()?;
    let same = |other: &&Found| other.manifest.name == first.manifest.name && other.manifest.run == first.manifest.run;
    if !found.iter().all(same) {
        return None;
    }
    let mut manifest = first.manifest.clone();
    let mut paths = BTreeSet::new();
    manifest.files.clear();
    for part in &found {
        for file in part.manifest.files.iter().filter(|file| paths.insert(file.path.as_str())) {
            let mut file = file.clone();
            file.root = Some(part.manifest.root.clone());
            manifest.files.push(file);
        }
    }
    let parts = found.into_iter().cloned().collect();
    // Of two saves the later one has the later first part, whichever was whole sooner.
    Some(Found { key: first.key.clone(), modified: first.modified, manifest, parts })
}
