//! PID 1's log: one write per line that never blocks and never fails, because a reader that has stopped must not stop the container.

use super::exit_summary::ExitSummary;
use super::log_event::LogEvent;
use super::log_words::words;
use protocol::handover::{Level, ReportPolicy};
use serde_json::json;
use std::time::SystemTime;
use sys::stderr;

/// PID 1's log, in the configured form, and with all levels until the configuration is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log<'a> {
    json: bool,
    least: Level,
    /// The name of this node; empty where no other node writes into the same log.
    node: &'a str,
    /// Only warnings, failures and the end are written.
    quiet: bool,
}

impl<'a> Log<'a> {
    /// Returns a log as this policy wants it.
    pub(crate) fn of(policy: &'a ReportPolicy) -> Self {
        Log { json: policy.json, least: policy.level, node: &policy.node, quiet: policy.quiet }
    }

    /// Writes an event as one line.
    pub(crate) fn say(self, line: &LogEvent) {
        if self.tells(line.level()) {
            self.write(line.level(), &words(line));
        }
    }

    /// Writes one line to stderr.
    pub(crate) fn write(self, level: Level, text: &str) {
        if self.tells(level) {
            self.put(level, "line", text, None);
        }
    }

    /// Returns whether lines of this level are written.
    pub(crate) fn tells(self, level: Level) -> bool {
        level >= self.least && (!self.quiet || level >= Level::Warn)
    }

    /// Writes the last line.
    pub(crate) fn end(self, ending: &ExitSummary) {
        if ending.level() >= self.least {
            self.put(ending.level(), "end", &ending.words(), Some(ending));
        }
    }

    fn put(self, level: Level, event: &str, text: &str, ending: Option<&ExitSummary>) {
        match self.json {
            true => raw(&object(level, event, (self.node, text), ending)),
            false if self.node.is_empty() => raw(&format!("trainit: {text}\n")),
            false => raw(&format!("{}: trainit: {text}\n", self.node)),
        }
    }
}

/// Formats a JSON line with the same members as prepare's lines.
fn object(level: Level, event: &str, (node, text): (&str, &str), ending: Option<&ExitSummary>) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut line = json!({ "time": time, "trainit": "supervise", "level": level, "event": event, "text": text });
    if let Some(line) = line.as_object_mut().filter(|_| !node.is_empty()) {
        line.insert("node".into(), json!(node));
    }
    if let (Some(line), Some(ending)) = (line.as_object_mut(), ending) {
        line.insert("end".into(), json!(ending));
    }
    format!("{line}\n")
}

/// Writes a line, and drops what does not fit into the pipe.
fn raw(line: &str) {
    stderr::write_without_waiting(line.as_bytes());
}
