//! The trainer families: how each names its checkpoints, by what it is known, and when one of its checkpoints is complete.
//! Adding a family is adding a file here and a line to the table.

mod accelerate;
mod dcp;
mod deepspeed;
mod huggingface;
mod lightning;
mod megatron;
mod orbax;
mod plain;
mod safetensors;
mod torch;

use super::completeness::Completeness;
use super::listing::{Candidate, Listing};
use super::pattern::Pattern;
use std::fmt;

/// Most candidates that are asked whether they carry a family's mark.
const LOOKS: usize = 64;

/// A trainer family.
pub struct Family {
    /// The word in `checkpoint.family`.
    pub name: &'static str,
    /// What writes such checkpoints.
    pub about: &'static str,
    /// When one is complete; docs/checkpoints.md has the same words.
    pub complete: &'static str,
    /// What may be a checkpoint of this family, by name and kind, with its step where that is known.
    pub(super) candidates: for<'a> fn(&FamilyContext<'a>) -> Vec<Candidate<'a>>,
    /// For `auto`: whether the directory is this family's, by a mark that no other family leaves.
    pub(super) marked: fn(&FamilyContext<'_>, &[Candidate<'_>]) -> bool,
    /// Whether a candidate is complete.
    pub(super) judge: fn(&FamilyContext<'_>, &Candidate<'_>) -> Completeness,
}

/// All families, in the order in which `auto` asks them: those with a mark of their own first, those known by nothing but
/// the ending of a file name last.
pub const FAMILIES: &[Family] = &[
    deepspeed::FAMILY,
    megatron::FAMILY,
    huggingface::FAMILY,
    accelerate::FAMILY,
    orbax::FAMILY,
    dcp::FAMILY,
    lightning::FAMILY,
    torch::FAMILY,
    safetensors::FAMILY,
    plain::FAMILY,
];

/// What a family looks at.
#[derive(Clone, Copy)]
pub(super) struct FamilyContext<'a> {
    /// The directory in which checkpoints appear.
    pub listing: &'a Listing,
    /// `checkpoint.pattern`.
    pub pattern: Option<&'a Pattern>,
    /// The user named this family; otherwise `auto` is asking.
    pub named: bool,
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Some candidate is enough of a mark: no other family has such names.
fn any_candidate(_: &FamilyContext<'_>, candidates: &[Candidate<'_>]) -> bool {
    !candidates.is_empty()
}

/// Whether one of the candidates, which are directories, holds a file or directory of one of these names.
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
