//! The search for the newest complete checkpoint: one listing of the directory, the family that the directory belongs to, and its
//! candidates, from the newest one to the first that is complete.

use super::completeness::Completeness;
use super::family::{FAMILIES, Family, FamilyContext};
use super::listing::{Candidate, Listing, MOST_ENTRIES};
use super::{Checkpoint, FamilyChoice, Pattern};
use std::cmp::Reverse;
use std::io;
use std::io::ErrorKind::{InvalidInput, NotFound};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most candidates that are judged in one search.
pub(super) const MOST_JUDGED: usize = 64;

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The newest complete checkpoint.
    pub newest: Option<Checkpoint>,
    /// The family that the directory was read as; `None` where no family has left its mark there.
    pub family: Option<&'static str>,
    /// The newer candidates that are not complete.
    pub passed_over: Vec<PassedOver>,
    /// Whether the directory holds more entries than were read, so that a newer checkpoint may be among the rest.
    pub cut: bool,
}

/// A candidate that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The file or directory.
    pub path: PathBuf,
    /// The reason why it is not complete, as a fragment that fits after the path.
    pub why: String,
}

impl Survey {
    /// Adds a candidate, unless its path is listed already: a link and its target are one candidate.
    fn pass_over(&mut self, path: PathBuf, why: String) {
        if !self.passed_over.iter().any(|other| other.path == path) {
            self.passed_over.push(PassedOver { path, why });
        }
    }
}

/// Finds the newest complete checkpoint in a directory. The newest one has the highest step where every candidate tells its step,
/// and otherwise was modified last. A directory that does not exist has no checkpoint.
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
    let mut survey = Survey { cut: listing.cut, ..Survey::default() };
    let Some(search) = Search::of(&listing, family, pattern) else { return Ok(survey) };
    survey.family = Some(search.family.name);
    for candidate in search.candidates.iter().take(MOST_JUDGED) {
        match search.judge(candidate) {
            Ok(found) => {
                survey.newest = Some(found);
                break;
            }
            Err(why) => survey.pass_over(listing.path(candidate.entry), why.0),
        }
    }
    Ok(survey)
}

/// Reads the directory; a missing directory has no entries. A stale one (ESTALE) is an error, because it may have entries that
/// cannot be seen just now.
pub(super) fn list(dir: &Path, family: FamilyChoice, pattern: Option<&Pattern>) -> io::Result<Listing> {
    if family.word() == "plain" && pattern.is_none() {
        return Err(io::Error::new(InvalidInput, "the family plain needs checkpoint.pattern"));
    }
    match Listing::read(&std::path::absolute(dir)?, MOST_ENTRIES) {
        Err(error) if error.kind() == NotFound => Ok(Listing::default()),
        read => read,
    }
}

/// A listing, read as one family's directory.
pub(super) struct Search<'a> {
    context: FamilyContext<'a>,
    pub family: &'static Family,
    /// The candidates, the newest first.
    pub candidates: Vec<Candidate<'a>>,
}

impl<'a> Search<'a> {
    /// Reads a listing as the family that was asked for, or as the first family whose mark is in the directory.
    pub(crate) fn of(listing: &'a Listing, choice: FamilyChoice, pattern: Option<&'a Pattern>) -> Option<Self> {
        match choice {
            FamilyChoice::Only(family) => Some(Self::by(FamilyContext { listing, pattern, named: true }, family)),
            FamilyChoice::Auto => {
                let context = FamilyContext { listing, pattern, named: false };
                let searches = FAMILIES.iter().map(|family| Self::by(context, family));
                searches.into_iter().find(|search| (search.family.marked)(&context, &search.candidates))
            }
        }
    }

    fn by(context: FamilyContext<'a>, family: &'static Family) -> Self {
        let mut candidates = (family.candidates)(&context);
        if let Some(pattern) = context.pattern {
            candidates.retain_mut(|candidate| fits(pattern, candidate));
        }
        sort(context.listing, &mut candidates);
        Search { context, family, candidates }
    }

    /// Judges a candidate and returns it as a checkpoint, if it is complete.
    pub(crate) fn judge(&self, candidate: &Candidate<'_>) -> Completeness<Checkpoint> {
        let contents = (self.family.judge)(&self.context, candidate)?;
        Ok(Checkpoint {
            path: self.context.listing.path(candidate.entry),
            step: candidate.step,
            size: contents.size,
            modified: contents.modified,
            family: self.family.name,
        })
    }
}

/// Tells whether the pattern fits. The step by the pattern wins over the step by the family's rule.
fn fits(pattern: &Pattern, candidate: &mut Candidate<'_>) -> bool {
    let found = candidate.entry.names().filter_map(|name| pattern.step_of(name)).last();
    candidate.step = found.flatten().or(candidate.step);
    found.is_some()
}

/// Sorts the candidates, the newest first. Steps order candidates only where all have a step: of a numbered name and a bare one
/// (`last.ckpt`) only the time tells which is newer.
fn sort(listing: &Listing, candidates: &mut [Candidate<'_>]) {
    if candidates.iter().all(|candidate| candidate.step.is_some()) {
        candidates.sort_by(|a, b| (Reverse(a.step), &a.entry.name).cmp(&(Reverse(b.step), &b.entry.name)));
    } else {
        candidates.sort_by_cached_key(|candidate| {
            (Reverse(modified(&listing.path(candidate.entry))), Reverse(candidate.step))
        });
    }
}

/// Returns when an entry itself was modified; the beginning of time if it is gone.
pub(super) fn modified(path: &Path) -> SystemTime {
    std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
