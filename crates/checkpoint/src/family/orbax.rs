//! orbax (JAX, Flax, MaxText): directories named by their step. On a file system orbax writes a directory under a temporary name
//! and renames it. On an object store, which cannot rename, orbax writes `commit_success.txt` last.

use super::{Family, FamilyContext, LOOKS, holds};
use crate::completeness::{Completeness, Unfinished, tree};
use crate::listing::{Candidate, EntryKind, Listing};
use crate::name::{numbered, step};
use std::path::Path;

const COMMITTED: &str = "commit_success.txt";
const TEMPORARY: &[u8] = b".orbax-checkpoint-tmp";

/// The files that orbax leaves in a step's directory, or in the directory of an item inside it.
const MARKS: &[&str] = &["_CHECKPOINT_METADATA", COMMITTED, "_METADATA", "manifest.ocdbt"];

pub(super) const FAMILY: Family = Family {
    name: "orbax",
    about: "orbax (JAX, Flax, MaxText): `N/`, `prefix_N/`",
    complete: "it was renamed from its temporary name, nothing inside has one, and orbax's metadata is there; once any checkpoint in the directory has `commit_success.txt`, only those that have it",
    candidates,
    marked,
    judge,
    saved_by_all: None,
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let step = |name: &[u8]| numbered(name, b"").or_else(|| prefixed(name));
    let mut found = context.listing.pick(EntryKind::Directory, |name| step(name).map(Some));
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.step));
    found
}

/// Returns the step after a prefix: 100 for `checkpoint_100`.
fn prefixed(name: &[u8]) -> Option<u64> {
    let at = name.iter().rposition(|byte| *byte == b'_')?;
    numbered(name.get(at + 1..)?, b"").filter(|_| step(name).is_some())
}

fn marked(context: &FamilyContext<'_>, candidates: &[Candidate<'_>]) -> bool {
    let temporary = |name: &[u8]| name.windows(TEMPORARY.len()).any(|part| part == TEMPORARY);
    context.listing.entries.iter().any(|entry| temporary(entry.bytes()))
        || candidates.iter().take(LOOKS).any(|candidate| has_mark(&context.listing.path(candidate.entry)))
}

/// Tells whether a directory, or one directly inside it, holds one of orbax's own files.
fn has_mark(dir: &Path) -> bool {
    let here = |dir: &Path| MARKS.iter().any(|mark| dir.join(mark).exists());
    let inside = || Listing::read(dir, LOOKS).unwrap_or_default();
    here(dir) || inside().entries.iter().any(|entry| entry.kind == EntryKind::Directory && here(&dir.join(&entry.name)))
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let dir = context.listing.path(candidate.entry);
    let listing = Listing::read(&dir, LOOKS)?;
    if let Some(entry) =
        listing.entries.iter().find(|entry| entry.bytes().windows(TEMPORARY.len()).any(|part| part == TEMPORARY))
    {
        return Err(Unfinished::because(format!("{} is not finished", entry.name.display())));
    }
    if !has_mark(&dir) {
        return Err(Unfinished::because("none of orbax's metadata in it"));
    }
    if !dir.join(COMMITTED).exists() && holds(context, &candidates(context), &[COMMITTED]) {
        return Err(Unfinished::because(format!("no {COMMITTED} yet")));
    }
    tree(&dir)
}
