//! The judgement of a rehearsal. Pure: expectation, record and facts become rows, text and an exit code.

use super::VerdictRow;
use super::facts::{RehearsalExpectation, RehearsalFacts};
use super::resume_row;
use super::trial::{RehearsedCheckpoint, Trial, TrialStop};
use crate::check::Status;
use protocol::exit_code::Exit;
use std::time::Duration;
use sys::Signal;

/// Tolerance in seconds for file servers' clocks and for whole-second times: a checkpoint may look this much older than it is.
const ROUNDED: f64 = 1.0;

/// The judgement.
pub(super) struct Verdict {
    /// One row for each question.
    pub rows: Vec<VerdictRow>,
    /// The summary in one line.
    pub words: String,
    /// The exit code of the command.
    pub exit: Exit,
}

/// Judges a rehearsal.
pub(super) fn judge(wanted: &RehearsalExpectation, trial: &Trial, found: &RehearsalFacts) -> Verdict {
    let mut rows = vec![start(trial)];
    if trial.prepared.is_some() && !trial.broken_off {
        rows.push(run(wanted, trial));
        if let Some(stop) = &trial.stop {
            rows.extend([ended(wanted, trial, stop), saved(wanted, found, stop), resume_row::row(wanted, found)]);
        }
    }
    let about = |of: &dyn Fn(&VerdictRow) -> bool| rows.iter().filter(|row| of(row)).map(|row| row.about).collect();
    let failed: Vec<&str> = about(&|row| row.status == Status::Fail);
    let open: Vec<&str> = about(&|row| row.open);
    let (words, exit) = match trial.prepared {
        _ if trial.broken_off || found.broken_off => {
            ("broken off: nothing is known".to_owned(), Exit::Signal(Signal::INT.number()))
        }
        None => ("not ready: it does not start, or does nothing".to_owned(), trial.refusal().unwrap_or(Exit::Failure)),
        Some(_) if failed.is_empty() && !open.is_empty() => {
            (format!("cannot tell whether it is ready: {}", open.join(", ")), Exit::Failure)
        }
        Some(_) if failed.is_empty() => ("ready to be sent off".to_owned(), Exit::Success),
        Some(_) => (format!("not ready: {}", failed.join(", ")), Exit::Failure),
    };
    Verdict { rows, words, exit }
}

fn start(trial: &Trial) -> VerdictRow {
    match trial.prepared {
        Some(prepared) => {
            VerdictRow::new(Status::Ok, "start", format!("the workload ran after {}", text::seconds(prepared)))
        }
        None if trial.refusal().is_none() && !trial.broken_off => {
            let what = format!("it ended with exit code {} before it was seen to run", trial.code);
            VerdictRow::new(Status::Fail, "start", what).hint("a training takes longer: is it this command?")
        }
        None if trial.broken_off => VerdictRow::new(Status::Warn, "start", "broken off before the workload ran"),
        None => VerdictRow::new(
            Status::Fail,
            "start",
            format!("refused with exit code {}; what is wrong stands above", trial.code),
        ),
    }
}

fn run(wanted: &RehearsalExpectation, trial: &Trial) -> VerdictRow {
    let ran = text::seconds(trial.ran);
    match (&trial.stop, trial.code) {
        (Some(_), _) => VerdictRow::new(Status::Ok, "run", format!("it ran for {ran} until the stop")),
        (None, 0) => {
            VerdictRow::new(Status::Fail, "run", format!("it was complete after {ran}, so there was nothing to stop"))
                .hint(format!("rehearse --after {}", sooner(trial.ran)))
        }
        (None, code) => VerdictRow::new(
            Status::Fail,
            "run",
            format!(
                "it ended by itself after {ran}, with exit code {code}; the stop was to come after {}",
                text::seconds(wanted.after)
            ),
        ),
    }
}

fn sooner(ran: Duration) -> String {
    match (ran / 2).as_secs() {
        0 => format!("{}ms", (ran / 2).as_millis()),
        seconds => format!("{seconds}s"),
    }
}

fn ended(wanted: &RehearsalExpectation, trial: &Trial, stop: &TrialStop) -> VerdictRow {
    let took = text::seconds(stop.took);
    let grace = format!("{} ({})", text::seconds(wanted.grace), wanted.grace_from);
    match trial.code {
        code if code == wanted.killed_code => {
            VerdictRow::new(Status::Fail, "stop", format!("it was killed: still there {grace} after SIGTERM"))
                .hint("save sooner after SIGTERM, or stop.grace and the engine's own: docs/stopping.md")
        }
        code if wanted.stop_code.is_none_or(|stopped| stopped == code) && !stop.handled => {
            let what =
                format!("it died of SIGTERM, for which it had no handler {} after its begin", text::seconds(trial.ran));
            VerdictRow::new(Status::Warn, "stop", what)
                .hint("a handler that saves: docs/stopping.md; or a later stop: --after 2m")
        }
        code if wanted.stop_code.is_none_or(|stopped| stopped == code) => {
            let means = if code == 0 { "" } else { ": stopped in good order, start me again" };
            VerdictRow::new(
                Status::Ok,
                "stop",
                format!("it ended {took} after SIGTERM, of {grace}, with {code}{means}"),
            )
        }
        code => {
            let what = format!("it ended {took} after SIGTERM with {code}, which an engine takes for a failure");
            VerdictRow::new(Status::Fail, "stop", what)
                .hint("end with 0 or by the signal when it was asked to stop (stop.exit_code)")
        }
    }
}

/// Judges whether a checkpoint is no older than the stop.
fn saved(wanted: &RehearsalExpectation, found: &RehearsalFacts, stop: &TrialStop) -> VerdictRow {
    let Some(dir) = &wanted.watched else {
        return VerdictRow::new(Status::Fail, "saved", "whether it saved cannot be seen: checkpoint.dir is not set")
            .hint("checkpoint.dir: where checkpoints appear (TRAINIT_CHECKPOINT_DIR)");
    };
    let hinted = |row: VerdictRow| found.traces.iter().fold(row, VerdictRow::hint);
    let is_new = |saved: &RehearsedCheckpoint| Some(saved) != found.before.as_ref();
    match &found.newest {
        _ if found.done => VerdictRow::new(Status::Ok, "saved", "training was complete (stop.done_file)"),
        Some(saved) if is_new(saved) && saved.modified >= stop.at - ROUNDED && Some(saved) != stop.saved.as_ref() => {
            let after = Duration::try_from_secs_f64((saved.modified - stop.at).max(0.0)).unwrap_or_default();
            VerdictRow::new(Status::Ok, "saved", format!("{}, {} after the stop", saved.words(), text::seconds(after)))
        }
        Some(saved) if is_new(saved) => {
            let lost = Duration::try_from_secs_f64((stop.at - saved.modified).max(0.0)).unwrap_or_default();
            let what = format!("nothing since the stop; {} is {} older, and what was done since then is lost", saved.words(), text::seconds(lost));
            hinted(VerdictRow::new(Status::Fail, "saved", what)).hint("save when SIGTERM comes: docs/stopping.md#recipes")
        }
        _ => hinted(VerdictRow::new(Status::Fail, "saved", format!("no new checkpoint is complete in {}", text::path(dir))))
            .hint("save when SIGTERM comes: docs/stopping.md#recipes; how a complete one looks: checkpoint.family, checkpoint.pattern"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::NextStart;
    use super::super::went_on::WentOn;
    use super::*;

    fn wanted() -> RehearsalExpectation {
        RehearsalExpectation {
            after: Duration::from_secs(20),
            grace: Duration::from_secs(30),
            grace_from: "stop.grace".into(),
            stop_code: Some(143),
            killed_code: 137,
            watched: Some("/ck".into()),
            resumes: true,
        }
    }

    fn trial(code: u8, stop: Option<TrialStop>) -> Trial {
        let ran = Duration::from_secs(20);
        Trial { prepared: Some(Duration::from_secs(1)), ran, stop, code, ..Trial::default() }
    }

    fn stop() -> Option<TrialStop> {
        Some(TrialStop { at: 1000.0, took: Duration::from_millis(400), handled: true, saved: None })
    }

    fn saved(step: u64, modified: f64) -> Option<RehearsedCheckpoint> {
        Some(RehearsedCheckpoint {
            path: format!("/ck/ckpt-{step}").into(),
            others: 0,
            step: Some(step),
            size: 100,
            modified,
        })
    }

    fn found(newest: Option<RehearsedCheckpoint>) -> RehearsalFacts {
        let next = NextStart { variables: vec![("TRAINIT_RESUME_STEP".into(), "7".into())], ..NextStart::default() };
        let went_on = Some(WentOn::Yes("went on: it saved 8".into()));
        let before = saved(1, 900.0);
        RehearsalFacts { before, newest, done: false, next, traces: Vec::new(), went_on, broken_off: false }
    }

    /// Returns the rows that failed, and the exit code.
    fn told(wanted: &RehearsalExpectation, trial: &Trial, found: &RehearsalFacts) -> (String, u8) {
        let verdict = judge(wanted, trial, found);
        let bad = verdict.rows.iter().filter(|row| row.status != Status::Ok);
        let bad = bad.map(|row| format!("{:?} {}: {}", row.status, row.about, row.what)).collect::<Vec<_>>();
        (bad.join("; "), verdict.exit.code())
    }

    #[test]
    fn a_set_that_no_path_stands_for_is_saved_and_not_handed_over() {
        let mut facts = found(saved(7, 1000.3));
        facts.next = NextStart { seen: vec!["a.pt, b.pt are one checkpoint".into()], ..NextStart::default() };
        let verdict = judge(&wanted(), &trial(143, stop()), &facts);
        let resume = verdict.rows.iter().find(|row| row.about == "resume").unwrap();
        assert_eq!(
            (resume.status, resume.hints.as_slice()),
            (Status::Fail, &["a.pt, b.pt are one checkpoint".to_owned()][..])
        );
        assert_eq!(verdict.words, "not ready: resume");
    }

    #[test]
    fn what_saves_after_the_stop_and_ends_with_its_code_is_ready() {
        assert_eq!(told(&wanted(), &trial(143, stop()), &found(saved(7, 1000.3))), (String::new(), 0));
        let own_code = RehearsalExpectation { stop_code: None, ..wanted() };
        assert_eq!(told(&own_code, &trial(0, stop()), &found(saved(7, 1000.3))), (String::new(), 0));
    }

    #[test]
    fn what_saves_only_now_and_then_loses_what_it_did_since() {
        let (bad, code) = told(&wanted(), &trial(143, stop()), &found(saved(7, 990.0)));
        assert!(
            bad.starts_with("Fail saved: nothing since the stop; /ck/ckpt-7 (step 7, 100 B) is 10 s older"),
            "{bad}"
        );
        assert_eq!(code, 1);
        // A checkpoint from before the stop is not from after it, whatever the server's clock says.
        let knew = stop().map(|stop| TrialStop { saved: saved(7, 1000.5), ..stop });
        assert_eq!(told(&wanted(), &trial(143, knew), &found(saved(7, 1000.5))).1, 1);
    }

    #[test]
    fn an_old_checkpoint_is_no_answer() {
        let (bad, code) = told(&wanted(), &trial(143, stop()), &found(saved(1, 900.0)));
        assert_eq!((bad.as_str(), code), ("Fail saved: no new checkpoint is complete in /ck", 1));
    }

    #[test]
    fn a_kill_a_wrong_code_and_a_death_by_the_signal_are_told() {
        let newest = saved(7, 1000.3);
        let (bad, _) = told(&wanted(), &trial(137, stop()), &found(newest.clone()));
        assert!(bad.starts_with("Fail stop: it was killed: still there 30 s (stop.grace) after SIGTERM"), "{bad}");
        let (bad, _) = told(&wanted(), &trial(1, stop()), &found(newest));
        assert!(bad.starts_with("Fail stop: it ended 0.4 s after SIGTERM with 1, which an engine"), "{bad}");
        let died = stop().map(|stop| TrialStop { handled: false, ..stop });
        let (bad, code) = told(&wanted(), &trial(143, died), &found(None));
        assert!(bad.starts_with("Warn stop: it died of SIGTERM, for which it had no handler 20 s after"), "{bad}");
        assert_eq!(code, 1);
    }

    #[test]
    fn a_start_that_is_refused_ends_with_its_own_code_and_an_early_end_with_1() {
        let refused = Trial { prepared: None, code: 111, ..Trial::default() };
        assert_eq!(told(&wanted(), &refused, &found(None)).1, 111);
        let lost = Trial { prepared: None, code: 3, ..Trial::default() };
        assert_eq!(told(&wanted(), &lost, &found(None)).1, 1);
        let short = Trial { prepared: None, code: 0, ..Trial::default() };
        let told_of_it = ("Fail start: it ended with exit code 0 before it was seen to run".to_owned(), 1);
        assert_eq!(told(&wanted(), &short, &found(None)), told_of_it);
        let (bad, code) = told(&wanted(), &trial(7, None), &found(None));
        assert!(bad.starts_with("Fail run: it ended by itself after 20 s, with exit code 7"), "{bad}");
        assert_eq!(code, 1);
        assert!(told(&wanted(), &trial(0, None), &found(None)).0.contains("nothing to stop"));
    }

    #[test]
    fn what_cannot_be_seen_is_not_ready() {
        let unseen = RehearsalExpectation { watched: None, ..wanted() };
        let (bad, code) = told(&unseen, &trial(143, stop()), &found(None));
        assert!(bad.starts_with("Fail saved: whether it saved cannot be seen"), "{bad}");
        assert_eq!(code, 1);
    }

    #[test]
    fn one_that_is_broken_off_proves_nothing() {
        let trial = Trial { broken_off: true, ..trial(143, stop()) };
        assert_eq!(told(&wanted(), &trial, &found(saved(7, 1000.3))), (String::new(), 130));
    }
}
