//! The search in one directory: its listing, the family that it belongs to, and its candidates, from the newest one to the first that
//! is complete.

use super::completeness::{self, Completeness, Unfinished};
use super::family::{FAMILIES, Family, FamilyContext};
use super::listing::{Candidate, EntryKind, Listing, MOST_ENTRIES};
use super::order::{self, Order};
use super::survey::{PassedOver, Rival, Survey};
use super::{Checkpoint, FamilyChoice, Pattern, set, siblings};
use std::collections::HashSet;
use std::io;
use std::io::ErrorKind::{InvalidInput, NotFound};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most candidates that are judged in one search.
pub(super) const MOST_JUDGED: usize = 4096;

/// How many earlier checkpoints a directory is compared with.
const MOST_BEFORE: usize = 2;

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
    /// The order of the candidates.
    order: Order,
    /// Files of the family's kind that nothing shows to be saved by a training.
    pub foreign: Vec<PathBuf>,
}

impl<'a> Search<'a> {
    /// Reads a listing as the family that was asked for, or as the first family whose mark is in the directory. What was written
    /// after `since` is saved by this training, whatever its name is.
    pub(crate) fn of(
        listing: &'a Listing,
        choice: FamilyChoice,
        pattern: Option<&'a Pattern>,
        since: Option<SystemTime>,
    ) -> Option<Self> {
        match choice {
            FamilyChoice::Only(family) => {
                Some(Self::by(FamilyContext { listing, pattern, named: true }, family, since))
            }
            FamilyChoice::Auto => {
                let context = FamilyContext { listing, pattern, named: false };
                let candidates = FAMILIES.iter().map(|family| (family, picked(&context, family)));
                let (family, candidates) =
                    candidates.into_iter().find(|(family, candidates)| (family.marked)(&context, candidates))?;
                Some(Self::with(context, family, candidates, since))
            }
        }
    }

    fn by(context: FamilyContext<'a>, family: &'static Family, since: Option<SystemTime>) -> Self {
        Self::with(context, family, picked(&context, family), since)
    }

    fn with(
        context: FamilyContext<'a>,
        family: &'static Family,
        candidates: Vec<Candidate<'a>>,
        since: Option<SystemTime>,
    ) -> Self {
        let mut sets = set::of(context.listing, candidates, context.pattern.is_some(), since);
        let order = order::sort(context.listing, &mut sets.candidates, SystemTime::now());
        Search { context, family, candidates: sets.candidates, order, foreign: sets.foreign }
    }

    /// Returns the data that the family's functions use.
    pub(crate) fn context(&self) -> &FamilyContext<'a> {
        &self.context
    }

    /// Judges the candidates, the newest first, up to the first one that is complete.
    pub(crate) fn fill(&self, survey: &mut Survey) {
        survey.family = Some(self.family.name);
        survey.foreign.clone_from(&self.foreign);
        survey.unjudged = self.candidates.len().saturating_sub(MOST_JUDGED);
        // A link and its target are one candidate.
        let mut seen = HashSet::new();
        for candidate in self.candidates.iter().take(MOST_JUDGED) {
            if !seen.insert(self.context.listing.path(candidate.entry)) {
                continue;
            }
            match self.judge(candidate) {
                Ok(found) => {
                    survey.unjudged = 0;
                    return self.settle(survey, found);
                }
                Err(why) => {
                    let path = self.context.listing.path(candidate.entry);
                    survey.passed_over.push(PassedOver { path, step: candidate.step, why: why.to_string() });
                }
            }
        }
    }

    /// Judges a candidate and returns it as a checkpoint, if it is complete.
    pub(crate) fn judge(&self, candidate: &Candidate<'_>) -> Completeness<Checkpoint> {
        if let Some(gap) = &candidate.gap {
            return Err(Unfinished::because(gap.clone()));
        }
        let path = |entry| self.context.listing.path(entry);
        let mut contents = if candidate.ours {
            (self.family.judge)(&self.context, candidate)?
        } else {
            completeness::part(&path(candidate.entry))?
        };
        for other in &candidate.others {
            let found = completeness::part(&path(other)).map_err(|why| why.inside(Path::new(&other.name)))?;
            contents = contents.and(found);
        }
        if let Some(part) = self.lacking(candidate) {
            return Err(Unfinished::because(format!("no {part}, which the checkpoints before it have")));
        }
        Ok(Checkpoint {
            path: path(candidate.entry),
            step: candidate.step,
            size: contents.size,
            modified: contents.modified,
            family: self.family.name,
            others: candidate.others.iter().map(|other| path(other)).collect(),
            stands: candidate.stands,
            unread: contents.unread,
        })
    }

    /// Returns a part that the checkpoints before a directory have, and the directory has not.
    fn lacking(&self, candidate: &Candidate<'_>) -> Option<String> {
        let at = self.candidates.iter().position(|other| std::ptr::eq(other.entry, candidate.entry))?;
        let directories = self.candidates.iter().skip(at + 1).filter(|other| other.entry.kind == EntryKind::Directory);
        let complete = directories.take(MOST_BEFORE).filter(|other| (self.family.judge)(&self.context, other).is_ok());
        let sibling = |candidate: &Candidate<'_>| (self.context.listing.path(candidate.entry), candidate.step);
        (candidate.entry.kind == EntryKind::Directory)
            .then(|| siblings::lacking(&sibling(candidate), complete.map(sibling)))
            .flatten()
    }

    /// Takes the newest complete checkpoint, unless it is doubtful which one that is.
    fn settle(&self, survey: &mut Survey, found: Checkpoint) {
        let higher = self.candidates.iter().filter(|other| other.step > found.step).max_by_key(|other| other.step);
        let rival = |other: &Candidate<'_>| {
            let path = self.context.listing.path(other.entry);
            Rival { modified: order::written(&path, other.entry.kind), path, step: other.step }
        };
        match self.order {
            Order::Steps | Order::Times => survey.newest = Some(found),
            Order::Runs => {
                let newer = self.candidates.first().filter(|newer| newer.step < found.step);
                match newer {
                    // The newer run has nothing complete, and the earlier run may be another one.
                    Some(newer) => survey.doubt = vec![Rival::from(&found), rival(newer)],
                    None => {
                        survey.earlier = higher.map(rival);
                        survey.newest = Some(found);
                    }
                }
            }
            Order::Doubt => {
                let latest = self.candidates.iter().map(rival).max_by_key(|other| other.modified);
                survey.doubt = std::iter::once(Rival::from(&found)).chain(latest).collect();
            }
        }
    }
}

/// Lists a family's candidates that the pattern fits, too.
fn picked<'a>(context: &FamilyContext<'a>, family: &Family) -> Vec<Candidate<'a>> {
    let mut candidates = (family.candidates)(context);
    if let Some(pattern) = context.pattern {
        candidates.retain_mut(|candidate| fits(pattern, candidate));
    }
    candidates
}

/// Tells whether the pattern fits. The step by the pattern wins over the step by the family's rule.
fn fits(pattern: &Pattern, candidate: &mut Candidate<'_>) -> bool {
    let found = candidate.entry.names().filter_map(|name| pattern.step_of(name)).last();
    candidate.step = found.flatten().or(candidate.step);
    found.is_some()
}
