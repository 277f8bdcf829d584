//! The JSON report of `trainit check --json` and `report.file`. Its format is versioned; fields are only added.

use super::error_text;
use super::remedy::{self, Correction, Form};
use crate::check::{CheckContext, Finding, Inventory, Status, provenance, verdict};
use crate::engine::{Platform, Starter};
use crate::error::Error;
use history::Sum;
use protocol::exit_code::Exit;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Version of the format; it changes when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// A start or a check as data.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    schema: u32,
    trainit: &'static str,
    started: String,
    place: Platform,
    mode: Option<String>,
    command: Vec<String>,
    commit: Option<String>,
    findings: Vec<FindingRow>,
    dependencies: Option<StepRow>,
    /// What `code.from` brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<StepRow>,
    /// What the mirror of checkpoints had, or what was fetched from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<StepRow>,
    /// The job around this start, as on the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    world: Option<String>,
    /// How the meeting with the other nodes ended; left out where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<NodesRow>,
    /// What a start would refuse or warn of beyond its checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<RefusalRow>,
    /// The sum of the job's history with this attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Sum>,
    /// Lines about the start, also about what was not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    hooks: Vec<HookRow>,
    verdict: Status,
    exit: u8,
    took_ms: u64,
    remedy: Option<String>,
    start: Option<Correction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpus: Option<Inventory>,
    /// How the preparation was killed, if it was; then nothing else about it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    killed: Option<String>,
}

/// A finding in the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FindingRow {
    check: String,
    family: String,
    subject: Option<String>,
    status: Status,
    what: String,
    because: Option<String>,
    remedy: Vec<String>,
    exit: Option<u8>,
    took_ms: f64,
    facts: crate::check::FindingFacts,
}

/// An error that is no finding of a check.
#[derive(Clone, Debug, Serialize)]
struct RefusalRow {
    status: Status,
    what: String,
    because: Option<String>,
    remedy: Vec<String>,
    exit: Option<u8>,
}

impl RefusalRow {
    fn of(status: Status, error: &Error) -> Self {
        RefusalRow {
            status,
            what: text::masked(&error.what),
            because: error_text::because(error).as_deref().map(text::masked),
            remedy: error.hints.iter().map(|hint| text::masked(hint)).collect(),
            exit: (status == Status::Fail).then(|| error.exit().code()),
        }
    }
}

/// The result of a step that is no check.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepRow {
    /// The text, as on the console.
    pub what: String,
    /// The duration in milliseconds.
    pub took_ms: u64,
}

/// The end of the meeting with the other nodes of the job.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodesRow {
    /// Whether all are ready, and start.
    pub ready: bool,
    /// The text, as on the console.
    pub what: String,
    /// The time that this node waited, in milliseconds.
    pub took_ms: u64,
}

impl NodesRow {
    /// Makes the row.
    pub(crate) fn new(ready: bool, what: &str, took: Duration) -> Self {
        NodesRow { ready, what: text::masked(what), took_ms: milliseconds(took) }
    }
}

/// A hook that ran.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HookRow {
    stage: &'static str,
    path: String,
    took_ms: u64,
    failed: Option<String>,
}

impl HookRow {
    /// Makes the row of a hook of this stage.
    pub(crate) fn new(stage: &'static str, path: &Path, took: Duration, failed: Option<&Error>) -> Self {
        let failed = failed.map(|error| text::masked(&error.what));
        HookRow { stage, path: text::path(path), took_ms: milliseconds(took), failed }
    }
}

impl Report {
    /// Makes the report of these findings. `mode` is `None` for a check that starts nothing; `began` is the start of this process.
    pub(crate) fn new(context: &CheckContext, mode: Option<&str>, findings: &[Finding], began: SystemTime) -> Self {
        let place = context.platform();
        let words = text::masked_words(&context.command);
        let starter = context.host_facts().starter();
        let correction = remedy::correction(findings, Form::Of(starter), || context.started());
        let took = began.elapsed().unwrap_or_default();
        Report {
            command: words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            commit: provenance(findings).commit,
            findings: findings.iter().map(|finding| FindingRow::of(finding, starter)).collect(),
            verdict: findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok),
            exit: verdict(findings).map_or(0, Exit::code),
            took_ms: milliseconds(took),
            remedy: correction.as_ref().and_then(Correction::text),
            start: correction,
            ..Report::of_nothing(place, mode, began)
        }
    }

    /// Makes the report of a preparation that was killed; its findings are lost.
    pub(crate) fn of_killed(place: Platform, mode: &str, how: &str, code: u8) -> Self {
        Report {
            verdict: Status::Fail,
            exit: code,
            killed: Some(how.to_owned()),
            ..Report::of_nothing(place, Some(mode), SystemTime::now())
        }
    }

    /// Makes a report without findings.
    fn of_nothing(place: Platform, mode: Option<&str>, began: SystemTime) -> Self {
        Report {
            schema: SCHEMA,
            trainit: env!("CARGO_PKG_VERSION"),
            started: humantime::format_rfc3339_millis(began).to_string(),
            place,
            mode: mode.map(str::to_owned),
            command: Vec::new(),
            commit: None,
            findings: Vec::new(),
            dependencies: None,
            code: None,
            mirror: None,
            world: None,
            nodes: None,
            history: None,
            refusals: Vec::new(),
            notes: Vec::new(),
            hooks: Vec::new(),
            verdict: Status::Ok,
            exit: 0,
            took_ms: 0,
            remedy: None,
            start: None,
            gpus: None,
            killed: None,
        }
    }

    /// Adds the hooks.
    pub(crate) fn with_hooks(mut self, hooks: Vec<HookRow>) -> Self {
        self.hooks = hooks;
        self
    }

    /// Adds the result of the dependency step.
    pub(crate) fn with_dependencies(mut self, what: impl Into<String>, took: Duration) -> Self {
        self.dependencies = Some(StepRow { what: text::masked(&what.into()), took_ms: milliseconds(took) });
        self
    }

    /// Adds what `code.from` brought.
    pub(crate) fn with_code(mut self, what: impl Into<String>, took: Duration) -> Self {
        self.code = Some(StepRow { what: text::masked(&what.into()), took_ms: milliseconds(took) });
        self
    }

    /// Adds what the mirror of checkpoints had, or what was fetched from it.
    pub(crate) fn with_mirror(mut self, what: impl Into<String>, took: Duration) -> Self {
        self.mirror = Some(StepRow { what: text::masked(&what.into()), took_ms: milliseconds(took) });
        self
    }

    /// Adds the words about the job.
    pub(crate) fn with_world(mut self, words: impl Into<String>) -> Self {
        self.world = Some(text::masked(&words.into()));
        self
    }

    /// Adds the meeting with the other nodes.
    pub(crate) fn with_nodes(mut self, nodes: NodesRow) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// Adds the sum of the job's history.
    pub(crate) fn with_history(mut self, sum: Sum) -> Self {
        self.history = Some(sum);
        self
    }

    /// Adds an error that a start would end with, or warn of.
    pub(crate) fn with_refusal(mut self, status: Status, error: &Error) -> Self {
        self.verdict = self.verdict.max(status);
        self.refusals.push(RefusalRow::of(status, error));
        self
    }

    /// Adds lines about the start.
    pub(crate) fn with_notes(mut self, notes: impl Iterator<Item = impl AsRef<str>>) -> Self {
        self.notes.extend(notes.map(|note| text::masked(note.as_ref())));
        self
    }

    /// Adds the GPUs.
    pub(crate) fn with_gpus(mut self, gpus: Inventory) -> Self {
        self.gpus = Some(gpus);
        self
    }

    /// Sets the exit code of the start, if the checks do not decide it.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit.code();
        if exit.code() != 0 {
            self.verdict = Status::Fail;
        }
        self
    }

    /// Formats the report as text with a final newline.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes the report to the path of `report.file`, completely or not at all.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut new = temporary::make(directory, ".trainit-report.")?;
        new.write_all(self.to_json().as_bytes())?;
        temporary::publish(new, path, READABLE, false)
    }
}

/// Mode of the file: others may read it, and it holds no secrets.
const READABLE: u32 = 0o644;

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

impl FindingRow {
    /// Makes the row of a finding, with remedies in the words of this starter.
    pub(super) fn of(finding: &Finding, starter: Starter) -> Self {
        FindingRow {
            check: finding.check.clone(),
            family: finding.family().to_owned(),
            subject: finding.subject.clone(),
            status: finding.status,
            what: text::masked(&finding.what),
            because: finding.because.as_deref().map(text::masked),
            remedy: finding.remedy.iter().map(|remedy| remedy::line(remedy, starter)).collect(),
            exit: (finding.status == Status::Fail).then(|| finding.exit.code()),
            took_ms: (finding.took.as_secs_f64() * 1e6).round() / 1e3,
            facts: finding.facts.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
