//! The word that an environment cannot be built: who waits for it, or asks a moment later, fails at once with the same message
//! instead of asking the index a thousand times.

use crate::error::Error;
use protocol::exit_code::{Exit, FailureFamily};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So long it holds. Somebody may have mended the index meanwhile.
pub const HOLDS: Duration = Duration::from_secs(300);

/// What may pass has to fail for so many, each on its own machine perhaps, before it fails for all.
const ENOUGH: u32 = 3;

/// Longest file that is read.
pub const MAX: u64 = 64 << 10;

/// A failed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Trying again does not help.
    pub permanent: bool,
    /// How many have tried.
    pub tries: u32,
    /// It was installed, but cannot be packed: nobody should wait for it.
    #[serde(default)]
    pub alone: bool,
    /// The machine of the last one.
    pub host: String,
    what: String,
    because: Option<String>,
    hints: Vec<String>,
}

impl FailedAttempt {
    /// What is to be left for others, after an earlier attempt of somebody else.
    pub fn new(error: &Error, host: &str, earlier: Option<&FailedAttempt>) -> Self {
        FailedAttempt {
            permanent: matches!(error.exit, Exit::Permanent(_)),
            tries: earlier.map_or(0, |failed| failed.tries).saturating_add(1),
            alone: false,
            host: host.to_owned(),
            what: error.what.clone(),
            because: error.because.clone(),
            hints: error.hints.clone(),
        }
    }

    /// What is to be left where each has to install for itself.
    pub fn alone(why: &str, host: &str) -> Self {
        FailedAttempt { alone: true, host: host.to_owned(), what: why.to_owned(), ..FailedAttempt::default() }
    }

    /// Whether nobody else should try.
    pub fn is_for_all(&self) -> bool {
        self.permanent || self.tries >= ENOUGH
    }

    /// What failed, in one line.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The same failure, and where it happened.
    pub fn error(&self, file: &std::path::Path) -> Error {
        let family = FailureFamily::Deps;
        let exit = if self.permanent { Exit::Permanent(family) } else { Exit::Transient(family) };
        let because = self.because.iter().cloned().chain([format!("seen on {}, told by deps.store", self.host)]);
        let error = Error::new(exit, self.what.clone()).because(because.collect::<Vec<_>>().join("; "));
        let minutes = HOLDS.as_secs() / 60;
        let again = format!("to try again before {minutes} minutes are over: rm {}", file.display());
        self.hints.iter().cloned().chain([again]).fold(error, Error::hint)
    }
}

/// Reads a marker; anything else is none.
pub fn read(bytes: &[u8]) -> Option<FailedAttempt> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn others_fail_with_the_same_words_and_code_and_know_where_it_was() {
        let error =
            Error::new(Exit::Permanent(FailureFamily::Deps), "no such version").because("x==9").hint("correct it");
        let failed = FailedAttempt::new(&error, "node-3", None);
        let read = read(&serde_json::to_vec(&failed).unwrap()).unwrap();
        let told = read.error(std::path::Path::new("/store/a.failed"));
        assert_eq!((told.exit, told.what.as_str()), (error.exit, "no such version"));
        assert!(read.is_for_all() && told.to_string().contains("node-3") && told.hints[0] == "correct it");
    }

    #[test]
    fn what_may_pass_is_tried_by_a_few_before_it_fails_for_all() {
        let error = Error::new(Exit::Transient(FailureFamily::Deps), "down");
        let first = FailedAttempt::new(&error, "a", None);
        let second = FailedAttempt::new(&error, "b", Some(&first));
        assert!(!first.is_for_all() && !second.is_for_all());
        assert!(FailedAttempt::new(&error, "c", Some(&second)).is_for_all());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }
}
