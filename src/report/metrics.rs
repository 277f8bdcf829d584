//! The state and the sum of the history as Prometheus' text format (version 0.0.4), for its textfile collector.

use history::Sum;
use protocol::state_file::StateRecord;
use std::fmt::{Display, Write};

/// Lines in the text format.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    /// Begins a gauge: its name without the prefix, and what it means.
    fn gauge(&mut self, name: &str, help: &str) -> &mut Self {
        let _ = write!(self.0, "# HELP trainit_{name} {help}\n# TYPE trainit_{name} gauge\n");
        self
    }

    /// Adds a value of the gauge.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "trainit_{name}{labels} {value}");
        self
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) -> &mut Self {
        self.gauge(name, help).value(name, &[], value)
    }
}

/// Formats the state, and the sum of the job's history where there is one; `now` is in seconds since 1970.
pub(crate) fn metrics(record: &StateRecord, sum: Option<&Sum>, now: f64) -> String {
    let mut all = Metrics::default();
    let info = [("version", env!("CARGO_PKG_VERSION")), ("mode", record.mode.as_str())];
    all.gauge("info", "What runs, always 1.").value("info", &info, 1);
    all.gauge("phase", "The present phase, always 1.").value("phase", &[("phase", record.phase.word())], 1);
    all.single("phase_seconds", "Time in the present phase.", seconds(now - record.since));
    all.single("started_timestamp_seconds", "When the container started.", record.started);
    all.single("attempt", "Number of this start in the container, from 1.", record.attempt);
    all.single("hung", "1 once the watchdog found that nothing happens any more.", u8::from(record.hung));
    if let Some(saved) = &record.saved {
        all.single("checkpoint_timestamp_seconds", "When the newest checkpoint was written.", saved.modified);
        all.single("checkpoint_bytes", "Size of the newest checkpoint.", saved.size);
        if let Some(step) = saved.step {
            all.single("checkpoint_step", "Step of the newest checkpoint.", step);
        }
    }
    if let Some(sum) = sum {
        job(&mut all, sum);
    }
    all.0
}

fn job(all: &mut Metrics, sum: &Sum) {
    all.single("job_attempts", "Attempts of the job.", sum.attempts);
    all.single("job_since_timestamp_seconds", "When the first attempt began.", sum.since);
    if let Some(share) = sum.goodput {
        all.single("job_goodput_ratio", "Share that became saved progress.", share);
    }
    all.gauge("job_seconds", "What the time since the first attempt went into.");
    for (part, time) in sum.parts.rows() {
        all.value("job_seconds", &[("part", part.name())], seconds(time));
    }
    all.gauge("job_ended_attempts", "Attempts by the reason of their end.");
    for (reason, count) in &sum.reasons {
        all.value("job_ended_attempts", &[("reason", reason.word())], count);
    }
}

/// Rounds to milliseconds; clocks that went back are no negative time.
fn seconds(time: f64) -> f64 {
    history::rounded(time.max(0.0))
}

/// Escapes a label's value: a backslash, a quotation mark, the end of a line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{Parts, Reason};
    use protocol::handover::SavedCheckpoint;

    #[test]
    fn a_state_and_a_history_are_gauges() {
        let saved = SavedCheckpoint { step: Some(400), size: 7, modified: 90.5, ..SavedCheckpoint::default() };
        let record = StateRecord {
            since: 60.0,
            started: 50.0,
            attempt: 2,
            mode: "a\"b\\".into(),
            saved: Some(saved),
            ..StateRecord::default()
        };
        let parts = Parts { progress: 9.0, between: 1.0, ..Parts::default() };
        let reasons = [(Reason::Stopped, 2)].into_iter().collect();
        let sum = Sum { attempts: 3, since: 10.0, goodput: Some(0.9), parts, reasons, ..Sum::default() };
        insta::assert_snapshot!(metrics(&record, Some(&sum), 61.25));
    }
}
