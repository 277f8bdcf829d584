//! safetensors files on their own: one file, shards, or an index with its shards, directly in the directory. A directory with such files
//! inside has no mark of its end; the family `plain` with a pattern serves for those.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{self, Completeness};
use crate::listing::{Candidate, EntryKind};
use crate::name;

const INDEX: &[u8] = b".safetensors.index.json";

pub(super) const FAMILY: Family = Family {
    name: "safetensors",
    about: "`*.safetensors`, `*.safetensors.index.json` in the directory itself",
    complete: "a file is exactly as long as its header says; an index is whole JSON and all shards that it names are whole",
    candidates,
    marked: any_candidate,
    judge,
    saved_by_all: None,
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let ours = |text: &[u8]| text.ends_with(b".safetensors") || text.ends_with(INDEX);
    context.listing.pick(EntryKind::File, |text| ours(text).then(|| name::step(text)))
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let path = context.listing.path(candidate.entry);
    if path.as_os_str().as_encoded_bytes().ends_with(INDEX) {
        completeness::index_and_shards(&path)
    } else {
        completeness::tensors(&path)
    }
}
