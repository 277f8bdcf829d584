//! Marks an environment that cannot be built. A start that waits for it, or asks a moment later, fails at once with the same message
//! instead of asking the index a thousand times.

use crate::error::{Error, ErrorKind};
use crate::report;
use protocol::exit_code::FailureFamily;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The time for which a marker holds, short because the index may be repaired meanwhile.
pub const HOLDS: Duration = Duration::from_secs(300);

/// The number of failed tries, each perhaps on its own machine, after which a passing failure counts for all starts.
const ENOUGH: u32 = 3;

/// The largest file that is read.
pub const MAX: u64 = 64 << 10;

/// A failed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Whether another try cannot help.
    pub permanent: bool,
    /// The number of failed tries.
    pub tries: u32,
    /// Whether it was installed but cannot be packed, so that no start should wait for it.
    #[serde(default)]
    pub alone: bool,
    /// The host of the last try.
    pub host: String,
    what: String,
    because: Option<String>,
    hints: Vec<String>,
}

impl FailedAttempt {
    /// Creates a marker for other starts, after an earlier failed attempt if there was one.
    pub fn new(error: &Error, host: &str, earlier: Option<&FailedAttempt>) -> Self {
        FailedAttempt {
            permanent: matches!(error.kind, ErrorKind::Permanent(_)),
            tries: earlier.map_or(0, |failed| failed.tries).saturating_add(1),
            alone: false,
            host: host.to_owned(),
            what: error.what.clone(),
            because: report::because(error),
            hints: error.hints.clone(),
        }
    }

    /// Creates a marker for an environment that each start has to install for itself.
    pub fn alone(why: &str, host: &str) -> Self {
        FailedAttempt { alone: true, host: host.to_owned(), what: why.to_owned(), ..FailedAttempt::default() }
    }

    /// Checks whether the failure counts for all starts.
    pub fn is_for_all(&self) -> bool {
        self.permanent || self.tries >= ENOUGH
    }

    /// Returns the failure in one line.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns the failure as an error, with the host where it happened.
    pub fn error(&self, file: &std::path::Path) -> Error {
        let family = FailureFamily::Deps;
        let kind = if self.permanent { ErrorKind::Permanent(family) } else { ErrorKind::Transient(family) };
        let because = self.because.iter().cloned().chain([format!("seen on {}, told by deps.store", self.host)]);
        let error = Error::new(kind, self.what.clone()).because(because.collect::<Vec<_>>().join("; "));
        let minutes = HOLDS.as_secs() / 60;
        let again = format!("to try again before {minutes} minutes are over: rm {}", file.display());
        self.hints.iter().cloned().chain([again]).fold(error, Error::hint)
    }
}

/// Parses a marker; `None` for anything else.
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
            Error::new(ErrorKind::Permanent(FailureFamily::Deps), "no such version").because("x==9").hint("correct it");
        let failed = FailedAttempt::new(&error, "node-3", None);
        let read = read(&serde_json::to_vec(&failed).unwrap()).unwrap();
        let told = read.error(std::path::Path::new("/store/a.failed"));
        assert_eq!((told.kind, told.what.as_str()), (error.kind, "no such version"));
        assert!(
            read.is_for_all()
                && told.because.is_some_and(|told| told.contains("node-3"))
                && told.hints[0] == "correct it"
        );
    }

    #[test]
    fn what_may_pass_is_tried_by_a_few_before_it_fails_for_all() {
        let error = Error::new(ErrorKind::Transient(FailureFamily::Deps), "down");
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
