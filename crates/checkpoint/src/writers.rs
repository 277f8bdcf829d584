//! Whether a file of a format without a recognisable end is at rest. Its time alone does not tell, because a writer may pause.

use std::fs::{File, Metadata};
use std::time::{Duration, SystemTime};
use sys::lease::{Writers, writers};

/// How long a file must be unchanged where the kernel cannot tell who writes it. The time is longer than the pauses of a writer,
/// and longer than the delay of network file systems (NFS: 3 s for a file that has just changed).
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// Tells whether a file has no writer any more: by the kernel's answer where it has one (local file systems), else by whether the
/// file has been unchanged for `QUIET`. A time in the future counts as a change just now.
pub(crate) fn at_rest(file: &File, metadata: &Metadata) -> bool {
    match writers(file) {
        Writers::None => true,
        Writers::Some => false,
        Writers::Unknown => metadata.modified().is_ok_and(|changed| is_quiet(changed, SystemTime::now())),
    }
}

fn is_quiet(changed: SystemTime, now: SystemTime) -> bool {
    now.duration_since(changed).is_ok_and(|age| age >= QUIET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_is_measured_back_from_now() {
        let now = SystemTime::now();
        assert!(is_quiet(now - QUIET, now));
        assert!(!is_quiet(now - QUIET / 2, now));
        assert!(!is_quiet(now + QUIET, now));
    }
}
