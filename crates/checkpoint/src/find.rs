//! The search for the newest complete checkpoint: in the directory itself, or else in the directories of runs below it.

use super::listing::{Listing, MOST_ENTRIES, modified};
use super::runs::{self, Run};
use super::search::{MOST_JUDGED, Search, list};
use super::survey::Survey;
use super::{Checkpoint, FamilyChoice, Pattern, places};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Finds the newest complete checkpoint in a directory. The newest one has the highest step of the newest run where every candidate
/// tells its step, and otherwise was modified last. A directory that does not exist has no checkpoint.
///
/// # Errors
/// The error of reading the directory; `InvalidInput` for the family `plain` without a pattern.
pub fn newest(dir: &Path, family: FamilyChoice, pattern: Option<&Pattern>) -> io::Result<Option<Checkpoint>> {
    survey(dir, family, pattern).map(|survey| survey.newest)
}

/// Finds the newest complete checkpoint, and the candidates that were passed over with the reasons.
///
/// # Errors
/// The errors of `newest`.
pub fn survey(dir: &Path, family: FamilyChoice, pattern: Option<&Pattern>) -> io::Result<Survey> {
    let listing = list(dir, family, pattern)?;
    let run = of_one(&listing, family, pattern);
    if listing.dir.as_os_str().is_empty() || run.has_candidates {
        return Ok(run.survey);
    }
    // A pattern is for names in the directory itself.
    let below = places::below(&listing.dir, family, pattern.is_none() && family.word() != "plain")?;
    let surveys = below.places.iter().filter_map(|place| Listing::read(place, MOST_ENTRIES).ok());
    let runs =
        surveys.map(|listing| of_one(&listing, family, pattern)).map(|run| Run { survey: run.survey, span: run.span });
    let mut survey = runs::combine(runs.collect());
    survey.cut |= listing.cut || below.cut;
    survey.foreign = if below.places.is_empty() { below.resembling } else { run.survey.foreign };
    Ok(survey)
}

/// The search in one directory.
struct OfOne {
    survey: Survey,
    has_candidates: bool,
    /// When its first and its last candidate were written.
    span: Option<(SystemTime, SystemTime)>,
}

fn of_one(listing: &Listing, family: FamilyChoice, pattern: Option<&Pattern>) -> OfOne {
    let mut survey = Survey { cut: listing.cut, ..Survey::default() };
    let Some(search) = Search::of(listing, family, pattern, None) else {
        return OfOne { survey, has_candidates: false, span: None };
    };
    search.fill(&mut survey);
    let times = search.candidates.iter().take(MOST_JUDGED).map(|candidate| modified(&listing.path(candidate.entry)));
    let span = times.fold(None, |span, time| match span {
        None => Some((time, time)),
        Some((first, last)) => Some((time.min(first), time.max(last))),
    });
    OfOne { survey, has_candidates: !search.candidates.is_empty(), span }
}

/// Returns complete checkpoints beside `newest` that are older than it, the newest first and at most `most` of them. Each stands for a
/// whole checkpoint.
pub fn older(newest: &Checkpoint, family: FamilyChoice, pattern: Option<&Pattern>, most: usize) -> Vec<Checkpoint> {
    let listing = newest.path.parent().and_then(|dir| list(dir, family, pattern).ok()).unwrap_or_default();
    let Some(search) = Search::of(&listing, family, pattern, None) else { return Vec::new() };
    let complete = search.candidates.iter().take(MOST_JUDGED).filter_map(|candidate| search.judge(candidate).ok());
    let rest = complete.skip_while(|found| found.path != newest.path).skip(1);
    rest.filter(|found| found.stands).take(most).collect()
}
