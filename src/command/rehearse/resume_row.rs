//! The row about the second start: what it is given, and whether the job went on from that. Pure, as the rest of the judgement.

use super::VerdictRow;
use super::facts::{NextStart, RehearsalExpectation, RehearsalFacts};
use super::went_on::WentOn;
use crate::check::Status;

/// Returns the row.
pub(super) fn row(wanted: &RehearsalExpectation, found: &RehearsalFacts) -> VerdictRow {
    let fail = |what: &str| VerdictRow::new(Status::Fail, "resume", what);
    let seen = |row| found.next.seen.iter().fold(row, VerdictRow::hint);
    match &found.next {
        _ if wanted.watched.is_none() => {
            VerdictRow::new(Status::Warn, "resume", "unknown: checkpoint.dir is not set").open()
        }
        NextStart { failure: Some(failure), .. } => fail(failure),
        _ if found.newest.is_none() => seen(fail("a second start would find no checkpoint, and begin anew")),
        next if wanted.resumes && !next.gives() => {
            seen(fail("a second start would be given no checkpoint, and begin anew"))
        }
        next => tried(wanted, found, next),
    }
}

/// Returns the row of a second start that could be tried.
fn tried(wanted: &RehearsalExpectation, found: &RehearsalFacts, next: &NextStart) -> VerdictRow {
    let given = if wanted.resumes {
        format!("a second start is given {}", next.words())
    } else {
        "a second start is given nothing (checkpoint.resume is off)".into()
    };
    let row = |status, what: &str| VerdictRow::new(status, "resume", format!("{given}{what}"));
    match &found.went_on {
        _ if found.done => row(Status::Ok, "; it was not tried, since training is complete"),
        None => row(Status::Warn, "; it was not tried").open(),
        Some(WentOn::Yes(words)) => row(Status::Ok, &format!(", and it {words}"))
            .hint("so is the real one: take that checkpoint away if it is to begin anew"),
        Some(WentOn::No(words)) => row(Status::Fail, &format!(", and it {words}")).hint(if wanted.resumes {
            "load what is given before the first step: docs/checkpoints.md#resuming"
        } else {
            "checkpoint.resume: env, or words such as [--resume, \"{path}\"]"
        }),
        Some(WentOn::Unknown(words)) => row(Status::Warn, &format!("; cannot tell whether it went on: it {words}"))
            .open()
            .hint("let the job write a line with `step 1200`, or trainit_resumed_step=1200, when it goes on")
            .hint("or a longer try: --after 2m"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::RehearsedCheckpoint;
    use super::*;
    use std::time::Duration;

    fn told(resumes: bool, went_on: Option<WentOn>) -> (Status, bool, String) {
        let wanted = RehearsalExpectation {
            after: Duration::from_secs(20),
            grace: Duration::from_secs(30),
            grace_from: "stop.grace".into(),
            stop_code: Some(143),
            killed_code: 137,
            watched: Some("/ck".into()),
            resumes,
        };
        let path = "/ck/ckpt-7".into();
        let newest = Some(RehearsedCheckpoint { path, others: 0, step: Some(7), size: 1, modified: 1.0 });
        let next = NextStart { variables: vec![("TRAINIT_RESUME_STEP".into(), "7".into())], ..NextStart::default() };
        let facts =
            RehearsalFacts { before: None, newest, done: false, next, traces: Vec::new(), went_on, broken_off: false };
        let row = row(&wanted, &facts);
        (row.status, row.open, row.what)
    }

    #[test]
    fn only_a_job_that_was_seen_to_go_on_is_ok() {
        let given = "a second start is given TRAINIT_RESUME_STEP=7";
        let yes = told(true, Some(WentOn::Yes("went on: it saved 8".into())));
        assert_eq!(yes, (Status::Ok, false, format!("{given}, and it went on: it saved 8")));
        let no = told(true, Some(WentOn::No("began anew: it saved 1".into())));
        assert_eq!(no, (Status::Fail, false, format!("{given}, and it began anew: it saved 1")));
        let unknown = told(true, Some(WentOn::Unknown("ran".into())));
        assert_eq!(unknown, (Status::Warn, true, format!("{given}; cannot tell whether it went on: it ran")));
        assert_eq!(told(true, None), (Status::Warn, true, format!("{given}; it was not tried")));
    }

    #[test]
    fn a_job_that_looks_for_itself_is_judged_as_well() {
        let (status, open, what) = told(false, Some(WentOn::Yes("went on".into())));
        assert!(status == Status::Ok && !open && what.contains("checkpoint.resume is off"), "{what}");
        assert_eq!(told(false, Some(WentOn::No("began anew".into()))).0, Status::Fail);
    }
}
