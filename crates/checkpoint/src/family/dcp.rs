//! torch.distributed.checkpoint: a directory with a `.distcp` file of each rank, and `.metadata`, which the coordinator writes when
//! all ranks are done.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{Completeness, Unfinished, head, tree};
use crate::format::pickle;
use crate::listing::{Candidate, EntryKind, Listing};
use crate::{name, rewritten};
use std::path::Path;

const INDEX: &str = ".metadata";

/// Longest index in bytes that is searched for the names of data files; a longer one only has to exist.
const INDEX_MAX: u64 = 8 << 20;

/// Most directories that are read.
const LOOKS: usize = 256;
/// Most entries of a directory that are read before the directory counts as not DCP's.
const ENTRIES: usize = 4096;

pub(super) const FAMILY: Family = Family {
    name: "dcp",
    about: "`torch.distributed.checkpoint`, torchtitan, FSDP: a directory of `*.distcp`",
    complete: "`.metadata` is a whole pickle, and every data file that it names is there and not empty",
    candidates,
    marked: any_candidate,
    judge: |context, candidate| judge(&context.listing.path(candidate.entry)),
    saved_by_all: Some(|context, candidate| indexed(&context.listing.path(candidate.entry)).map(drop)),
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let mut found = context.listing.pick(EntryKind::Directory, |text| Some(name::step(text)));
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.step));
    found.truncate(LOOKS);
    found.retain(|candidate| is_ours(&context.listing.path(candidate.entry)));
    found
}

/// Tells whether a directory looks like DCP's, finished or not.
pub(super) fn is_ours(dir: &Path) -> bool {
    let has_data = |dir| {
        let listing = Listing::read(dir, ENTRIES).unwrap_or_default();
        listing.entries.iter().any(|entry| entry.bytes().ends_with(b".distcp"))
    };
    dir.join(INDEX).exists() || has_data(dir)
}

/// Reads the index, which is written when all ranks are done; only its beginning where it is very long.
pub(super) fn indexed(dir: &Path) -> Completeness<Vec<u8>> {
    if !dir.join(INDEX).is_file() {
        return Err(Unfinished::because(format!("no {INDEX} yet")));
    }
    let index = head(&dir.join(INDEX), INDEX_MAX)?;
    if (index.len() as u64) < INDEX_MAX && (!pickle::begins(&index) || !pickle::ends(&index)) {
        return Err(Unfinished::because(format!("{INDEX} is not whole")));
    }
    Ok(index)
}

/// Judges whether a directory is a complete checkpoint of DCP.
pub(super) fn judge(dir: &Path) -> Completeness {
    let index = indexed(dir)?;
    if (index.len() as u64) < INDEX_MAX {
        let there = |name: &str| std::fs::metadata(dir.join(name)).is_ok_and(|data| data.is_file() && data.len() > 0);
        if let Some(missing) = pickle::distcp_names(&index).into_iter().find(|name| !there(name)) {
            return Err(Unfinished::because(format!("{missing} is missing or empty")));
        }
        if let Some(file) = rewritten::after(dir, INDEX, pickle::distcp_names(&index)) {
            return Err(Unfinished::because(format!("{file} was written again after {INDEX}")));
        }
    }
    tree(dir)
}
