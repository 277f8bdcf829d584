//! A file of torch.save: `.pt` or `.pth`, which is a zip archive since torch 1.6. Its central directory is written last.

use super::{Family, FamilyContext, any_candidate};
use crate::completeness::{self, Completeness};
use crate::listing::{Candidate, EntryKind};
use crate::name;

pub(super) const FAMILY: Family = Family {
    name: "torch",
    about: "`torch.save`: `*.pt`, `*.pth`, `*.pth.tar`",
    complete: "the file ends with a zip central directory that adds up; the format from before torch 1.6 has no end that can be checked and is never taken",
    candidates,
    marked: any_candidate,
    judge: |context, candidate| -> Completeness { completeness::torch(&context.listing.path(candidate.entry)) },
    saved_by_all: None,
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let ours = |text: &[u8]| [&b".pt"[..], b".pth", b".pth.tar"].iter().any(|end| text.ends_with(end));
    context.listing.pick(EntryKind::File, |text| ours(text).then(|| name::step(text)))
}
