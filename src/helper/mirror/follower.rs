//! A node that is not the first of those which save parts of checkpoints, each on a disk of its own. It cannot tell when a checkpoint is
//! complete: the first node can, and its upload announces the save.

use super::desk::{Desk, LOOK, Outcome, Trouble, WaitLimit};
use crate::mirror::CarriedStore;
use mirror::{Announced, UploadError};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

/// How long, at the end, the first node is waited for that has told of no save yet.
const UNHEARD: Duration = Duration::from_secs(20);
/// How long, at the end, it is waited for once it has.
const HEARD: Duration = Duration::from_secs(60);
/// How deep checkpoints lie in the directory, and how many entries are looked at.
const DEPTH: usize = 3;
const ENTRIES: usize = 4096;

/// What this node has heard of the first one, and done.
#[derive(Default)]
struct Heard {
    /// The start of the first node; announcements of another one are not for this node.
    attempt: Option<String>,
    /// The save whose part was handled last.
    save: Option<String>,
    /// When the newest file of that part was written.
    handled: Option<SystemTime>,
    /// Whether the first node is uploading.
    is_busy: bool,
}

/// Uploads the parts of what the first node announces, until the end is told and nothing is left.
pub(super) fn follow(mut desk: Desk<'_>, since: SystemTime, over: &Receiver<()>) {
    let mut heard = Heard::default();
    let (mut unheard, mut patience) = (WaitLimit::new(UNHEARD), WaitLimit::new(HEARD));
    let mut others = WaitLimit::new(Duration::from_secs(600));
    // What is in the mirror before the first save must be known as such.
    begin(&mut desk);
    loop {
        let is_over = !matches!(over.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout));
        let saved = latest(&desk.dir, DEPTH, &mut ENTRIES.clone());
        let is_new = saved.is_some_and(|saved| saved >= since && heard.handled.is_none_or(|handled| saved > handled));
        if is_new && matches!(step(&mut desk, &mut heard, since), Outcome::Refused) {
            return;
        }
        desk.look_for_others();
        if !is_over {
            continue;
        }
        let still_new = is_new && saved > heard.handled;
        let waits = match () {
            () if desk.awaited.is_some() => others.lasts(),
            () if !still_new => false,
            () if heard.attempt.is_none() => unheard.lasts(),
            () => heard.is_busy || patience.lasts(),
        };
        if !waits {
            // Without an announcement, it was no part that was saved here.
            let is_there = desk.awaited.is_none() && (!still_new || heard.attempt.is_none());
            return desk.end(is_there);
        }
        // The channel is closed by now, and does not wait any more.
        std::thread::sleep(LOOK);
    }
}

fn begin(desk: &mut Desk<'_>) {
    let begun = CarriedStore::start(desk.policy, std::iter::empty())
        .map_err(Trouble::from)
        .and_then(|mut store| desk.uploader(&mut store).map(drop));
    if let Err(Trouble::Upload(UploadError::Store(failure))) = begun {
        desk.note_once(&failure.text);
    }
}

/// Looks for an announcement, and uploads this node's part of it.
fn step(desk: &mut Desk<'_>, heard: &mut Heard, since: SystemTime) -> Outcome {
    let found = match hear(desk, heard) {
        Ok(found) => found,
        Err(Trouble::Upload(UploadError::Store(failure))) => {
            desk.note_once(&failure.text);
            return Outcome::Again;
        }
        Err(_) => return Outcome::Again,
    };
    let Some(announced) = found else { return Outcome::Again };
    let here = checkpoint::part_at(&desk.dir.join(&announced.name), announced.step, "");
    let Some(here) = here.filter(|here| here.modified >= since) else { return Outcome::Again };
    match desk.belongs_to(&announced.run) {
        Ok(true) => {}
        Ok(false) => return desk.refuse("another run uploads to the same place"),
        Err(error) => {
            desk.note_once(&error.to_string());
            return Outcome::Again;
        }
    }
    let outcome = desk.carry_up(&here, desk.policy.part, Some(&announced));
    if matches!(outcome, Outcome::Done) {
        (heard.save, heard.handled) = (Some(announced.save), Some(here.modified));
    }
    outcome
}

/// Returns the latest save of which this node has uploaded nothing yet.
fn hear(desk: &mut Desk<'_>, heard: &mut Heard) -> Result<Option<Announced>, Trouble> {
    let mut store = CarriedStore::start(desk.policy, std::iter::empty())?;
    let (all, is_busy) = desk.uploader(&mut store)?.announced(&mut store)?;
    heard.is_busy = is_busy;
    let Some(latest) =
        all.into_iter().rfind(|one| heard.attempt.as_ref().is_none_or(|attempt| one.attempt == *attempt))
    else {
        return Ok(None);
    };
    heard.attempt = Some(latest.attempt.clone());
    Ok(Some(latest).filter(|latest| heard.save.as_ref() != Some(&latest.save)))
}

/// Returns when the newest file below a directory was written, without hidden ones, as far as that is looked at.
fn latest(dir: &Path, depth: usize, left: &mut usize) -> Option<SystemTime> {
    let mut newest = None;
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        *left = left.checked_sub(1)?;
        let is_hidden = std::os::unix::ffi::OsStrExt::as_bytes(&*entry.file_name()).starts_with(b".");
        let Ok(data) = entry.metadata() else { continue };
        // The index of a DCP checkpoint is hidden; trainit's own directory lies in the directory itself.
        if is_hidden && depth == DEPTH {
            continue;
        }
        newest = newest.max(match depth {
            _ if data.is_file() && depth < DEPTH => data.modified().ok(),
            1.. if data.is_dir() => latest(&entry.path(), depth - 1, left),
            _ => None,
        });
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_files_in_directories_tell_of_a_save() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log"), "x").unwrap();
        fs::create_dir_all(dir.path().join(".trainit")).unwrap();
        fs::write(dir.path().join(".trainit/mirror.json"), "x").unwrap();
        let look = || latest(dir.path(), DEPTH, &mut ENTRIES.clone());
        assert_eq!(look(), None);
        fs::create_dir_all(dir.path().join("step-9")).unwrap();
        fs::write(dir.path().join("step-9/__1_0.distcp"), "x").unwrap();
        assert!(look().is_some());
    }
}
