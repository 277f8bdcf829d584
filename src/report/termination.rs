//! The message for /dev/termination-log, which Kubernetes shows in the pod's status: at most 4096 bytes, the cause first.

use crate::check::{Finding, Status};
use crate::error::Error;
use protocol::exit_code::{Exit, TABLE};

/// Longest message. Kubernetes cuts at 4096 bytes, and the handover to PID 1 needs room for its frame.
const MAX: usize = 4000;

/// Explains a failed start: the meaning of the exit code, each failure with its cause, the error that ended it, and earlier warnings.
pub(crate) fn termination(findings: &[Finding], error: Option<&Error>, exit: Exit) -> String {
    let meaning = TABLE.iter().find(|(known, _)| *known == exit).map(|(_, words)| format!(" ({words})"));
    let head = format!("trainit did not start the workload: exit code {}{}", exit.code(), meaning.unwrap_or_default());
    let with = |status| findings.iter().filter(move |finding| finding.status == status).map(sentence);
    let error = error.map(|error| format!("{error:#}"));
    let lines = std::iter::once(head).chain(with(Status::Fail)).chain(error).chain(with(Status::Warn));
    cut(lines.map(|line| printable(&text::masked(&line))).collect::<Vec<_>>().join("\n"))
}

fn sentence(finding: &Finding) -> String {
    let because = finding.because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
    format!("{}: {}{because}", finding.check, finding.what)
}

/// Neutralises control characters; only an error keeps its line breaks.
fn printable(text: &str) -> String {
    text.lines().map(text::line).collect::<Vec<_>>().join("\n")
}

fn cut(mut text: String) -> String {
    if text.len() <= MAX {
        return text;
    }
    let end = (0..=MAX - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::FindingFacts;
    use protocol::exit_code::FailureFamily;
    use std::time::Duration;

    fn finding(status: Status, what: &str) -> Finding {
        Finding {
            check: "data.mounted".to_owned(),
            subject: None,
            status,
            what: what.to_owned(),
            because: Some("nothing was mounted".to_owned()),
            remedy: Vec::new(),
            exit: Exit::Permanent(FailureFamily::Data),
            took: Duration::ZERO,
            facts: FindingFacts::new(),
        }
    }

    #[test]
    fn the_cause_comes_first() {
        let findings = [finding(Status::Warn, "/out is in memory"), finding(Status::Fail, "/data is empty")];
        let text = termination(&findings, None, Exit::Permanent(FailureFamily::Data));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "trainit did not start the workload: exit code 111 (data: not mounted, empty, not readable, or not to be brought)",
                "data.mounted: /data is empty: nothing was mounted",
                "data.mounted: /out is in memory: nothing was mounted",
            ]
        );
    }

    #[test]
    fn it_is_never_too_long_and_always_text() {
        let findings: Vec<Finding> = (0..100).map(|_| finding(Status::Fail, &"ü".repeat(150))).collect();
        let text = termination(&findings, None, Exit::Permanent(FailureFamily::Data));
        assert!(text.len() <= MAX && text.ends_with('…'));
    }

    #[test]
    fn an_error_loses_its_secrets() {
        let error = Error::config("cannot reach https://me:pw@host/simple");
        let text = termination(&[], Some(&error), error.exit());
        assert!(text.contains("https://***@host/simple") && text.contains("exit code 78"), "{text}");
    }
}
