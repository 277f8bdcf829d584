//! Accelerate's `save_state`, as the diffusers and many other training scripts use it: a directory of any name with weights,
//! optimizer, scheduler and, saved last, the random states of each process.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{Completeness, Unfinished, torch, tree};
use crate::listing::{Candidate, EntryKind};
use crate::name;

const RANDOM_STATES: &str = "random_states_0.pkl";

/// How save_state's directories are named by Accelerate and in its examples; others are known by what is in them.
const PREFIXES: &[&[u8]] = &[b"checkpoint-", b"checkpoint_", b"step_", b"epoch_"];

/// Most directories that are looked into.
const LOOKS: usize = 256;

pub(super) const FAMILY: Family = Family {
    name: "accelerate",
    about: "Accelerate `save_state`, diffusers scripts: a directory with `random_states_0.pkl`",
    complete: "`random_states_0.pkl`, which is saved last, is whole, and so is every weight file and shard inside",
    candidates,
    marked: any_candidate,
    judge,
};

/// When the family is named, a directory with one of the usual names counts before its random states are there: then it can
/// be told that it is not finished.
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
    torch(&states).map_err(|why| Unfinished(format!("{RANDOM_STATES}: {}", why.0)))?;
    tree(&dir)
}
