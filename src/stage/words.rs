//! The words about data that is brought: rows, progress, errors.

use super::event::StagingFailure;
use crate::error::{Error, ErrorKind};
use crate::progress_bar::Amount;
use ::stage::{How, Progress, StageError, StageRequest, Stamp};
use nix::errno::Errno;
use protocol::exit_code::FailureFamily;

/// Describes data that is there: `/data: s3://b/x/, 1281 files, 138 GiB, as of 3 h ago: unchanged`.
pub(crate) fn row_words(request: &StageRequest, stamp: &Stamp, how: How) -> String {
    let how = match how {
        How::Unchanged => "unchanged",
        How::Same => "the source holds the same",
        How::Awaited => "brought by another start",
        How::Brought => "brought",
    };
    let age = if how == "unchanged" { age_words(stamp) } else { String::new() };
    format!("{}: {}{age}: {how}", text::path(&request.target), described(stamp))
}

/// Describes how old data is.
pub(crate) fn age_words(stamp: &Stamp) -> String {
    format!(", as of {} ago", text::span(stamp.age()))
}

fn described(stamp: &Stamp) -> String {
    let totals = stamp.totals;
    format!("{}, {}, {}", text::line(&stamp.source), text::count(totals.files, "file"), text::size(totals.bytes))
}

/// Names the work: `staging /data`.
pub(crate) fn progress_words(target: &str) -> String {
    format!("staging {target}")
}

/// Returns how much of the data is there; `None` while it is not known how much there is.
pub(crate) fn amount(progress: Progress) -> Option<Amount> {
    Amount::bytes(progress.done, progress.all, progress.brought)
}

/// Describes a wait for another start.
pub(crate) fn wait_words(target: &str, host: &str, doing: &str) -> String {
    let name = if host.is_empty() { "another start" } else { host };
    let doing = if doing.is_empty() { String::new() } else { format!(" ({doing})") };
    format!("waiting for {name}, which stages {target} for all{doing}")
}

/// Makes the error of a start whose data could not be brought.
pub(crate) fn error_of(failure: StagingFailure) -> Error {
    let kind = match (failure.skew, failure.may_pass) {
        (Some(_), _) => ErrorKind::Transient(FailureFamily::Host),
        (None, true) => ErrorKind::Transient(FailureFamily::Data),
        (None, false) => ErrorKind::Permanent(FailureFamily::Data),
    };
    let error = Error::new(kind, failure.what);
    let error = failure.because.into_iter().fold(error, Error::because);
    failure.hints.into_iter().fold(error, Error::hint)
}

/// Makes the error of what the crate says.
pub(crate) fn error_of_crate(error: &StageError, request: &StageRequest) -> Error {
    error_of(StagingFailure::of(error, request))
}

/// Makes the error of a process that ended without an answer.
pub(crate) fn died() -> Error {
    Error::new(ErrorKind::Transient(FailureFamily::Data), "the process that brings data ended without a word")
        .because("it was killed from outside, perhaps because memory ran out")
        .hint("a larger memory limit, or a smaller stage.parallel")
}

/// Makes the error of a process that cannot be started.
pub(crate) fn not_started(errno: Errno) -> Error {
    Error::new(ErrorKind::Transient(FailureFamily::Host), "no process can be started to bring data").caused_by(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_of_a_failure_follows_from_what_helps() {
        let exit =
            |may_pass, skew| error_of(StagingFailure { may_pass, skew, ..StagingFailure::default() }).exit().code();
        assert_eq!([exit(false, None), exit(true, None), exit(false, Some(900))], [111, 211, 214]);
    }
}
