//! A fact about a job, with its origin. Knows nothing of engines.

use std::fmt;

/// A fact, and the variable, key or file that told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// The fact.
    pub value: T,
    /// The name of the variable, key or file, as a message names it: `SLURM_NODEID`, `cluster.nodes (/etc/trainit.yaml:3)`.
    pub from: String,
}

impl<T> Known<T> {
    /// Returns a fact with its origin.
    pub fn new(value: T, from: impl Into<String>) -> Self {
        Known { value, from: from.into() }
    }

    /// Returns another fact that follows from this one, with the same origin; `None` where none follows.
    pub fn then<U>(self, follows: impl FnOnce(T) -> Option<U>) -> Option<Known<U>> {
        Some(Known { value: follows(self.value)?, from: self.from })
    }
}

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.from)
    }
}

/// Returns a number of things, or the index of one, with its origin.
pub(crate) fn count(number: usize, from: &str) -> Option<Known<u32>> {
    u32::try_from(number).ok().map(|number| Known::new(number, from))
}
