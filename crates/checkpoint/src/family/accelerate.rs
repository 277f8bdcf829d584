//! Accelerate's `save_state`, which the diffusers and many other training scripts use: a directory of any name with weights,
//! optimizer, scheduler and, saved last, the random states of each process.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{Completeness, Unfinished, torch, tree};
use crate::listing::{Candidate, EntryKind};
use crate::{name, rewritten};

const RANDOM_STATES: &str = "random_states_0.pkl";

/// The beginnings of the usual names for a saved directory, from Accelerate and its examples. A directory with another name is
/// known by its content.
const PREFIXES: &[&[u8]] = &[b"checkpoint-", b"checkpoint_", b"step_", b"epoch_"];

/// Files that the main process writes before the random states.
const BEFORE: &[&str] = &["model.safetensors", "pytorch_model.bin", "optimizer.bin", "scheduler.bin", "scaler.pt"];

/// Most directories that are read.
const LOOKS: usize = 256;

pub(super) const FAMILY: Family = Family {
    name: "accelerate",
    about: "Accelerate `save_state`, diffusers scripts: a directory with `random_states_0.pkl`",
    complete: "`random_states_0.pkl` is whole, and so is every weight file and shard inside",
    candidates,
    marked: any_candidate,
    judge,
    saved_by_all: None,
};

/// Lists directories with random states. Where the family is named, a directory with a usual name counts before that, so that a
/// report can say that the directory is not finished.
fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let mut found = context.listing.pick(EntryKind::Directory, |text| Some(name::step(text)));
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.step));
    found.truncate(LOOKS);
    let usual = |candidate: &Candidate<'_>| {
        PREFIXES.iter().any(|prefix| name::numbered(candidate.entry.bytes(), prefix).is_some())
    };
    let marked = |candidate: &Candidate<'_>| context.listing.path(candidate.entry).join(RANDOM_STATES).exists();
    found.retain(|candidate| (context.named && usual(candidate)) || marked(candidate));
    found
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let dir = context.listing.path(candidate.entry);
    let states = dir.join(RANDOM_STATES);
    if !states.exists() {
        return Err(Unfinished::because(format!("no {RANDOM_STATES} yet")));
    }
    if let Some(file) = rewritten::after(&dir, RANDOM_STATES, BEFORE.iter().copied()) {
        return Err(Unfinished::because(format!("{file} was written again after {RANDOM_STATES}")));
    }
    torch(&states).map_err(|why| why.inside(std::path::Path::new(RANDOM_STATES)))?;
    tree(&dir)
}
