//! Megatron-LM: `iter_NNNNNNN` directories, and `latest_checkpointed_iteration.txt`, which is written when all ranks have saved,
//! also with asynchronous saving.

use super::{Family, FamilyContext, dcp};
use crate::completeness::{Completeness, Unfinished, head, tree};
use crate::format::tracker;
use crate::listing::{Candidate, EntryKind, Listing};
use crate::name::numbered;

const TRACKER: &str = "latest_checkpointed_iteration.txt";
const PREFIX: &[u8] = b"iter_";
const RELEASE: &str = "release";

pub(super) const FAMILY: Family = Family {
    name: "megatron",
    about: "Megatron-LM: `iter_NNNNNNN/` and `latest_checkpointed_iteration.txt`",
    complete: "`latest_checkpointed_iteration.txt` has its iteration or a later one, and every file of torch.save inside is whole; in Megatron-Core's format, the rule of `dcp` holds for it, too; without that file none is",
    candidates,
    marked: |context, _| context.listing.has(TRACKER, EntryKind::File),
    judge,
    saved_by_all: Some(reached),
};

/// Lists `iter_N`, and `release`: weights that were converted from elsewhere and have no iteration.
fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    context.listing.pick(EntryKind::Directory, |name| match numbered(name, PREFIX) {
        Some(step) => Some(Some(step)),
        None => (name == RELEASE.as_bytes()).then_some(None),
    })
}

/// Judges a directory by the tracker beside it.
pub(super) fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    reached(context, candidate)?;
    let dir = context.listing.path(candidate.entry);
    if Listing::read(&dir, 1)?.entries.is_empty() {
        return Err(Unfinished::because("empty"));
    }
    // Megatron-Core's format is that of torch.distributed.checkpoint.
    if dcp::is_ours(&dir) { dcp::judge(&dir) } else { tree(&dir) }
}

/// Judges whether the tracker has reached a directory's iteration.
pub(super) fn reached(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness<()> {
    let bytes = head(&context.listing.dir.join(TRACKER), tracker::MOST as u64);
    let bytes = bytes.map_err(|_| Unfinished::because(format!("no {TRACKER} yet")))?;
    let newest = tracker::parse(&bytes).unwrap_or_default();
    let reached = match (candidate.step, newest.parse::<u64>()) {
        (Some(step), Ok(newest)) => step <= newest,
        (None, _) => newest == RELEASE,
        (Some(_), Err(_)) => false,
    };
    if !reached {
        return Err(Unfinished::because(format!("{TRACKER} still says {newest:?}")));
    }
    Ok(())
}
