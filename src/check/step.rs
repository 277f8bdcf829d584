//! The checks of a family are steps over one target (a path, the GPUs). Each step checks one thing, and the order makes the first failure
//! the most informative one. The result is a `Failure`; `walk` gives it the configured severity.

use super::progress::TaskProgress;
use super::rules::Rules;
use super::{Check, Finding, FindingFacts, Remedy, Status, Transient};
use crate::config::Severity;
use protocol::exit_code::Exit;
use std::time::Duration;

/// One check and its function.
pub(super) struct Step<S> {
    /// The check.
    pub check: Check,
    /// Whether later steps depend on this one: it runs even if it is off, and its failure ends the walk.
    pub base: bool,
    /// The function that runs the check.
    pub ask: fn(&mut S) -> CheckResult,
}

/// The result of a step.
pub(super) type CheckResult = Result<(), Box<Failure>>;

/// The target of a family's steps.
pub(super) trait Target {
    /// The check id of the line that reports success.
    const MAIN: &'static str;
    /// Returns the path as messages show it.
    fn name(&self) -> Option<String>;
    /// Returns the line that reports success; `None` for no line.
    fn summary(&mut self) -> Option<String>;
    /// Returns facts for the report.
    fn facts(&self) -> FindingFacts;
    /// Gives a long check its progress report.
    fn speaks_with(&mut self, _pulse: TaskProgress) {}
}

/// The failure of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    what: String,
    because: Option<String>,
    remedy: Vec<Remedy>,
    passing: bool,
    by_errno: bool,
    level: Option<Severity>,
    exit: Option<Exit>,
}

impl Failure {
    /// Makes a failure with its first sentence.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Failure { what: what.into(), ..Failure::default() }
    }

    /// Adds the cause, or the reason why it matters.
    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.because = Some(cause.into());
        self
    }

    /// Adds more about the cause.
    pub(super) fn adding(mut self, more: Option<String>) -> Self {
        self.because = match (self.because, more) {
            (Some(cause), Some(more)) => Some(format!("{cause}; {more}")),
            (cause, more) => cause.or(more),
        };
        self
    }

    /// Adds a remedy.
    pub(super) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy.push(remedy);
        self
    }

    /// Adds a remedy as a sentence.
    pub(super) fn advice(self, sentence: impl Into<String>) -> Self {
        self.remedy(Remedy::Do(sentence.into()))
    }

    /// Sets whether a retry, here later or on another node, can help; for checks where that depends.
    pub(super) fn passing(mut self, passing: bool) -> Self {
        self.passing = passing;
        self
    }

    /// Marks the failure as transient by its errno, even for a check whose other failures never are.
    pub(super) fn by_errno(mut self) -> Self {
        self.by_errno = true;
        self
    }

    /// Overrides the check's severity: an option of the path demands it, or the configuration asks for nothing.
    pub(super) fn level(mut self, level: Option<Severity>) -> Self {
        self.level = level;
        self
    }

    /// Overrides the exit code of the family.
    pub(super) fn exit(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    /// Ends a step with this failure.
    pub(super) fn found(self) -> CheckResult {
        Err(Box::new(self))
    }

    /// Makes the finding of this check; `None` if the check is off.
    pub(super) fn finding(self, check: &Check, rules: &Rules<'_>) -> Option<Finding> {
        let status = match rules.severity(check, self.level) {
            Severity::Off => return None,
            Severity::Warn => Status::Warn,
            Severity::Fail => Status::Fail,
        };
        let passing = match check.passing {
            Transient::Never => self.by_errno,
            Transient::Always => true,
            Transient::Depends => self.passing || self.by_errno,
        };
        let family = if passing { Exit::Transient(check.family) } else { Exit::Permanent(check.family) };
        let exit = self.exit.unwrap_or(family);
        Some(Finding {
            check: check.id.to_owned(),
            subject: None,
            status,
            what: self.what,
            because: self.because,
            remedy: self.remedy,
            exit,
            took: Duration::ZERO,
            facts: FindingFacts::new(),
        })
    }
}

/// Runs the steps in their order up to the first failure. Each warning is a finding of its own; without any, one finding reports success.
pub(super) fn walk<S: Target>(steps: &[Step<S>], rules: &Rules<'_>, subject: &mut S) -> Vec<Finding> {
    let (mut findings, mut held) = (Vec::new(), Vec::new());
    let mut stopped = false;
    for step in steps.iter().filter(|step| step.base || rules.wants(&step.check)) {
        match (step.ask)(subject) {
            Ok(()) => held.push(step.check.id),
            Err(failure) => {
                let finding = failure.finding(&step.check, rules);
                stopped = step.base || finding.as_ref().is_some_and(|finding| finding.status == Status::Fail);
                findings.extend(finding);
            }
        }
        if stopped {
            break;
        }
    }
    if findings.is_empty() && !stopped {
        findings.extend(all_well(steps, subject));
    }
    finish(findings, subject, &held)
}

fn all_well<S: Target>(steps: &[Step<S>], subject: &mut S) -> Option<Finding> {
    let main = steps.iter().find(|step| step.check.id == S::MAIN)?;
    let what = subject.summary()?;
    Some(Finding {
        check: S::MAIN.to_owned(),
        subject: None,
        status: Status::Ok,
        what,
        because: None,
        remedy: Vec::new(),
        exit: Exit::Permanent(main.check.family),
        took: Duration::ZERO,
        facts: FindingFacts::new(),
    })
}

fn finish<S: Target>(mut findings: Vec<Finding>, subject: &S, held: &[&str]) -> Vec<Finding> {
    for finding in &mut findings {
        finding.subject = subject.name();
        finding.facts = subject.facts();
        finding.facts.insert("held".to_owned(), held.into());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OriginValue;
    use protocol::exit_code::FailureFamily;
    use std::collections::BTreeMap;

    struct Asked(Vec<&'static str>);

    impl Asked {
        fn ask(&mut self, name: &'static str) -> CheckResult {
            self.0.push(name);
            Ok(())
        }
    }

    impl Target for Asked {
        const MAIN: &'static str = "data.readable";
        fn name(&self) -> Option<String> {
            Some("/data".to_owned())
        }
        fn summary(&mut self) -> Option<String> {
            Some("fine".to_owned())
        }
        fn facts(&self) -> FindingFacts {
            FindingFacts::new()
        }
    }

    const fn check(id: &'static str, severity: Severity) -> Check {
        Check { id, family: FailureFamily::Data, severity, passing: Transient::Never, about: "", remedy: "" }
    }

    const STEPS: &[Step<Asked>] = &[
        Step { check: check("data.exists", Severity::Fail), base: true, ask: |s| s.ask("exists") },
        Step {
            check: check("data.mounted", Severity::Warn),
            base: false,
            ask: |s| {
                s.0.push("mounted");
                Failure::new("not a mount").found()
            },
        },
        Step {
            check: check("data.empty", Severity::Fail),
            base: false,
            ask: |s| {
                s.0.push("empty");
                Failure::new("empty").found()
            },
        },
        Step { check: check("data.readable", Severity::Fail), base: false, ask: |s| s.ask("readable") },
    ];

    fn walked(checks: &[(&str, Severity)]) -> (Vec<(String, Status)>, Vec<&'static str>) {
        let value: BTreeMap<String, Severity> = checks.iter().map(|(id, s)| ((*id).to_owned(), *s)).collect();
        let checks = OriginValue { value, ..OriginValue::default() };
        let mut subject = Asked(Vec::new());
        let findings = walk(STEPS, &Rules::new(&checks, None), &mut subject);
        (findings.into_iter().map(|f| (f.check, f.status)).collect(), subject.0)
    }

    #[test]
    fn a_warning_goes_on_and_a_failure_ends_the_walk() {
        let (findings, asked) = walked(&[]);
        assert_eq!(findings, [("data.mounted".into(), Status::Warn), ("data.empty".into(), Status::Fail)]);
        assert_eq!(asked, ["exists", "mounted", "empty"]);
    }

    #[test]
    fn a_check_that_is_off_is_not_asked_unless_others_stand_on_it() {
        let (findings, asked) =
            walked(&[("data.exists", Severity::Off), ("data.mounted", Severity::Off), ("data.empty", Severity::Off)]);
        assert_eq!(findings, [("data.readable".into(), Status::Ok)]);
        assert_eq!(asked, ["exists", "readable"]);
    }

    #[test]
    fn the_configuration_has_the_last_word_on_severity() {
        assert_eq!(walked(&[("data.mounted", Severity::Fail)]).0, [("data.mounted".into(), Status::Fail)]);
    }
}
