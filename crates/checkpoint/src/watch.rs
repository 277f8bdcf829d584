//! The work of the helper that watches a directory and reports every checkpoint once, when it becomes complete. inotify wakes the
//! watcher where the kernel sees changes; a read each second serves network file systems, which report no changes. The watcher may
//! hang with its file system, so it runs in a process that can be killed.

use super::listing::{Candidate, EntryKind, Listing, MOST_ENTRIES, modified};
use super::search::{Search, list};
use super::wakeup::{Events, WatchEnd};
use super::{Checkpoint, FamilyChoice, Pattern, places};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Most candidates that are judged in one look: those that changed last.
const MOST_JUDGED: usize = 64;

/// Above this many candidates, the newest by the search's order are judged, and not those that changed last.
const MOST_DATED: usize = 4096;

/// The search for directories of runs is followed by a rest of this many times its duration: a large tree on a slow file server is
/// read rarely.
const FIND_REST: u32 = 30;

/// How far a file's time may lie before a clock that was read earlier: the kernel stamps files with the time of its last tick.
const TICK: Duration = Duration::from_millis(20);

/// Watches a directory, which need not exist yet, and reports every checkpoint that becomes complete, each once, the older first. A
/// checkpoint that was complete before is reported if it was modified at `since` or later. After the first read the clocks of other
/// machines do not matter any more.
///
/// # Errors
/// The error of reading the directory; `InvalidInput` for the family `plain` without a pattern. A missing directory is no error,
/// and neither is inotify without a free watch.
pub fn watch(
    dir: &Path,
    family: FamilyChoice,
    pattern: Option<&Pattern>,
    since: SystemTime,
    until: &WatchEnd<'_>,
    report: &mut dyn FnMut(&Checkpoint),
) -> io::Result<()> {
    let mut events = Events::of(dir);
    let since_tick = since.checked_sub(TICK).unwrap_or(since);
    let mut watcher = Watcher::new(dir, family, pattern, since_tick);
    let first = watcher.look(false)?;
    first.complete.iter().filter(|found| found.modified >= since_tick).for_each(&mut *report);
    events.follow(&first.unfinished);
    loop {
        let over = events.wait(until)?;
        let begun = Instant::now();
        let look = watcher.look(over)?;
        look.complete.iter().for_each(&mut *report);
        if over {
            return Ok(());
        }
        events.follow(&look.unfinished);
        events.rest_after(begun.elapsed());
    }
}

/// Returns the complete checkpoints among those that changed last, the older first. What was written at `since` or later counts as
/// saved by this training, whatever its name is.
///
/// # Errors
/// The errors of `watch`.
pub fn complete(
    dir: &Path,
    family: FamilyChoice,
    pattern: Option<&Pattern>,
    since: SystemTime,
) -> io::Result<Vec<Checkpoint>> {
    Ok(Watcher::new(dir, family, pattern, since).look(true)?.complete)
}

struct Watcher<'a> {
    dir: &'a Path,
    family: FamilyChoice,
    pattern: Option<&'a Pattern>,
    /// What was written later is saved by this training.
    since: SystemTime,
    /// The checkpoints that were reported or were there before, each with its state then.
    told: HashMap<PathBuf, Fingerprint>,
    /// The directories that were read before.
    seen: HashSet<PathBuf>,
    /// The directories of runs below, where there is no checkpoint in the directory itself.
    places: Vec<PathBuf>,
    /// When the directories of runs are searched again.
    find_again: Instant,
}

/// The result of one read of the directory.
#[derive(Default)]
struct CheckpointLook {
    /// The checkpoints that are complete and were not reported before, the older first.
    complete: Vec<Checkpoint>,
    /// The directories of candidates that are not complete yet, and the directories of runs.
    unfinished: Vec<PathBuf>,
}

impl<'a> Watcher<'a> {
    fn new(dir: &'a Path, family: FamilyChoice, pattern: Option<&'a Pattern>, since: SystemTime) -> Self {
        Watcher {
            dir,
            family,
            pattern,
            since,
            told: HashMap::new(),
            seen: HashSet::new(),
            places: Vec::new(),
            find_again: Instant::now(),
        }
    }

    /// Judges the candidates that changed last, except those that were reported and have not changed since. The last look also finds
    /// a run's directory that was made in a stop.
    fn look(&mut self, last: bool) -> io::Result<CheckpointLook> {
        let listing = list(self.dir, self.family, self.pattern)?;
        let mut found = CheckpointLook::default();
        if self.look_in(&listing, &mut found) || self.pattern.is_some() || listing.dir.as_os_str().is_empty() {
            return Ok(found);
        }
        let begun = Instant::now();
        if last || begun >= self.find_again {
            self.places = places::below(&listing.dir, self.family, true)?.places;
            self.find_again = Instant::now() + begun.elapsed() * FIND_REST;
        }
        for place in self.places.clone() {
            // A run's directory may be gone.
            if let Ok(listing) = Listing::read(&place, MOST_ENTRIES) {
                self.look_in(&listing, &mut found);
            }
            found.unfinished.push(place);
        }
        found.complete.sort_by_key(|complete| complete.modified);
        Ok(found)
    }

    /// Judges the candidates of one directory, and tells whether it has any.
    fn look_in(&mut self, listing: &Listing, found: &mut CheckpointLook) -> bool {
        let Some(search) = Search::of(listing, self.family, self.pattern, Some(self.since)) else { return false };
        let candidates = changed_last(listing, &search.candidates);
        let (recent, old) = candidates.split_at(candidates.len().min(MOST_JUDGED));
        if self.seen.insert(listing.dir.clone()) {
            // These candidates come into view when newer ones are removed, and are not to be reported then.
            let prints = old.iter().map(|candidate| (listing.path(candidate.entry), *candidate));
            self.told.extend(prints.filter_map(|(path, old)| Fingerprint::of(listing, old).map(|print| (path, print))));
        }
        let before = found.complete.len();
        for candidate in recent {
            self.judge(listing, &search, candidate, found);
        }
        found.complete.get_mut(before..).unwrap_or_default().reverse();
        !search.candidates.is_empty()
    }

    fn judge(&mut self, listing: &Listing, search: &Search<'_>, candidate: &Candidate<'_>, found: &mut CheckpointLook) {
        let path = listing.path(candidate.entry);
        let Some(print) = Fingerprint::of(listing, candidate) else { return };
        if self.told.get(&path) == Some(&print) {
            return;
        }
        match search.judge(candidate) {
            Ok(complete) => {
                self.told.insert(path, print);
                found.complete.push(complete);
            }
            Err(_) if candidate.entry.kind == EntryKind::Directory => found.unfinished.push(path),
            Err(_) => {}
        }
    }
}

/// Sorts the candidates, the one that changed last first. The order is by time, not by step: after a run went back to an older
/// checkpoint, its next checkpoint has a lower step than some that exist.
fn changed_last<'a, 'l>(listing: &Listing, candidates: &'a [Candidate<'l>]) -> Vec<&'a Candidate<'l>> {
    let mut found: Vec<_> = candidates.iter().collect();
    if found.len() <= MOST_DATED {
        found.sort_by_cached_key(|candidate| Reverse((modified(&listing.path(candidate.entry)), candidate.step)));
    }
    found
}

/// The data that tells a checkpoint from the next one of the same name, without reading it.
#[derive(Clone, PartialEq, Eq)]
struct Fingerprint {
    /// Each file of a set, or the one file or directory.
    of: Vec<FilePrint>,
}

/// The data that tells a file or directory from the next one of the same name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FilePrint {
    inode: u64,
    created: Option<SystemTime>,
    /// Size and time of a file. `None` for a directory, which may get more files when it is complete (the random states of another
    /// rank).
    written: Option<(u64, i64, i64)>,
}

impl Fingerprint {
    fn of(listing: &Listing, candidate: &Candidate<'_>) -> Option<Self> {
        let prints = candidate.entries().map(|entry| FilePrint::of(&listing.path(entry)));
        prints.collect::<Option<_>>().map(|of| Fingerprint { of })
    }
}

impl FilePrint {
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        let written = data.is_file().then(|| (data.size(), data.mtime(), data.mtime_nsec()));
        Some(FilePrint { inode: data.ino(), created: data.created().ok(), written })
    }
}
