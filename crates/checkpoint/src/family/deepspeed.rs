//! DeepSpeed: a directory for each save with files of every rank, and `latest`, which names the newest save. Rank 0 writes `latest`
//! when its own files are there, and only then waits for the other ranks, so files of other ranks may still be missing.

use super::{Family, FamilyContext};
use crate::completeness::{Completeness, Unfinished, head, tree};
use crate::format::{pickle, tracker};
use crate::listing::{Candidate, Entry, EntryKind, Listing};
use crate::name::numbered;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const LATEST: &str = "latest";

/// The name of a file with one rank's part of the optimizer contains this text.
const PART: &[u8] = b"zero_pp_rank_";
/// The name of such a file ends with this text.
const PART_ENDS: &[u8] = b"optim_states.pt";

/// How many bytes of a file are searched. The description of a large model's tensors stands before the number of ranks.
const DESCRIPTION: u64 = 4 << 20;
/// The beginning of a save's directory name, before the step.
const PREFIX: &[u8] = b"global_step";

pub(super) const FAMILY: Family = Family {
    name: "deepspeed",
    about: "DeepSpeed: `global_stepN/` and `latest`",
    complete: "`latest` names it or a later step, it holds model states and the optimizer's part of every rank, and every file of torch.save inside is whole; without `latest` none is",
    candidates,
    marked: |context, candidates| context.listing.has(LATEST, EntryKind::File) && !candidates.is_empty(),
    judge,
    saved_by_all: Some(named),
};

/// Lists the directories `global_stepN`, and the directory that `latest` names.
fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let latest = latest(&context.listing.dir).unwrap_or_default();
    context.listing.pick(EntryKind::Directory, |name| match numbered(name, PREFIX) {
        Some(step) => Some(Some(step)),
        None => (!latest.is_empty() && name == latest.as_bytes()).then_some(None),
    })
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    named(context, candidate)?;
    judge_files(&context.listing.path(candidate.entry))
}

/// Judges whether `latest` names a save, or a later one.
fn named(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness<()> {
    let latest = latest(&context.listing.dir)?;
    let named = candidate.entry.names().any(|name| name == latest.as_bytes());
    let earlier =
        candidate.step.is_some_and(|step| numbered(latest.as_bytes(), PREFIX).is_some_and(|newest| step <= newest));
    if !named && !earlier {
        return Err(Unfinished::because(format!("{LATEST} still names {latest}")));
    }
    Ok(())
}

/// Judges the directory that `latest` names.
pub(super) fn judge_latest(dir: &Path) -> Completeness {
    judge_files(&dir.join(latest(dir)?))
}

/// Reads the name in `latest`.
fn latest(dir: &Path) -> Completeness<String> {
    let bytes =
        head(&dir.join(LATEST), tracker::MOST as u64).map_err(|_| Unfinished::because(format!("no {LATEST} yet")))?;
    tracker::parse(&bytes).map(str::to_string).ok_or_else(|| Unfinished::because(format!("{LATEST} names nothing")))
}

fn judge_files(dir: &Path) -> Completeness {
    let listing = Listing::read(dir, usize::MAX)?;
    let mut models = listing.entries.iter().filter(|entry| entry.bytes().ends_with(b"model_states.pt")).peekable();
    if models.peek().is_none() {
        return Err(Unfinished::because("no model states in it"));
    }
    let contents = tree(dir)?;
    let ranks = models.find_map(|entry| ranks(&head(&listing.path(entry), DESCRIPTION).ok()?)).unwrap_or(0);
    match missing(&listing.entries, ranks) {
        Some(rank) => Err(Unfinished::because(format!("no part of the optimizer from rank {rank} yet"))),
        None => Ok(contents),
    }
}

/// Returns for how many ranks states were saved. With MiCS each group of ranks has all parts, and the states do not tell how many
/// that are.
fn ranks(states: &[u8]) -> Option<u64> {
    let key = b"mics_shard_size";
    let shared = states.windows(key.len()).any(|part| part == key);
    pickle::number_under("dp_world_size", states).filter(|_| !shared)
}

/// Returns the first rank of which a part is missing, for each part of the model; `None` where the optimizer is not in parts.
fn missing(entries: &[Entry], ranks: u64) -> Option<u64> {
    let mut parts: BTreeMap<&[u8], BTreeSet<u64>> = BTreeMap::new();
    for (rank, of_model) in entries.iter().filter_map(|entry| part(entry.bytes())) {
        parts.entry(of_model).or_default().insert(rank);
    }
    let gap = |saved: BTreeSet<u64>| {
        let all = ranks.max(saved.last().map_or(0, |last| last.saturating_add(1)));
        (saved.len() as u64 != all).then(|| (0..all).find(|rank| !saved.contains(rank))).flatten()
    };
    parts.into_values().find_map(gap)
}

/// Parses a file's name into the rank, and the part of the model.
fn part(name: &[u8]) -> Option<(u64, &[u8])> {
    let rest = name.strip_prefix(b"bf16_").unwrap_or(name).strip_prefix(PART)?.strip_suffix(PART_ENDS)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    Some((std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?, rest.get(end..)?))
}
