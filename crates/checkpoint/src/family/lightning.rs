//! PyTorch Lightning: `*.ckpt`, which is one file of torch.save, or a directory of a sharded strategy (FSDP, DeepSpeed).

use super::{Family, FamilyContext, any_candidate, dcp, deepspeed, nemo};
use crate::completeness::{self, Completeness, Unfinished};
use crate::format::{pickle, zip};
use crate::listing::{Candidate, EntryKind};
use crate::name;
use std::path::Path;

/// The file that the FSDP strategies save after the shards.
const META: &str = "meta.pt";

/// How many bytes of a file are searched for its step, which is among the first entries.
const STEP_WITHIN: u64 = 8 << 10;

/// Most files that are opened for a step that their names do not tell.
const LOOKS: usize = 64;

pub(super) const FAMILY: Family = Family {
    name: "lightning",
    about: "PyTorch Lightning: `*.ckpt`",
    complete: "a file: it ends with a zip central directory that adds up; a directory: complete by the rule of `dcp` and `meta.pt` is whole, or by the rule of `deepspeed`",
    candidates,
    marked: any_candidate,
    judge,
    saved_by_all: None,
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    let ours = |text: &[u8]| text.ends_with(b".ckpt").then(|| labelled_step(text));
    let mut found = context.listing.pick(EntryKind::File, ours);
    for candidate in found.iter_mut().filter(|candidate| candidate.step.is_none()).take(LOOKS) {
        candidate.step = step_inside(&context.listing.path(candidate.entry));
    }
    found.extend(context.listing.pick(EntryKind::Directory, ours));
    found
}

/// Returns the step in a name, only where it is written as `step=100`. Other numbers in Lightning's names are epochs, metrics, and
/// how often Slurm stopped the run.
fn labelled_step(text: &[u8]) -> Option<u64> {
    let labelled = text.windows(5).any(|part| part == b"step=");
    name::step(text).filter(|_| labelled)
}

/// Reads the step inside a file such as `last.ckpt`.
fn step_inside(path: &Path) -> Option<u64> {
    let head = completeness::head(path, STEP_WITHIN).ok()?;
    zip::begins(&head).then(|| pickle::global_step(&head)).flatten()
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let path = context.listing.path(candidate.entry);
    nemo::not_marked(context, candidate)?;
    if candidate.entry.kind == EntryKind::File {
        return completeness::torch(&path);
    }
    if path.join("latest").is_file() {
        return deepspeed::judge_latest(&path);
    }
    let found = dcp::judge(&path)?;
    if !path.join(META).exists() {
        return Err(Unfinished::because(format!("no {META} yet")));
    }
    completeness::torch(&path.join(META)).map_err(|why| why.inside(Path::new(META)))?;
    Ok(found)
}
