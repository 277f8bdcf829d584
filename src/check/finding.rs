//! What a check found out, as data: it crosses a process boundary, goes into the report, and becomes words only there.

pub use crate::engine::StartPart as Change;
use protocol::exit_code::{Exit, FailureFamily};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How one thing turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// May hurt later.
    Warn,
    /// The start must not go on.
    Fail,
}

/// Facts for the JSON report, by name.
pub type FindingFacts = BTreeMap<String, serde_json::Value>;

/// What a check found out about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id, `family.name`; of several that hold for one subject, the family's main one.
    pub check: String,
    /// The path it is about, as it is shown; none: the machine.
    pub subject: Option<String>,
    /// How it turned out.
    pub status: Status,
    /// What was found.
    pub what: String,
    /// Why it matters, or what caused it.
    pub because: Option<String>,
    /// What to type now.
    pub remedy: Vec<Remedy>,
    /// The exit code when this is what the start fails for.
    pub exit: Exit,
    /// How long it took.
    pub took: Duration,
    /// Facts for the JSON report.
    pub facts: FindingFacts,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// The container has to be started differently. Several of these are gathered into one command line.
    Start(Change),
    /// Anything else, as a sentence.
    Do(String),
}

impl Finding {
    /// The family's name: the id up to its dot.
    pub fn family(&self) -> &str {
        self.check.split_once('.').map_or(self.check.as_str(), |(family, _)| family)
    }

    /// Where trainit has become the user, another one is asked for in the same way: with `--user` it could not become anybody.
    pub fn ask_trainit_for_the_user(&mut self) {
        for remedy in &mut self.remedy {
            if let Remedy::Start(Change::User { uid, gid }) = *remedy {
                let (name, value) = ("TRAINIT_USER".to_owned(), Some(format!("{uid}:{gid}")));
                *remedy = Remedy::Start(Change::Env { name, value });
            }
        }
    }
}

/// The exit code that findings end a start with; none: it goes on. A failure that trying again does not mend wins over one
/// that may pass; among equals the first in the order of the families.
pub fn verdict(findings: &[Finding]) -> Option<Exit> {
    let failed = || findings.iter().filter(|finding| finding.status == Status::Fail).map(|finding| finding.exit);
    let first = |transient: bool| {
        failed().filter(|exit| matches!(exit, Exit::Transient(_)) == transient).min_by_key(|exit| family_of(*exit))
    };
    first(false).or_else(|| first(true))
}

fn family_of(exit: Exit) -> Option<FailureFamily> {
    match exit {
        Exit::Permanent(family) | Exit::Transient(family) => Some(family),
        Exit::NotFound | Exit::NotExecutable => Some(FailureFamily::Code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: Status, exit: Exit) -> Finding {
        let (check, what) = ("a.b".to_owned(), String::new());
        let (because, remedy, facts) = (None, Vec::new(), FindingFacts::new());
        Finding { check, subject: None, status, what, because, remedy, exit, took: Duration::ZERO, facts }
    }

    #[test]
    fn warnings_do_not_end_a_start() {
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&[failed(Status::Warn, Exit::Permanent(FailureFamily::Data))]), None);
    }

    #[test]
    fn what_trying_again_does_not_mend_wins() {
        let findings = [
            failed(Status::Fail, Exit::Transient(FailureFamily::Gpu)),
            failed(Status::Fail, Exit::Permanent(FailureFamily::Output)),
            failed(Status::Fail, Exit::Permanent(FailureFamily::Data)),
        ];
        assert_eq!(verdict(&findings), Some(Exit::Permanent(FailureFamily::Data)));
        assert_eq!(verdict(&findings[..1]), Some(Exit::Transient(FailureFamily::Gpu)));
    }
}
