//! The checkpoints of several runs below one directory: which run is the newest. Runs that saved one after the other are told apart
//! by time; runs that saved at the same time are not told apart, and all are named.

use super::survey::{PassedOver, Rival, Survey};
use std::time::{Duration, SystemTime};

/// How far the ends of two runs may lie apart and tell nothing.
const TOLERANCE: Duration = Duration::from_secs(10);

/// Most incomplete checkpoints that are kept of all runs together.
const MOST_PASSED: usize = 256;

/// What one run has left.
pub(crate) struct Run {
    /// The search in its directory.
    pub survey: Survey,
    /// When its first and its last checkpoint were written.
    pub span: Option<(SystemTime, SystemTime)>,
}

/// Combines the searches of all runs.
pub(crate) fn combine(mut runs: Vec<Run>) -> Survey {
    runs.sort_by_key(|run| std::cmp::Reverse(run.survey.newest.as_ref().map(|found| found.modified)));
    let mut all = runs.into_iter();
    let Some(first) = all.next() else { return Survey::default() };
    let (mut survey, span) = (first.survey, first.span);
    for run in all {
        survey.cut |= run.survey.cut;
        survey.unjudged += run.survey.unjudged;
        survey.doubt.extend(run.survey.doubt.iter().cloned());
        let left = MOST_PASSED.saturating_sub(survey.passed_over.len());
        survey.passed_over.extend(run.survey.passed_over.iter().take(left).cloned());
        match (&survey.newest, &run.survey.newest) {
            (Some(newest), Some(other)) if at_once(span, run.span) => {
                let of_first = survey.doubt.is_empty().then(|| Rival::from(newest));
                survey.doubt.extend(of_first.into_iter().chain([Rival::from(other)]));
            }
            (Some(newest), Some(other)) if other.step > newest.step && newest.step.is_some() => {
                let higher = survey.earlier.as_ref().is_none_or(|earlier| earlier.step < other.step);
                survey.earlier = if higher { Some(Rival::from(other)) } else { survey.earlier };
            }
            _ => {}
        }
    }
    if let Some(found) =
        survey.newest.take_if(|found| !survey.doubt.is_empty() || begins_anew(&survey.passed_over, found))
    {
        let begun = survey.passed_over.iter().filter(|passed| is_newer_and_lower(passed, &found)).map(|passed| Rival {
            path: passed.path.clone(),
            step: passed.step,
            modified: super::listing::modified(&passed.path),
        });
        if survey.doubt.is_empty() {
            survey.doubt = std::iter::once(Rival::from(&found)).chain(begun.take(1)).collect();
        }
    }
    survey
}

/// Tells whether two runs saved at the same time, or ended so close to one another that their order is not known.
fn at_once(newest: Option<(SystemTime, SystemTime)>, other: Option<(SystemTime, SystemTime)>) -> bool {
    let (Some((begun, end)), Some((_, other_end))) = (newest, other) else { return false };
    other_end > begun + TOLERANCE || other_end + TOLERANCE > end
}

/// Tells whether a newer run has begun anew and saved nothing complete yet.
fn begins_anew(passed: &[PassedOver], found: &super::Checkpoint) -> bool {
    passed.iter().any(|passed| is_newer_and_lower(passed, found))
}

fn is_newer_and_lower(passed: &PassedOver, found: &super::Checkpoint) -> bool {
    passed.step.is_some()
        && passed.step < found.step
        && super::listing::modified(&passed.path) > found.modified + TOLERANCE
}
