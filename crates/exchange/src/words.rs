//! Numbers in sentences.

use crate::hello::Unit;
use std::time::Duration;

/// Most numbers that are listed.
const LISTED: usize = 8;

/// Lists numbers of nodes or ranks: `nodes 3 and 7`.
pub fn named(unit: Unit, numbers: &[u32]) -> String {
    let word = unit.word();
    let shown: Vec<String> = numbers.iter().take(LISTED).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(LISTED);
    match (shown.as_slice(), more) {
        ([], _) => format!("no {word}"),
        ([one], 0) => format!("{word} {one}"),
        ([first @ .., last], 0) => format!("{word}s {} and {last}", first.join(", ")),
        (all, more) => format!("{word}s {} and {more} more", all.join(", ")),
    }
}

/// Writes how long was waited, in the unit in which a person says it: `10 min`.
pub(crate) fn within(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60.. if seconds.is_multiple_of(60) && time.subsec_nanos() == 0 => format!("{} min", seconds / 60),
        _ => text::seconds(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_minutes_are_minutes() {
        let words = [600, 90, 59].map(|seconds| within(Duration::from_secs(seconds)));
        assert_eq!(words, ["10 min", "90 s", "59 s"]);
    }

    #[test]
    fn numbers_are_listed_up_to_a_few() {
        let words = |numbers: &[u32]| named(Unit::Node, numbers);
        assert_eq!(words(&[3]), "node 3");
        assert_eq!(words(&[3, 7]), "nodes 3 and 7");
        assert_eq!(words(&[1, 3, 7]), "nodes 1, 3 and 7");
        assert_eq!(words(&(0..10).collect::<Vec<_>>()), "nodes 0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
    }
}
