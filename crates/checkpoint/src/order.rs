//! The order of candidates: which one is the newest. A step orders the checkpoints of one run. Where an earlier run has left higher
//! steps behind, the time tells which run is the newer one, and in doubt neither counts.

use super::listing::{Candidate, EntryKind, Listing};
use std::cmp::Reverse;
use std::time::{Duration, SystemTime};

/// How far two times may lie apart and tell nothing: files of an archive, of a copy, and of clocks that differ.
const TOLERANCE: Duration = Duration::from_secs(10);

/// How far a time may lie ahead of the clock and still be usable.
pub(crate) const AHEAD: Duration = Duration::from_secs(60);

/// How often a directory may have gone back to lower steps. Above that, the times are those of a copy.
const MOST_RETURNS: usize = 2;

/// Most candidates whose times are compared.
const MOST_DATED: usize = 4096;

/// Most candidates whose files are asked for their times in any case.
const MOST_ASKED: usize = 256;

/// Most files of a directory whose times are read.
const MOST_FILES: usize = 256;

/// What the candidates were sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By step: steps and times agree, or the times tell nothing.
    Steps,
    /// By time, because not every candidate has a step.
    Times,
    /// By time: the first one is newer than others with a higher step.
    Runs,
    /// By step, and the times contradict the steps in a way that no order of runs explains.
    Doubt,
}

/// Sorts the candidates, the newest first.
pub(crate) fn sort(listing: &Listing, candidates: &mut Vec<Candidate<'_>>, now: SystemTime) -> Order {
    if !candidates.iter().all(|candidate| candidate.step.is_some()) {
        candidates.sort_by_cached_key(|candidate| {
            (Reverse(super::listing::modified(&listing.path(candidate.entry))), Reverse(candidate.step))
        });
        return Order::Times;
    }
    candidates.sort_by(|a, b| (Reverse(a.step), &a.entry.name).cmp(&(Reverse(b.step), &b.entry.name)));
    // The time of a directory changes with every entry that is removed, so the files inside are asked. Of a great many directories,
    // only if their own times contradict the steps.
    if candidates.len() > MOST_ASKED && agree(&dated(listing, candidates, |path, _| super::listing::modified(path))) {
        return Order::Steps;
    }
    let dated = dated(listing, candidates, written);
    let order = judge(&dated, now);
    if order == Order::Runs {
        let time = |candidate: &Candidate<'_>| written(&listing.path(candidate.entry), candidate.entry.kind);
        candidates.sort_by_cached_key(|candidate| (Reverse(time(candidate)), Reverse(candidate.step)));
    }
    order
}

/// A candidate's step, time and name.
#[derive(Clone, Debug)]
struct Dated {
    step: u64,
    time: SystemTime,
    name: std::ffi::OsString,
}

fn dated(
    listing: &Listing,
    candidates: &[Candidate<'_>],
    time: impl Fn(&std::path::Path, EntryKind) -> SystemTime,
) -> Vec<Dated> {
    let dated = candidates.iter().take(MOST_DATED).filter_map(|candidate| {
        let time = time(&listing.path(candidate.entry), candidate.entry.kind);
        Some(Dated { step: candidate.step?, time, name: candidate.entry.name.clone() })
    });
    // What is gone meanwhile has no time and no say.
    dated.filter(|dated| dated.time != SystemTime::UNIX_EPOCH).collect()
}

/// Returns when the newest file of a directory was written, or when a file was.
pub(crate) fn written(path: &std::path::Path, kind: EntryKind) -> SystemTime {
    let own = super::listing::modified(path);
    if kind == EntryKind::File {
        return own;
    }
    let inside = Listing::read(path, MOST_FILES).unwrap_or_default();
    let files = inside.entries.iter().filter(|entry| entry.kind == EntryKind::File);
    files.map(|entry| super::listing::modified(&inside.path(entry))).max().unwrap_or(own)
}

/// Tells whether no candidate is newer than one with a higher step. The candidates are sorted by step, the highest first.
fn agree(dated: &[Dated]) -> bool {
    let Some(highest) = dated.first() else { return true };
    let mut oldest = highest.time;
    dated.iter().all(|next| {
        let agrees = next.time <= oldest + TOLERANCE;
        oldest = oldest.min(next.time);
        agrees
    })
}

/// Judges times that contradict the steps. The candidates are sorted by step, the highest first.
fn judge(dated: &[Dated], now: SystemTime) -> Order {
    let (Some(highest), Some(newest)) = (dated.first(), dated.iter().max_by_key(|dated| dated.time)) else {
        return Order::Steps;
    };
    if agree(dated) || newest.time <= highest.time + TOLERANCE {
        return Order::Steps;
    }
    let mut by_time: Vec<&Dated> = dated.iter().collect();
    by_time.sort_by_key(|dated| dated.time);
    let returns = by_time.windows(2).filter(|pair| matches!(pair, [a, b] if b.step < a.step)).count();
    // A copy writes the files in the order of their names, and a wrong clock orders nothing.
    let copied = dated.len() > 2 && by_time.windows(2).all(|pair| matches!(pair, [a, b] if a.name < b.name));
    if copied || returns > MOST_RETURNS || newest.time > now + AHEAD { Order::Doubt } else { Order::Runs }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges candidates given as steps and ages in seconds.
    fn order(steps: &[(u64, i64)]) -> Order {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let mut dated: Vec<Dated> = steps
            .iter()
            .map(|&(step, age)| Dated {
                step,
                time: SystemTime::UNIX_EPOCH + Duration::from_secs((1_000_000 - age) as u64),
                name: format!("ckpt-{step}").into(),
            })
            .collect();
        dated.sort_by_key(|dated| Reverse(dated.step));
        judge(&dated, now)
    }

    #[test]
    fn a_run_that_goes_on_is_ordered_by_step() {
        assert_eq!(order(&[(10, 300), (20, 200), (30, 100)]), Order::Steps);
        assert_eq!(order(&[(10, 3), (20, 5), (30, 1)]), Order::Steps, "times within the tolerance tell nothing");
        assert_eq!(order(&[(10, 100), (1000, 5)]), Order::Steps);
        assert_eq!(order(&[]), Order::Steps);
    }

    #[test]
    fn a_newer_run_wins_over_the_higher_step_of_an_earlier_one() {
        assert_eq!(order(&[(1000, 259_200), (10, 20), (20, 10)]), Order::Runs);
        assert_eq!(order(&[(500, 900), (1000, 800), (600, 100)]), Order::Runs, "a run that went back");
    }

    #[test]
    fn times_that_no_order_of_runs_explains_are_a_doubt() {
        assert_eq!(order(&[(1000, 300), (200, 200), (300, 100)]), Order::Doubt, "in the order of names: a copy");
        assert_eq!(order(&[(50, 900), (40, 800), (30, 700), (20, 600)]), Order::Doubt, "backwards");
        assert_eq!(order(&[(1000, 300), (10, -7200)]), Order::Doubt, "a clock that is wrong");
    }
}
