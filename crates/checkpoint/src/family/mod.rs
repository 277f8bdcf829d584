//! The trainer families: the names of each family's checkpoints, the mark that tells the family, and the rule of completeness. A
//! new family is a file here and a line in `FAMILIES`.

mod accelerate;
mod dcp;
mod deepspeed;
mod huggingface;
mod lightning;
mod megatron;
mod nanotron;
mod nemo;
mod orbax;
mod plain;
mod safetensors;
mod torch;
mod verl;

use super::completeness::Completeness;
use super::listing::{Candidate, Listing};
use super::pattern::Pattern;
use std::fmt;

/// Most candidates that are searched for a family's mark.
const LOOKS: usize = 64;

/// A trainer family.
pub struct Family {
    /// The word in `checkpoint.family`.
    pub name: &'static str,
    /// The trainers that write such checkpoints.
    pub about: &'static str,
    /// The rule of completeness; docs/checkpoints.md has the same words.
    pub complete: &'static str,
    /// Lists the entries that may be a checkpoint of this family, by name and kind, with the step where it is known.
    pub(super) candidates: for<'a> fn(&FamilyContext<'a>) -> Vec<Candidate<'a>>,
    /// Tells for `auto` whether the directory is this family's, by a mark that no other family leaves.
    pub(super) marked: fn(&FamilyContext<'_>, &[Candidate<'_>]) -> bool,
    /// Judges whether a candidate is complete.
    pub(super) judge: fn(&FamilyContext<'_>, &Candidate<'_>) -> Completeness,
    /// Tells, where each node has a disk of its own and saves a part, whether this node knows that all have saved; `None` for a family
    /// whose checkpoints one process saves.
    pub(super) saved_by_all: Option<SavedByAll>,
}

/// Tells whether all nodes have saved their parts.
pub(super) type SavedByAll = fn(&FamilyContext<'_>, &Candidate<'_>) -> Completeness<()>;

/// All families, in the order in which `auto` asks them: first the families with a mark of their own, last the families that only
/// the end of a file name tells.
pub const FAMILIES: &[Family] = &[
    deepspeed::FAMILY,
    verl::FAMILY,
    megatron::FAMILY,
    huggingface::FAMILY,
    accelerate::FAMILY,
    nanotron::FAMILY,
    orbax::FAMILY,
    dcp::FAMILY,
    nemo::FAMILY,
    lightning::FAMILY,
    torch::FAMILY,
    safetensors::FAMILY,
    plain::FAMILY,
];

/// The data that a family's functions may use.
#[derive(Clone, Copy)]
pub(super) struct FamilyContext<'a> {
    /// The directory in which checkpoints appear.
    pub listing: &'a Listing,
    /// `checkpoint.pattern`.
    pub pattern: Option<&'a Pattern>,
    /// Whether the user named this family; otherwise `auto` is asking.
    pub named: bool,
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Takes any candidate for a mark, for families whose names no other family has.
fn any_candidate(_: &FamilyContext<'_>, candidates: &[Candidate<'_>]) -> bool {
    !candidates.is_empty()
}

/// Tells whether one of the candidates, which are directories, holds a file or directory of one of these names.
fn holds(context: &FamilyContext<'_>, candidates: &[Candidate<'_>], names: &[&str]) -> bool {
    let dirs = candidates.iter().take(LOOKS).map(|candidate| context.listing.path(candidate.entry));
    dirs.into_iter().any(|dir| names.iter().any(|name| dir.join(name).exists()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_the_documentation_tells_every_rule() {
        let page = include_str!("../../../../docs/checkpoints.md");
        for (n, family) in FAMILIES.iter().enumerate() {
            let row = format!("| `{}` | {} | {} |", family.name, family.about, family.complete);
            assert!(page.contains(&row), "docs/checkpoints.md lacks this row:\n{row}");
            assert!(FAMILIES[..n].iter().all(|other| other.name != family.name));
        }
    }
}
