//! Whatever a script of one's own writes, by `checkpoint.pattern`. What the pattern names after a slash is the file that the
//! script writes last.

use super::{Family, Scene, any_candidate};
use crate::listing::{Candidate, Kind};
use crate::whole::{self, Judged, Unfinished};
use std::path::Path;

pub(super) const FAMILY: Family = Family {
    name: "plain",
    about: "anything else, by `checkpoint.pattern`: `ckpt-{step}.npz`, `step_{step}/DONE`",
    complete: "not empty, no temporary name, whole by its format (zip, safetensors, pickle) where that has an end, and otherwise nobody has it open for writing; a directory: all of that for everything in it, and the file after the slash is there",
    candidates,
    marked: any_candidate,
    judge,
};

/// `auto` does not take a directory of which nothing tells whether it is finished.
fn candidates<'a>(scene: &Scene<'a>) -> Vec<Candidate<'a>> {
    let Some(pattern) = scene.pattern else { return Vec::new() };
    let pick = |kind| scene.listing.pick(kind, |name| pattern.step_of(name));
    match pattern.proof() {
        Some(_) => pick(Kind::Directory),
        None if scene.named => [pick(Kind::File), pick(Kind::Directory)].concat(),
        None => pick(Kind::File),
    }
}

fn judge(scene: &Scene<'_>, candidate: &Candidate<'_>) -> Judged {
    let path = scene.listing.path(candidate.entry);
    if candidate.entry.kind == Kind::File {
        return whole::any(&path);
    }
    if let Some(proof) = scene.pattern.and_then(|pattern| pattern.proof()) {
        written_last(&path.join(proof)).map_err(|why| Unfinished(format!("{proof}: {}", why.0)))?;
    }
    let contents = whole::tree_at_rest(&path)?;
    if contents == whole::Contents::NONE { Err(Unfinished::because("empty")) } else { Ok(contents) }
}

/// The file that is written last: there, and whole unless it is an empty marker.
fn written_last(proof: &Path) -> Judged<()> {
    match std::fs::metadata(proof) {
        Ok(data) if data.is_file() && data.len() == 0 => Ok(()),
        Ok(_) => whole::any(proof).map(drop),
        Err(_) => Err(Unfinished::because("not there yet")),
    }
}
