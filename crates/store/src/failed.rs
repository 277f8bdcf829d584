//! Marks an environment that cannot be built. A start that waits for it, or asks a moment later, fails at once with the same message
//! instead of asking the index a thousand times. The message is text that this crate passes on unread.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The time for which a marker holds, short because the index may be repaired meanwhile.
pub const HOLDS: Duration = Duration::from_secs(300);

/// The number of failed tries, each perhaps on its own machine, after which a passing failure counts for all starts.
const ENOUGH: u32 = 3;

/// The largest file that is read.
pub(super) const MAX: u64 = 64 << 10;

/// The message of a failed build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureMessage {
    /// What happened, in one line.
    pub what: String,
    /// The cause.
    pub because: Option<String>,
    /// What helps.
    pub hints: Vec<String>,
}

/// A failed attempt, as a file contains it.
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
    /// What happened, in one line.
    pub what: String,
    /// The cause.
    pub because: Option<String>,
    /// What helps.
    pub hints: Vec<String>,
}

impl FailedAttempt {
    /// Creates a marker for other starts, after an earlier failed attempt if there was one.
    pub fn new(permanent: bool, message: FailureMessage, host: &str, earlier: Option<&FailedAttempt>) -> Self {
        let FailureMessage { what, because, hints } = message;
        let tries = earlier.map_or(0, |failed| failed.tries).saturating_add(1);
        FailedAttempt { permanent, tries, alone: false, host: host.to_owned(), what, because, hints }
    }

    /// Creates a marker for an environment that each start has to install for itself.
    pub fn alone(why: &str, host: &str) -> Self {
        FailedAttempt { alone: true, host: host.to_owned(), what: why.to_owned(), ..FailedAttempt::default() }
    }

    /// Checks whether the failure counts for all starts.
    pub fn is_for_all(&self) -> bool {
        self.permanent || self.tries >= ENOUGH
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
    fn what_may_pass_is_tried_by_a_few_before_it_fails_for_all() {
        let attempt = |permanent, earlier| FailedAttempt::new(permanent, FailureMessage::default(), "a", earlier);
        let first = attempt(false, None);
        let second = attempt(false, Some(&first));
        assert!(!first.is_for_all() && !second.is_for_all());
        assert!(attempt(false, Some(&second)).is_for_all() && attempt(true, None).is_for_all());
    }

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let message = FailureMessage { what: "a".into(), because: Some("b".into()), hints: vec!["c".into()] };
        let failed = FailedAttempt::new(true, message, "node-3", None);
        assert_eq!(read(&serde_json::to_vec(&failed).unwrap()), Some(failed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }
}
