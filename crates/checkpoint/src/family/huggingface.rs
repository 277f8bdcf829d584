//! Hugging Face Trainer: `checkpoint-N` directories. The trainer's state is saved after the model, the optimizer and the random
//! states of the main process. A save on SIGTERM also keeps a sentinel file while it lasts.

use super::{Family, FamilyContext, holds};
use crate::completeness::{Completeness, Unfinished, head, is_object, tree};
use crate::format::tracker;
use crate::listing::{Candidate, EntryKind};
use crate::name::numbered;
use crate::rewritten;
use std::path::Path;

const SENTINEL: &str = "checkpoint-is-incomplete.txt";
const STATE: &str = "trainer_state.json";

/// Files that the main process writes before the state.
const BEFORE: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
];

/// Longest state in bytes that is read: the state holds the log of the whole run, some hundred bytes for each logged step.
const STATE_MAX: u64 = 64 << 20;

pub(super) const FAMILY: Family = Family {
    name: "huggingface",
    about: "Hugging Face Trainer, TRL: `checkpoint-N/`",
    complete: "`trainer_state.json` is whole, there is no `checkpoint-is-incomplete.txt`, and every weight file and shard inside is whole",
    candidates,
    marked: |context, candidates| holds(context, candidates, &[STATE, SENTINEL]),
    judge,
    saved_by_all: None,
};

fn candidates<'a>(context: &FamilyContext<'a>) -> Vec<Candidate<'a>> {
    context.listing.pick(EntryKind::Directory, |name| numbered(name, b"checkpoint-").map(Some))
}

fn judge(context: &FamilyContext<'_>, candidate: &Candidate<'_>) -> Completeness {
    let dir = context.listing.path(candidate.entry);
    if dir.join(SENTINEL).exists() {
        return Err(Unfinished::because(format!("{SENTINEL} is there")));
    }
    if !dir.join(STATE).is_file() {
        return Err(Unfinished::because(format!("no {STATE} yet")));
    }
    if !is_object(&head(&dir.join(STATE), STATE_MAX)?) {
        return Err(Unfinished::because(format!("{STATE} is not whole")));
    }
    if let Some(missing) = missing_engine_state(&dir) {
        return Err(Unfinished::because(format!("{missing} is missing")));
    }
    if let Some(file) = rewritten::after(&dir, STATE, BEFORE.iter().copied()) {
        return Err(Unfinished::because(format!("{file} was written again after {STATE}")));
    }
    tree(&dir)
}

/// Returns the missing directory of DeepSpeed's state. With DeepSpeed, the Trainer has it save inside the checkpoint, and
/// DeepSpeed's own tracker then names a directory there.
fn missing_engine_state(dir: &Path) -> Option<String> {
    let latest = head(&dir.join("latest"), tracker::MOST as u64).ok()?;
    let tag = tracker::parse(&latest)?;
    (!dir.join(tag).is_dir()).then(|| tag.to_string())
}
