//! nanotron: directories named by their step, with a directory for each kind of state, and `latest.txt`, which is written when all
//! ranks have saved.

use super::{Family, FamilyContext, holds};
use crate::completeness::{Completeness, Unfinished, head, is_object, tree};
use crate::format::tracker;
use crate::listing::{Candidate, EntryKind};
use crate::name::numbered;

const TRACKER: &str = "latest.txt";
const METADATA: &str = "checkpoint_metadata.json";

/// Longest metadata in bytes that is read: one entry for each stage of the data.
const METADATA_MAX: u64 = 16 << 20;

pub(super) const FAMILY: Family = Family {
    name: "nanotron",
    about: "nanotron: `N/` with `checkpoint_metadata.json`, and `latest.txt`",
    complete: "`latest.txt` has its step or a later one, `checkpoint_metadata.json` is whole, and so is every file inside; without `latest.txt` none is",
    candidates,
    marked: |context, candidates| holds(context, candidates, &[METADATA]),
    judge,
    saved_by_all: Some(reached),
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    context.listing.pick(EntryKind::Directory, |name| numbered(name, b"").map(Some))
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    reached(context, candidate)?;
    let dir = context.listing.path(candidate.entry);
    let metadata = head(&dir.join(METADATA), METADATA_MAX);
    if !is_object(&metadata.map_err(|_| Unfinished::because(format!("no {METADATA} yet")))?) {
        return Err(Unfinished::because(format!("{METADATA} is not whole")));
    }
    tree(&dir)
}

/// Judges whether the tracker has reached a directory's step.
fn reached(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness<()> {
    let bytes = head(&context.listing.dir.join(TRACKER), tracker::MOST as u64);
    let bytes = bytes.map_err(|_| Unfinished::because(format!("no {TRACKER} yet")))?;
    let newest = tracker::parse(&bytes).and_then(|newest| newest.parse::<u64>().ok());
    if newest.is_none_or(|newest| candidate.step > Some(newest)) {
        return Err(Unfinished::because(format!("{TRACKER} does not name it yet")));
    }
    Ok(())
}
