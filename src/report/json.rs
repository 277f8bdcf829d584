//! The JSON report: what `trainit check --json` prints and what `report.file` gets. Its shape is versioned; fields are only added.

use super::remedy::{self, Correction};
use crate::check::{CheckContext, Finding, Inventory, Status, provenance, verdict};
use crate::engine::Platform;
use crate::error::Error;
use protocol::exit_code::Exit;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};
use sys::temporary::TemporaryFile;

/// Changes when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// A start, or a check, as data.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    schema: u32,
    trainit: &'static str,
    started: String,
    place: Platform,
    mode: Option<String>,
    command: Vec<String>,
    commit: Option<String>,
    findings: Vec<FindingRow>,
    dependencies: Option<Dependencies>,
    hooks: Vec<HookRow>,
    verdict: Status,
    exit: u8,
    took_ms: u64,
    remedy: Option<String>,
    start: Option<Correction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpus: Option<Inventory>,
    /// How prepare was killed, if it was: then nothing else of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    killed: Option<String>,
}

/// A finding as it stands in the report.
#[derive(Clone, Debug, Serialize)]
pub struct FindingRow {
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

/// What became of the dependencies.
#[derive(Clone, Debug, Serialize)]
pub struct Dependencies {
    /// In words, as on the console.
    pub what: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A hook that ran.
#[derive(Clone, Debug, Serialize)]
pub struct HookRow {
    stage: &'static str,
    path: String,
    took_ms: u64,
    failed: Option<String>,
}

impl HookRow {
    /// One of this stage, after so long.
    pub fn new(stage: &'static str, path: &Path, took: Duration, failed: Option<&Error>) -> Self {
        let failed = failed.map(|error| text::masked(&error.what));
        HookRow { stage, path: text::path(path), took_ms: milliseconds(took), failed }
    }
}

impl Report {
    /// The report of these findings. `mode`: none for a check that starts nothing; `began`: when this process did.
    pub fn new(context: &CheckContext, mode: Option<&str>, findings: &[Finding], began: SystemTime) -> Self {
        let place = context.platform();
        let words = text::masked_words(&context.command);
        let correction = remedy::correction(findings, || context.started());
        let took = began.elapsed().unwrap_or_default();
        Report {
            schema: SCHEMA,
            trainit: env!("CARGO_PKG_VERSION"),
            started: humantime::format_rfc3339_millis(began).to_string(),
            place,
            mode: mode.map(str::to_owned),
            command: words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            commit: provenance(findings).commit,
            findings: findings.iter().map(|finding| FindingRow::of(finding, place)).collect(),
            dependencies: None,
            hooks: Vec::new(),
            verdict: findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok),
            exit: verdict(findings).map_or(0, Exit::code),
            took_ms: milliseconds(took),
            remedy: correction.as_ref().map(Correction::text),
            start: correction,
            gpus: None,
            killed: None,
        }
    }

    /// The report of a preparation that was killed: nothing is known of what it had found.
    pub fn of_killed(place: Platform, mode: &str, how: &str, code: u8) -> Self {
        Report {
            schema: SCHEMA,
            trainit: env!("CARGO_PKG_VERSION"),
            started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            place,
            mode: Some(mode.to_owned()),
            command: Vec::new(),
            commit: None,
            findings: Vec::new(),
            dependencies: None,
            hooks: Vec::new(),
            verdict: Status::Fail,
            exit: code,
            took_ms: 0,
            remedy: None,
            start: None,
            gpus: None,
            killed: Some(how.to_owned()),
        }
    }

    /// Adds the hooks that ran.
    pub fn with_hooks(mut self, hooks: Vec<HookRow>) -> Self {
        self.hooks = hooks;
        self
    }

    /// Adds what became of the dependencies.
    pub fn with_dependencies(mut self, what: impl Into<String>, took: Duration) -> Self {
        self.dependencies = Some(Dependencies { what: text::masked(&what.into()), took_ms: milliseconds(took) });
        self
    }

    /// Adds what GPUs are here.
    pub fn with_gpus(mut self, gpus: Inventory) -> Self {
        self.gpus = Some(gpus);
        self
    }

    /// Says with which code the start ends, where that is not the checks' verdict.
    pub fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit.code();
        if exit.code() != 0 {
            self.verdict = Status::Fail;
        }
        self
    }

    /// As text, with a newline at its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Puts it where `report.file` says, whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut new = TemporaryFile::make(directory, ".trainit-report.")?;
        new.file().write_all(self.to_json().as_bytes())?;
        new.become_file(path, READABLE, false)
    }
}

/// A report is read by others: it holds no secrets.
const READABLE: u32 = 0o644;

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

impl FindingRow {
    /// A finding with its remedies as words for this place.
    pub fn of(finding: &Finding, place: Platform) -> Self {
        FindingRow {
            check: finding.check.clone(),
            family: finding.family().to_owned(),
            subject: finding.subject.clone(),
            status: finding.status,
            what: text::masked(&finding.what),
            because: finding.because.as_deref().map(text::masked),
            remedy: finding.remedy.iter().map(|remedy| remedy::line(remedy, place)).collect(),
            exit: (finding.status == Status::Fail).then(|| finding.exit.code()),
            took_ms: (finding.took.as_secs_f64() * 1e6).round() / 1e3,
            facts: finding.facts.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
