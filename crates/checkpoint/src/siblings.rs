//! The parts of a checkpoint that is a directory, compared with those before it: what all of them have and this one lacks is missing.
//! The comparison is by name, within fixed bounds. Above the bounds nothing is compared, and so nothing is called missing.

use super::listing::{EntryKind, Listing};
use super::part::{self, Part, Save};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many levels of a checkpoint are read.
const DEPTH: usize = 8;

/// Most entries that are read of one checkpoint.
const MOST_ENTRIES: usize = 16_384;

/// A checkpoint's directory and its step.
pub(crate) type Sibling = (PathBuf, Option<u64>);

/// Returns a part that all of the other checkpoints have, and this one has not. A checkpoint without any name in common is of another
/// kind, and tells nothing.
pub(crate) fn lacking(of: &Sibling, others: impl Iterator<Item = Sibling>) -> Option<String> {
    let own = Parts::of(of)?;
    let others = others.filter_map(|other| Parts::of(&other)).filter(|other| !other.names.is_disjoint(&own.names));
    let common = others.map(|other| other.compared).reduce(|common, parts| &common & &parts)?;
    common.into_iter().find(|part| !own.compared.contains(part))
}

/// The files of a checkpoint, by name.
struct Parts {
    /// All names, which tell whether two checkpoints are of one kind.
    names: BTreeSet<String>,
    /// Files of weights and states that every checkpoint has, without those of other ranks than the first one: the number of ranks may
    /// change from one start to the next.
    compared: BTreeSet<String>,
    /// The checkpoint's own step, which may be in the names inside.
    step: Option<u64>,
    entries_left: usize,
}

impl Parts {
    /// Lists the files of a checkpoint; `None` where there are too many.
    fn of((dir, step): &Sibling) -> Option<Self> {
        let (names, compared) = (BTreeSet::new(), BTreeSet::new());
        let mut parts = Parts { names, compared, step: *step, entries_left: MOST_ENTRIES };
        parts.gather(dir, "", DEPTH)?;
        Some(parts)
    }

    fn gather(&mut self, dir: &Path, above: &str, depth: usize) -> Option<()> {
        let listing = Listing::read(dir, self.entries_left).ok().filter(|listing| !listing.cut && depth > 0)?;
        self.entries_left = self.entries_left.checked_sub(listing.entries.len())?;
        for entry in &listing.entries {
            let part = Part::of(entry.bytes());
            if entry.kind == EntryKind::Directory {
                let name = if self.is_own_step(&part) { part.template } else { entry.name.to_string_lossy().into() };
                self.gather(&listing.path(entry), &format!("{above}{name}/"), depth - 1)?;
                continue;
            }
            let name = format!("{above}{}", part.template.replace(['%', '^'], "0"));
            if is_compared(entry.bytes(), &part) {
                self.compared.insert(name.clone());
            }
            self.names.insert(name);
        }
        Some(())
    }

    /// Tells whether a name has the number of the checkpoint itself (`checkpoint-500/global_step500`). Other numbers are those of layers
    /// and of parts of the model, which are as many at every start.
    fn is_own_step(&self, part: &Part) -> bool {
        self.step.is_some_and(|step| part.save == Save::Step(step))
    }
}

/// Tells whether every checkpoint has this file. Files of ranks, and files that a number tells apart, may be as many as there are
/// processes.
fn is_compared(name: &[u8], part: &Part) -> bool {
    part::is_part(name) && !part.template.contains('#') && part.ranks.iter().all(|rank| *rank == 0)
}
