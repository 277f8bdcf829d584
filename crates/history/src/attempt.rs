//! Attempts, joined from their lines.

use crate::entry::{ClosedBy, EndEntry, Entry, ReadyEntry, StartEntry, SumEntry};
use crate::lines::{self, ReadLines};
use serde::Serialize;
use std::collections::HashMap;

/// An attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attempt {
    /// The start.
    pub start: StartEntry,
    /// The end of the preparation; `None` if the workload never ran.
    pub ready: Option<ReadyEntry>,
    /// The end; `None` if the attempt runs, or ended without a word.
    pub end: Option<EndEntry>,
}

/// The attempts of a history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempts {
    /// The sum of the oldest attempts, whose lines are gone.
    pub summed: Option<SumEntry>,
    /// The attempts, in the order of their starts.
    pub all: Vec<Attempt>,
    /// The number of lines that could not be read.
    pub skipped: u64,
}

impl Attempts {
    /// Reads the attempts of a history.
    pub fn read(bytes: &[u8]) -> Self {
        Self::joined(lines::read(bytes))
    }

    /// Joins lines.
    pub fn joined(read: ReadLines) -> Self {
        let (mut attempts, mut places) = (Attempts { skipped: read.skipped, ..Attempts::default() }, HashMap::new());
        for entry in read.entries {
            match entry {
                Entry::Sum(sum) => attempts.summed = Some(sum.and(attempts.summed.take())),
                entry => {
                    if let Some(attempt) = attempts.at(&mut places, entry.id()) {
                        attempt.take(entry);
                    }
                }
            }
        }
        attempts.all.iter_mut().for_each(Attempt::settle);
        attempts.all.sort_by(|one, other| one.start.at.total_cmp(&other.start.at));
        attempts
    }

    /// Returns the attempt of this identity.
    fn at(&mut self, places: &mut HashMap<String, usize>, id: &str) -> Option<&mut Attempt> {
        let next = self.all.len();
        let place = *places.entry(id.to_owned()).or_insert(next);
        if place == next {
            let start = StartEntry { id: id.to_owned(), ..StartEntry::default() };
            self.all.push(Attempt { start, ..Attempt::default() });
        }
        self.all.get_mut(place)
    }

    /// Returns the attempts without an end.
    pub fn open(&self) -> impl Iterator<Item = &Attempt> {
        self.all.iter().filter(|attempt| attempt.end.is_none())
    }
}

impl Attempt {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Start(start) => self.start = start,
            Entry::Ready(ready) => self.ready = Some(ready),
            // What an attempt says of its own end is better than what the next start could find out.
            Entry::End(end) if self.end.as_ref().is_none_or(|old| old.by == ClosedBy::NextStart) => {
                self.end = Some(end);
            }
            Entry::End(_) | Entry::Sum(_) => {}
        }
    }

    /// Returns the lines of the attempt.
    pub(crate) fn lines(&self) -> String {
        let ready = self.ready.clone().map(Entry::Ready);
        let end = self.end.clone().map(Entry::End);
        let all = std::iter::once(Entry::Start(self.start.clone())).chain(ready).chain(end);
        all.map(|entry| entry.line()).collect()
    }

    /// Takes what another history knows of this attempt and this one does not; returns whether that was anything.
    pub(crate) fn learn(&mut self, other: &Attempt) -> bool {
        let before = self.clone();
        if self.start.life.is_empty() && self.start.trainit.is_empty() {
            self.start = other.start.clone();
        }
        self.ready = self.ready.take().or_else(|| other.ready.clone());
        if let Some(end) = other.end.as_ref().filter(|end| self.end.is_none() || end.by == ClosedBy::Itself) {
            self.take(Entry::End(end.clone()));
        }
        *self != before
    }

    /// Sets the start of an attempt whose first line is lost.
    fn settle(&mut self) {
        if self.start.at == 0.0 {
            let ready = self.ready.as_ref().map(|ready| ready.at - ready.phases.values().sum::<f64>());
            let end = self.end.as_ref().map(|end| end.worked_until.unwrap_or(end.at));
            self.start.at = ready.or(end).unwrap_or_default();
        }
    }
}

impl Entry {
    /// Returns the identity of the attempt.
    fn id(&self) -> &str {
        match self {
            Entry::Start(start) => &start.id,
            Entry::Ready(ready) => &ready.id,
            Entry::End(end) => &end.id,
            Entry::Sum(_) => "",
        }
    }
}

impl SumEntry {
    /// Adds an earlier sum.
    pub(crate) fn and(mut self, other: Option<SumEntry>) -> Self {
        let Some(other) = other else { return self };
        self.since = self.since.min(other.since);
        self.until = self.until.max(other.until);
        self.attempts += other.attempts;
        self.parts.add(&other.parts);
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self
    }
}
