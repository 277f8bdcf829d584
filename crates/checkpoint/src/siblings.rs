//! The parts of a checkpoint that is a directory, compared with those before it: what all of them have and this one lacks is missing. The comparison is by name, within fixed bounds.

use super::listing::{EntryKind, Listing};
use super::part::{self, Part};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many levels of a checkpoint are read.
const DEPTH: usize = 2;

/// Most entries that are read of one directory.
const MOST_ENTRIES: usize = 4096;

/// Returns a part that all of the other checkpoints have, and this one has not. A checkpoint without any part in common is of another
/// kind, and tells nothing.
pub(crate) fn lacking(dir: &Path, others: impl Iterator<Item = PathBuf>) -> Option<String> {
    let own = parts(dir);
    let others = others.map(|other| parts(&other)).filter(|other| !other.names.is_disjoint(&own.names));
    let common = others.map(|other| other.compared).reduce(|common, parts| &common & &parts)?;
    common.into_iter().find(|part| !own.compared.contains(part))
}

/// The files of a checkpoint, by name.
#[derive(Default)]
struct Parts {
    /// All names, which tell whether two checkpoints are of one kind.
    names: BTreeSet<String>,
    /// Files of weights and states that every checkpoint has, without those of other ranks than the first one: the number of ranks may
    /// change from one start to the next.
    compared: BTreeSet<String>,
}

fn parts(dir: &Path) -> Parts {
    let mut found = Parts::default();
    gather(dir, "", DEPTH, &mut found);
    found
}

fn gather(dir: &Path, above: &str, depth: usize, found: &mut Parts) {
    let listing = Listing::read(dir, MOST_ENTRIES).unwrap_or_default();
    for entry in &listing.entries {
        let part = Part::of(entry.bytes());
        match entry.kind {
            EntryKind::Directory if depth > 0 => {
                // The parts of a model in parallel are as many at every start.
                let name =
                    if part.ranks.is_empty() { part.template } else { entry.name.to_string_lossy().into_owned() };
                gather(&listing.path(entry), &format!("{above}{name}/"), depth - 1, found);
            }
            EntryKind::File => {
                let name = format!("{above}{}", part.template.replace(['%', '^'], "0"));
                if is_compared(entry.bytes(), &part) {
                    found.compared.insert(name.clone());
                }
                found.names.insert(name);
            }
            EntryKind::Directory => {}
        }
    }
}

/// Tells whether every checkpoint has this file. Files of ranks, and files that a number tells apart, may be as many as there are
/// processes.
fn is_compared(name: &[u8], part: &Part) -> bool {
    part::is_part(name) && !part.template.contains('#') && part.ranks.iter().all(|rank| *rank == 0)
}
