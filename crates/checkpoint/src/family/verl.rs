//! verl: `global_step_N` directories with the states of actor and critic of every rank, and `latest_checkpointed_iteration.txt`, which
//! is written when all of them have saved.

use super::{Family, FamilyContext};
use crate::completeness::Completeness;
use crate::listing::{Candidate, EntryKind};
use crate::name::numbered;

const PREFIX: &[u8] = b"global_step_";

pub(super) const FAMILY: Family = Family {
    name: "verl",
    about: "verl: `global_step_N/` and `latest_checkpointed_iteration.txt`",
    complete: "`latest_checkpointed_iteration.txt` has its step or a later one, the files of every rank are there, and each is whole; without that file none is",
    candidates,
    marked: super::any_candidate,
    judge,
    saved_by_all: Some(super::megatron::reached),
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    context.listing.pick(EntryKind::Directory, |name| numbered(name, PREFIX).map(Some))
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    super::megatron::judge(context, candidate)
}
