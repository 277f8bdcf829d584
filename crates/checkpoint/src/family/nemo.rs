//! NeMo with distributed checkpoints: directories named like Lightning's files, with the weights in a directory of
//! `torch.distributed.checkpoint`. While NeMo saves, a marker lies beside the checkpoint.

use super::{Family, FamilyContext, any_candidate, dcp};
use crate::completeness::{Completeness, Unfinished, tree};
use crate::listing::{Candidate, EntryKind};
use crate::name;

/// The end of the marker's name.
const UNFINISHED: &str = "-unfinished";

/// The directories of weights: NeMo 2's, and NeMo 1's.
const WEIGHTS: &[&str] = &["weights", "model_weights"];

pub(super) const FAMILY: Family = Family {
    name: "nemo",
    about: "NeMo: `NAME--…-step=N-…/` with `weights/` or `model_weights/`",
    complete: "no `…-unfinished` lies beside it, and its weights are complete by the rule of `dcp`",
    candidates,
    marked: any_candidate,
    judge,
    saved_by_all: Some(indexed),
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let labelled = |text: &[u8]| text.windows(5).any(|part| part == b"step=");
    let mut found = context.listing.pick(EntryKind::Directory, |text| labelled(text).then(|| name::step(text)));
    let weights = |candidate: &Candidate<'_>| {
        let dir = context.listing.path(candidate.entry);
        WEIGHTS.iter().any(|name| dir.join(name).is_dir())
    };
    found.retain(|candidate| !candidate.entry.bytes().ends_with(b".ckpt") && weights(candidate));
    found
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    not_marked(context, candidate)?;
    let dir = context.listing.path(candidate.entry);
    for name in WEIGHTS.iter().filter(|name| dir.join(name).is_dir()) {
        dcp::judge(&dir.join(name)).map_err(|why| why.inside(name.as_ref()))?;
    }
    tree(&dir)
}

/// Judges whether the weights have their indexes, and no marker lies beside them.
fn indexed(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness<()> {
    not_marked(context, candidate)?;
    let dir = context.listing.path(candidate.entry);
    let mut weights = WEIGHTS.iter().map(|name| dir.join(name)).filter(|weights| weights.is_dir());
    weights.try_for_each(|weights| dcp::indexed(&weights).map(drop))
}

/// Looks for the marker beside a checkpoint, or beside the checkpoint whose EMA this is.
pub(super) fn not_marked(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness<()> {
    let name = candidate.entry.name.to_string_lossy();
    let stem = name.strip_suffix(".ckpt").unwrap_or(&name);
    let stem = stem.strip_suffix("-EMA").unwrap_or(stem);
    let marker = format!("{stem}{UNFINISHED}");
    let marked = context.listing.has(&marker, EntryKind::File);
    if marked { Err(Unfinished::because(format!("{marker} is there"))) } else { Ok(()) }
}
