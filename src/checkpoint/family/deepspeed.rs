//! DeepSpeed: a directory of each save with files of every rank, and `latest`, which names the newest and is written when all
//! ranks have saved.

use super::{Family, Scene};
use crate::checkpoint::format::tracker;
use crate::checkpoint::listing::{Candidate, Kind, Listing};
use crate::checkpoint::name::numbered;
use crate::checkpoint::whole::{Judged, Unfinished, head, tree};
use std::path::Path;

const LATEST: &str = "latest";
const PREFIX: &[u8] = b"global_step";

pub(super) const FAMILY: Family = Family {
    name: "deepspeed",
    about: "DeepSpeed: `global_stepN/` and `latest`",
    complete: "`latest`, which is written last, names it or a later step, it holds model states, and every file of torch.save inside is whole; without `latest` none is",
    candidates,
    marked: |scene, candidates| scene.listing.has(LATEST, Kind::File) && !candidates.is_empty(),
    judge,
};

/// `global_stepN`, and whatever `latest` names.
fn candidates<'a>(scene: &Scene<'a>) -> Vec<Candidate<'a>> {
    let latest = latest(&scene.listing.dir).unwrap_or_default();
    scene.listing.pick(Kind::Directory, |name| match numbered(name, PREFIX) {
        Some(step) => Some(Some(step)),
        None => (!latest.is_empty() && name == latest.as_bytes()).then_some(None),
    })
}

fn judge(scene: &Scene<'_>, candidate: &Candidate<'_>) -> Judged {
    let latest = latest(&scene.listing.dir)?;
    let named = candidate.entry.names().any(|name| name == latest.as_bytes());
    let earlier =
        candidate.step.is_some_and(|step| numbered(latest.as_bytes(), PREFIX).is_some_and(|newest| step <= newest));
    if !named && !earlier {
        return Err(Unfinished::because(format!("{LATEST} still names {latest}")));
    }
    judge_files(&scene.listing.path(candidate.entry))
}

/// Whether what `latest` names in a directory is complete.
pub(super) fn judge_latest(dir: &Path) -> Judged {
    judge_files(&dir.join(latest(dir)?))
}

/// What `latest` names.
fn latest(dir: &Path) -> Judged<String> {
    let bytes =
        head(&dir.join(LATEST), tracker::MOST as u64).map_err(|_| Unfinished::because(format!("no {LATEST} yet")))?;
    tracker::parse(&bytes).map(str::to_string).ok_or_else(|| Unfinished::because(format!("{LATEST} names nothing")))
}

fn judge_files(dir: &Path) -> Judged {
    let listing = Listing::read(dir, usize::MAX)?;
    let has_model = listing.entries.iter().any(|entry| entry.bytes().ends_with(b"model_states.pt"));
    if has_model { tree(dir) } else { Err(Unfinished::because("no model states in it")) }
}
