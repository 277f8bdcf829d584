//! Checkpoints of a user's own script, by `checkpoint.pattern`. The pattern's part after a slash is the file that the script writes
//! last.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{self, Completeness, Unfinished};
use crate::listing::{Candidate, EntryKind};
use std::path::Path;

pub(super) const FAMILY: Family = Family {
    name: "plain",
    about: "anything else, by `checkpoint.pattern`: `ckpt-{step}.npz`, `step_{step}/DONE`",
    complete: "not empty, no temporary name, whole by its format (zip, safetensors, pickle) where that has an end, and otherwise no process has it open for writing; a directory: all of that for everything in it, and the file after the slash is there",
    candidates,
    marked: any_candidate,
    judge,
    saved_by_all: None,
};

/// Lists the entries that fit the pattern. For `auto`, a directory counts only with a file that is written last: else nothing tells
/// whether the directory is finished.
fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let Some(pattern) = context.pattern else { return Vec::new() };
    let pick = |kind| context.listing.pick(kind, |name| pattern.step_of(name));
    match pattern.proof() {
        Some(_) => pick(EntryKind::Directory),
        None if context.named => [pick(EntryKind::File), pick(EntryKind::Directory)].concat(),
        None => pick(EntryKind::File),
    }
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let path = context.listing.path(candidate.entry);
    if candidate.entry.kind == EntryKind::File {
        return completeness::any(&path);
    }
    if let Some(proof) = context.pattern.and_then(|pattern| pattern.proof()) {
        written_last(&path.join(proof)).map_err(|why| why.inside(Path::new(proof)))?;
    }
    let contents = completeness::tree_at_rest(&path)?;
    if contents == completeness::Contents::NONE { Err(Unfinished::because("empty")) } else { Ok(contents) }
}

/// Judges the file that is written last: it must exist, and be whole unless it is an empty marker.
fn written_last(proof: &Path) -> Completeness<()> {
    match std::fs::metadata(proof) {
        Ok(data) if data.is_file() && data.len() == 0 => Ok(()),
        Ok(_) => completeness::any(proof).map(drop),
        Err(_) => Err(Unfinished::because("not there yet")),
    }
}
