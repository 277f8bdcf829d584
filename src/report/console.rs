//! The lines on stderr before the workload starts. A closed or full stderr never blocks a start: lines are dropped and counted.

use super::error_text;
use super::json::FindingRow;
use super::json_line::json_line;
use super::remedy::{self, Correction};
use super::style::{Style, Tag};
use super::trace;
use crate::check::{CheckEvent, Finding, Status};
use crate::config::{LogFormat, LogLevel, Settings};
use crate::engine::{HostFacts, Starter};
use crate::error::Error;
use protocol::exit_code::Exit;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::rc::Rc;
use std::time::Duration;
use sys::stderr::{self, Urgency};

/// The destination of lines.
#[derive(Debug)]
enum Sink {
    Stderr,
    #[cfg(test)]
    Memory(Vec<u8>),
}

/// What log lines say of the process that writes them, where processes of other nodes write into the same log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogNode {
    /// The name in front of each line; empty where none is needed.
    pub name: String,
    /// Another node tells what all of them would: only warnings, failures and the end are written.
    pub quiet: bool,
}

/// Writes the log of a start as text or as JSON lines.
#[derive(Debug)]
pub(crate) struct Console {
    sink: Sink,
    style: Style,
    format: LogFormat,
    level: LogLevel,
    /// The name of this node, in front of each line.
    node: String,
    /// The platform for remedies; `None` before the configuration is known.
    host_facts: Option<Rc<HostFacts>>,
    /// Whether a row was written after the last failure.
    rows_since_failure: bool,
    /// Number of texts that were dropped, or written in part, because stderr was full.
    dropped: u32,
    /// Whether the last text was written in part.
    torn: bool,
}

impl Console {
    /// Makes the console before the configuration is known: text, at every level.
    pub(crate) fn early() -> Self {
        let (format, level) = (LogFormat::Text, LogLevel::Info);
        let style = Style::of_stderr();
        Console {
            sink: Sink::Stderr,
            style,
            format,
            level,
            node: String::new(),
            host_facts: None,
            rows_since_failure: false,
            dropped: 0,
            torn: false,
        }
    }

    /// Makes the console of a configuration; the platform decides how remedies are worded.
    pub(crate) fn new(settings: &Settings, host_facts: Rc<HostFacts>) -> Self {
        let mut console = Self::early();
        console.settle(settings, host_facts);
        console
    }

    /// Applies the configuration.
    pub(crate) fn settle(&mut self, settings: &Settings, host_facts: Rc<HostFacts>) {
        (self.format, self.level) = (settings.log_format.value, settings.log_level.value);
        self.host_facts = Some(host_facts);
        trace::follow(settings);
    }

    /// Takes the name of this node, and leaves informational lines to another node. With `log.level: debug` all of them are written.
    pub(crate) fn name_node(&mut self, node: LogNode) {
        self.node = node.name;
        if node.quiet && self.level < LogLevel::Debug {
            self.level = self.level.min(LogLevel::Warn);
        }
    }

    /// Makes a console in memory without colours, for tests of the text.
    #[cfg(test)]
    pub(crate) fn in_memory(host_facts: Option<Rc<HostFacts>>) -> Self {
        Console { sink: Sink::Memory(Vec::new()), style: Style::default(), host_facts, ..Self::early() }
    }

    /// Returns the text of a console in memory.
    #[cfg(test)]
    pub(crate) fn written(&self) -> String {
        match &self.sink {
            Sink::Memory(memory) => String::from_utf8_lossy(memory).into_owned(),
            Sink::Stderr => String::new(),
        }
    }

    /// Drops informational lines.
    pub(crate) fn only_trouble(self) -> Self {
        Console { level: self.level.min(LogLevel::Warn), ..self }
    }

    /// Returns whether informational lines are written.
    pub(crate) fn tells_all(&self) -> bool {
        self.level >= LogLevel::Info
    }

    /// Writes `trainit 0.1.0 · train · python train.py`.
    pub(crate) fn banner(&mut self, mode: &str, command: &[OsString]) {
        if !self.tells_all() {
            return;
        }
        let (version, command) = (env!("CARGO_PKG_VERSION"), text::command(command));
        let text = format!("trainit {version} · {} · {}", text::line(mode), text::line(&command));
        self.tell(
            LogLevel::Info,
            text.trim_end_matches(" · "),
            "banner",
            || json!({"version": version, "mode": mode, "command": command}),
        );
    }

    /// Writes an event of running checks.
    pub(crate) fn check(&mut self, told: CheckEvent<'_>) {
        match told {
            CheckEvent::Finding(finding) => self.finding(finding),
            CheckEvent::Progress(words) => self.line(words),
        }
    }

    /// Writes a finding and its remedies.
    pub(crate) fn finding(&mut self, finding: &Finding) {
        let text = self.finding_text(finding);
        self.rows_since_failure = finding.status != Status::Fail;
        let starter = starter_of(self.host_facts.as_deref());
        self.tell(level(finding.status), &text, "finding", || json!({"finding": FindingRow::of(finding, starter)}));
    }

    /// Writes the failures once more as the last rows, unless they are the last ones already, and the corrected start.
    pub(crate) fn failures(&mut self, findings: &[Finding], correction: Option<&Correction>) {
        let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.status == Status::Fail).collect();
        if self.rows_since_failure && self.format == LogFormat::Text && self.tells_all() {
            let rows: Vec<String> = failed.iter().map(|finding| self.finding_text(finding)).collect();
            self.tell(LogLevel::Error, &rows.join("\n"), "failures", || Value::Null);
        }
        correction.into_iter().for_each(|correction| self.correction(correction));
    }

    fn finding_text(&self, finding: &Finding) -> String {
        let mut text = self.style.row(
            finding.status.into(),
            finding.family(),
            &text::masked(&finding.what),
            finding.because.as_deref().map(text::masked).as_deref(),
            finding.took,
        );
        for remedy in &finding.remedy {
            text.push('\n');
            text.push_str(&self.style.remedy(&remedy::line(remedy, starter_of(self.host_facts.as_deref()))));
        }
        text
    }

    /// Writes a row for a step that is no check: `deps`, `user`.
    pub(crate) fn row(&mut self, status: Status, family: &str, what: &str, took: Duration) {
        self.rows_since_failure = true;
        let what = text::masked(what);
        let text = self.style.row(status.into(), family, &what, None, took);
        self.tell(
            level(status),
            &text,
            "row",
            || json!({"family": family, "status": status, "what": what, "took_ms": took.as_millis() as u64}),
        );
    }

    /// Writes the remedy for the row above.
    pub(crate) fn advice(&mut self, text: &str) {
        let text = text::masked(text);
        self.tell(LogLevel::Info, &self.style.remedy(&text), "advice", || json!({"text": text}));
    }

    /// Writes one informational line.
    pub(crate) fn line(&mut self, text: &str) {
        let text = text::masked(text);
        self.tell(LogLevel::Info, &self.style.line(&text), "line", || json!({"text": text}));
    }

    /// Writes a line unmasked: its secret was made for this start, and the user needs it.
    pub(crate) fn line_as_it_is(&mut self, text: &str) {
        self.tell(LogLevel::Info, &self.style.line(text), "line", || json!({"text": text}));
    }

    /// Writes a warning.
    pub(crate) fn warning(&mut self, error: &Error) {
        self.failure(LogLevel::Warn, Tag::Warn, error);
    }

    /// Writes the error that ends the start.
    pub(crate) fn error(&mut self, error: &Error) {
        self.failure(LogLevel::Error, Tag::Fail, error);
    }

    /// Writes a corrected start to copy, after a line of explanation.
    fn correction(&mut self, correction: &Correction) {
        let Some(text) = correction.text() else { return };
        let (head, command) = text.split_once('\n').unwrap_or((&text, ""));
        let block = format!("{}\n{command}", self.style.line(head));
        self.tell(LogLevel::Error, &block, "remedy", || json!({"text": text, "start": correction}));
    }

    /// Writes `start python train.py as 1000:1000, 0.06 s after the container's`.
    pub(crate) fn start(&mut self, command: &[OsString], user: impl FnOnce() -> String, after: Duration) {
        if !self.tells_all() {
            return;
        }
        let user = user();
        let command = text::command(command);
        let seconds = after.as_secs_f64();
        let text = self.style.start(&format!("{command} as {user}, {seconds:.2} s after the container's"));
        self.tell(
            LogLevel::Info,
            &text,
            "start",
            || json!({"command": command, "user": user, "after_ms": after.as_millis() as u64}),
        );
    }

    /// Writes one row for each part of an error.
    fn failure(&mut self, level: LogLevel, tag: Tag, error: &Error) {
        if !error.parts.is_empty() {
            return error.parts.iter().for_each(|part| self.failure(level, tag, part));
        }
        let because = error_text::because(error);
        let (what, because) = (text::masked(&error.what), because.as_deref().map(text::masked));
        let mut text = self.style.row(tag, family(error), &what, because.as_deref(), Duration::ZERO);
        let hints: Vec<String> = error.hints.iter().map(|hint| text::masked(hint)).collect();
        for hint in &hints {
            text.push('\n');
            text.push_str(&self.style.remedy(hint));
        }
        let code = error.exit().code();
        self.tell(level, &text, tag.word(), || json!({"what": what, "because": because, "hints": hints, "exit": code}));
    }

    /// Writes one text, or one JSON object of `fields`, if the level allows it.
    fn tell(&mut self, level: LogLevel, text: &str, event: &str, fields: impl FnOnce() -> Value) {
        if level > self.level {
            return;
        }
        let line = match self.format {
            LogFormat::Text if self.node.is_empty() => format!("{text}\n"),
            LogFormat::Text => text.lines().map(|line| format!("{}: {line}\n", self.node)).collect(),
            LogFormat::Json => format!("{}\n", self.of_node(json_line(level, event, fields()))),
        };
        self.put(level, &line);
    }

    fn of_node(&self, mut line: Value) -> Value {
        if let Some(line) = line.as_object_mut().filter(|_| !self.node.is_empty()) {
            line.insert("node".into(), json!(self.node));
        }
        line
    }

    fn put(&mut self, level: LogLevel, line: &str) {
        match &mut self.sink {
            Sink::Stderr => self.write(level, line),
            #[cfg(test)]
            Sink::Memory(memory) => memory.extend_from_slice(line.as_bytes()),
        }
    }

    fn write(&mut self, level: LogLevel, line: &str) {
        let urgency = if level == LogLevel::Error { Urgency::Failure } else { Urgency::News };
        let missing = self.missing();
        let text = [missing.as_str(), line].concat();
        match stderr::write(text.as_bytes(), urgency) {
            whole if whole == text.len() => (self.dropped, self.torn) = (0, false),
            0 => self.dropped += 1,
            part => {
                // The note about dropped lines is complete if that many bytes were written.
                self.dropped = if part >= missing.len() { 1 } else { self.dropped + 1 };
                self.torn = true;
            }
        }
    }

    /// Returns the note about dropped lines, if there are any.
    fn missing(&self) -> String {
        let torn = if self.torn { "\n" } else { "" };
        match (self.dropped, self.format) {
            (0, _) => String::new(),
            (dropped, LogFormat::Text) => {
                let what =
                    format!("{} not written here in full: stderr was not read", text::count(dropped.into(), "line"));
                format!("{torn}{}\n", self.style.line(&what))
            }
            (dropped, LogFormat::Json) => {
                format!("{torn}{}\n", json_line(LogLevel::Warn, "dropped", json!({"lines": dropped})))
            }
        }
    }
}

fn starter_of(host_facts: Option<&HostFacts>) -> Starter {
    host_facts.map_or_else(Starter::default, HostFacts::starter)
}

fn level(status: Status) -> LogLevel {
    match status {
        Status::Ok => LogLevel::Info,
        Status::Warn => LogLevel::Warn,
        Status::Fail => LogLevel::Error,
    }
}

/// Returns the family of an error's exit code as the subject of its row.
fn family(error: &Error) -> &'static str {
    match error.exit() {
        Exit::Permanent(family) | Exit::Transient(family) => family.name(),
        Exit::Config => "config",
        Exit::Usage => "usage",
        Exit::NotFound | Exit::NotExecutable => "command",
        _ => "trainit",
    }
}

#[cfg(test)]
mod tests;
