//! Two histories of one job, as two nodes have kept them, become one.

use crate::attempt::{Attempt, Attempts};
use crate::compact::compacted;
use crate::entry::Entry;
use std::collections::HashMap;

/// Returns a history with what another one of the same job has more, each attempt once; `None` if the other one has nothing more.
///
/// The one whose oldest attempts are summed up further keeps its sum, which stands for the attempts before the first of its lines.
pub fn joined(own: &[u8], other: &[u8]) -> Option<String> {
    let (mut own, mut other) = (Attempts::read(own), Attempts::read(other));
    let (mine, theirs) = (first(&own), first(&other));
    let mut more = false;
    if theirs > mine {
        own.summed = other.summed.take();
        own.all.retain(|attempt| attempt.start.at >= theirs);
        more = true;
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    places.extend(own.all.iter().enumerate().map(|(place, attempt)| (attempt.start.id.clone(), place)));
    for attempt in other.all.into_iter().filter(|attempt| attempt.start.at >= mine) {
        match places.get(&attempt.start.id).and_then(|place| own.all.get_mut(*place)) {
            Some(known) => more |= known.learn(&attempt),
            None => {
                own.all.push(attempt);
                more = true;
            }
        }
    }
    own.all.sort_by(|one, other| one.start.at.total_cmp(&other.start.at));
    more.then(|| text(&own))
}

/// Returns the lines of a history that are its own, in at most about this many bytes.
pub fn sound_lines(bytes: &[u8], most: usize) -> String {
    let all = text(&Attempts::read(bytes));
    let long = (all.len() > most).then(|| compacted(all.as_bytes(), most)).flatten();
    long.unwrap_or(all)
}

/// Returns when the first attempt began that has lines of its own, where older ones are summed up.
fn first(attempts: &Attempts) -> f64 {
    let first = attempts.all.first().map(|attempt| attempt.start.at);
    attempts.summed.as_ref().map_or(f64::NEG_INFINITY, |sum| first.unwrap_or(sum.until))
}

fn text(attempts: &Attempts) -> String {
    let sum = attempts.summed.clone().map(|sum| Entry::Sum(sum).line());
    sum.into_iter().chain(attempts.all.iter().map(Attempt::lines)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{ClosedBy, EndEntry, ReadyEntry, Reason, StartEntry};
    use proptest::prelude::*;

    fn attempt(n: u32, ready: bool, end: Option<ClosedBy>) -> Attempt {
        let (id, at) = (format!("{n:04x}"), f64::from(n) * 100.0);
        let reason = if end == Some(ClosedBy::Itself) { Reason::Failed } else { Reason::Silent };
        Attempt {
            start: StartEntry { id: id.clone(), at, life: "host/1".into(), ..StartEntry::default() },
            ready: ready.then(|| ReadyEntry { id: id.clone(), at: at + 5.0, ..ReadyEntry::default() }),
            end: end.map(|by| EndEntry { id, at: at + 60.0, by, reason, ..EndEntry::default() }),
        }
    }

    fn history(attempts: &[Attempt]) -> String {
        attempts.iter().map(Attempt::lines).collect()
    }

    #[test]
    fn what_two_nodes_know_of_one_attempt_is_joined_and_its_own_end_wins() {
        let here = history(&[attempt(1, true, None), attempt(2, true, Some(ClosedBy::NextStart))]);
        let there = history(&[attempt(1, true, Some(ClosedBy::Itself)), attempt(3, false, None)]);
        let both = joined(here.as_bytes(), there.as_bytes()).unwrap();
        let found = Attempts::read(both.as_bytes());
        assert_eq!(found.all[0], attempt(1, true, Some(ClosedBy::Itself)));
        assert_eq!((found.all.len(), found.skipped), (3, 0));
        assert_eq!(joined(both.as_bytes(), here.as_bytes()), None, "a foreign end of an end that is known is none");
        assert_eq!(joined(both.as_bytes(), b"torn\n{\"v\":1"), None);
        assert_eq!(joined(b"", there.as_bytes()).as_deref(), Some(there.as_str()));
    }

    #[test]
    fn no_attempt_counts_twice_where_the_oldest_are_summed_up() {
        let all: Vec<Attempt> = (1..40).map(|n| attempt(n, true, Some(ClosedBy::Itself))).collect();
        let (whole, older) = (history(&all), history(&all[..30]));
        let short = compacted(whole.as_bytes(), 3000).unwrap();
        let more = compacted(short.as_bytes(), 1000).unwrap();
        for (one, other) in [(&older, &short), (&short, &older), (&more, &whole), (&short, &more), (&older, &more)] {
            let both = joined(one.as_bytes(), other.as_bytes()).unwrap_or_else(|| one.clone());
            assert_eq!(crate::accounts(&Attempts::read(both.as_bytes()), 1e6).sum.attempts, 39);
        }
        assert!(sound_lines(whole.as_bytes(), 2000).len() < 3000);
    }

    proptest! {
        #[test]
        fn joining_in_any_order_gives_the_same_attempts(
            one in proptest::collection::vec((1u32..20, any::<bool>(), 0u8..3), 0..12),
            other in proptest::collection::vec((1u32..20, any::<bool>(), 0u8..3), 0..12),
        ) {
            let make = |all: Vec<(u32, bool, u8)>| {
                let by = |end| [None, Some(ClosedBy::Itself), Some(ClosedBy::NextStart)][usize::from(end)];
                history(&all.into_iter().map(|(n, ready, end)| attempt(n, ready, by(end))).collect::<Vec<_>>())
            };
            let (one, other) = (make(one), make(other));
            let joined = |one: &str, other: &str| {
                let text = super::joined(one.as_bytes(), other.as_bytes()).unwrap_or_else(|| one.to_owned());
                let all = Attempts::read(text.as_bytes()).all;
                (text, all)
            };
            let ((there, first), (_, second)) = (joined(&one, &other), joined(&other, &one));
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(super::joined(there.as_bytes(), other.as_bytes()), None);
        }
    }
}
