//! The result of a check as data. It crosses a process boundary and enters the report; only there it becomes text.

pub use crate::engine::StartPart as Change;
use protocol::exit_code::{Exit, FailureFamily};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The check holds.
    Ok,
    /// A problem that may hurt later.
    Warn,
    /// A problem that ends the start.
    Fail,
}

/// Facts for the JSON report by name.
pub type FindingFacts = BTreeMap<String, serde_json::Value>;

/// The result of a check for one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id, `family.name`. If several checks hold for one subject, the id of the family's main check.
    pub check: String,
    /// The path as messages show it; `None` for the machine.
    pub subject: Option<String>,
    /// How the check ended.
    pub status: Status,
    /// What was found.
    pub what: String,
    /// The cause, or the reason why it matters.
    pub because: Option<String>,
    /// What to type now.
    pub remedy: Vec<Remedy>,
    /// The exit code if the start fails because of this finding.
    pub exit: Exit,
    /// How long the check took.
    pub took: Duration,
    /// Facts for the JSON report.
    pub facts: FindingFacts,
}

/// One way to fix a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// The container has to be started differently. Several such changes become one command line.
    Start(Change),
    /// Anything else, as a sentence.
    Do(String),
}

impl Finding {
    /// Returns the family's name: the id up to its dot.
    pub fn family(&self) -> &str {
        self.check.split_once('.').map_or(self.check.as_str(), |(family, _)| family)
    }

    /// Rewrites remedies for a process that trainit itself switched to this user: with `--user` trainit could not switch.
    pub fn ask_trainit_for_the_user(&mut self) {
        for remedy in &mut self.remedy {
            if let Remedy::Start(Change::User { uid, gid }) = *remedy {
                let (name, value) = ("TRAINIT_USER".to_owned(), Some(format!("{uid}:{gid}")));
                *remedy = Remedy::Start(Change::Env { name, value });
            }
        }
    }
}

/// Returns the exit code of a start with these findings; `None` if the start continues. A permanent failure wins over one that may pass;
/// among equals the order of the families decides.
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
