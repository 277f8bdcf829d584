//! The words for what the store tells a start: the state of an entry, a wait, and a failure that another start had. Such a failure becomes
//! an error here, and an error of this start a message for the others.

use crate::error::{Error, ErrorKind};
use crate::report;
use protocol::exit_code::FailureFamily;
use std::path::Path;
use store::archive::ArchiveManifest;
use store::failed::{self, FailedAttempt, FailureMessage};
use store::lease::LeaseOwner;
use store::{EntryState, WaitEvent};

/// Describes the state of an entry in a few words, of which another user may have written some.
pub(super) fn state(state: &EntryState) -> String {
    text::line(&as_written(state)).into_owned()
}

fn as_written(state: &EntryState) -> String {
    match state {
        EntryState::There(manifest, age, bytes) => {
            let ArchiveManifest { packages, installer, host, .. } = manifest;
            let packages = text::count(packages.len() as u64, "package");
            format!("has it: {packages}, {}, by {installer} on {host}, {} old", text::size(*bytes), text::time(*age))
        }
        EntryState::Building(owner) => format!("{} builds it: {}", owner.host, owner.doing),
        EntryState::Failed(failed) => format!("it could not be built on {}: {}", failed.host, failed.what),
        EntryState::Missing => "does not have it".to_owned(),
        EntryState::Bad(error) => format!("is of no use: {}", report::chain(error)),
    }
}

/// Describes a change while a start waits.
pub(super) fn wait(event: WaitEvent<'_>) -> String {
    match event {
        WaitEvent::Waits(owner) => {
            let doing = if owner.doing.is_empty() { String::new() } else { format!(": {}", owner.doing) };
            format!("waiting for {}, which builds the environment for all{doing}", name(owner))
        }
        WaitEvent::TakesOver(owner) => {
            format!("{}, which began to build the environment for all, is gone: it is begun anew", name(owner))
        }
    }
}

fn name(owner: &LeaseOwner) -> &str {
    if owner.host.is_empty() { "another start" } else { &owner.host }
}

/// Makes the error of a start whose builder did not finish in time.
pub(super) fn late(owner: &LeaseOwner) -> Error {
    let what = format!("{} did not finish building the environment in time", name(owner));
    Error::new(ErrorKind::Transient(FailureFamily::Deps), what)
        .because("this start waits for it, since deps.store is set")
        .hint("a longer time: TRAINIT_DEPS_TIMEOUT=1h; or build it before the job starts: trainit deps install")
}

/// Makes the message of this start's error for other starts.
pub(super) fn message(error: &Error) -> FailureMessage {
    FailureMessage { what: error.what.clone(), because: report::because(error), hints: error.hints.clone() }
}

/// Makes the error that another start had, with the host where it happened; `file` is its marker.
pub(super) fn failed_elsewhere(failed: &FailedAttempt, file: &Path) -> Error {
    let family = FailureFamily::Deps;
    let kind = if failed.permanent { ErrorKind::Permanent(family) } else { ErrorKind::Transient(family) };
    let because = failed.because.iter().cloned().chain([format!("seen on {}, told by deps.store", failed.host)]);
    let error = Error::new(kind, failed.what.clone()).because(because.collect::<Vec<_>>().join("; "));
    let minutes = failed::HOLDS.as_secs() / 60;
    let again = format!("to try again before {minutes} minutes are over: rm {}", file.display());
    failed.hints.iter().cloned().chain([again]).fold(error, Error::hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use store::{FileError, StoreError};

    #[test]
    fn others_fail_with_the_same_words_and_code_and_know_where_it_was() {
        let error =
            Error::new(ErrorKind::Permanent(FailureFamily::Deps), "no such version").because("x==9").hint("correct it");
        let failed = FailedAttempt::new(true, message(&error), "node-3", None);
        let read = failed::read(&serde_json::to_vec(&failed).unwrap()).unwrap();
        let told = failed_elsewhere(&read, Path::new("/store/a.failed"));
        assert_eq!((told.kind, told.what.as_str()), (error.kind, "no such version"));
        assert!(
            read.is_for_all()
                && told.because.is_some_and(|told| told.contains("node-3"))
                && told.hints[0] == "correct it"
        );
    }

    #[test]
    fn what_others_wrote_is_escaped() {
        let owner =
            serde_json::from_str(r#"{"host":"a\u001b[2J","pid":1,"space":"","began":0,"id":"","doing":"","beat":0}"#);
        assert_eq!(state(&EntryState::Building(owner.unwrap())), "a\\x1b[2J builds it: ");
    }

    #[test]
    fn a_store_that_is_of_no_use_is_told_with_the_cause() {
        let foreign = StoreError::File("/store/a.lease".into(), FileError::Foreign(4321.into()));
        assert_eq!(state(&EntryState::Bad(foreign)), "is of no use: /store/a.lease: it belongs to user 4321");
        let closed = state(&EntryState::Bad(StoreError::Closed(Errno::EROFS)));
        assert!(closed.ends_with(protocol::errno::words(Errno::EROFS)), "{closed}");
    }
}
