//! The limit of size: the oldest attempts become one line with their sum.

use crate::attempt::Attempts;
use crate::entry::{Entry, SumEntry};
use crate::sum::accounts;

/// Returns the history in about `keep` bytes, with its oldest attempts summed up; `None` if there is nothing to sum up.
///
/// The newest attempt keeps its lines. What could not be read is left out.
pub fn compacted(bytes: &[u8], keep: usize) -> Option<String> {
    let attempts = Attempts::read(bytes);
    let mut kept: Vec<String> = Vec::new();
    let mut length = 0;
    for attempt in attempts.all.iter().rev() {
        let lines = attempt.lines();
        length += lines.len();
        if length > keep && !kept.is_empty() {
            break;
        }
        kept.push(lines);
    }
    let cut = attempts.all.len() - kept.len();
    let next = attempts.all.get(cut).map(|attempt| attempt.start.at).filter(|_| cut > 0)?;
    let old = Attempts { all: attempts.all.into_iter().take(cut).collect(), ..attempts };
    let sum = accounts(&old, next).sum;
    let entry = SumEntry {
        since: sum.since,
        until: sum.until,
        attempts: sum.attempts,
        reasons: sum.reasons,
        // An attempt without an end among the oldest is known to have ended, but not when.
        parts: crate::Parts { unknown: sum.parts.unknown + sum.parts.running, running: 0.0, ..sum.parts },
    };
    kept.push(Entry::Sum(entry).line());
    Some(kept.into_iter().rev().collect())
}
