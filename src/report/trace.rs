//! `log.level: debug`: writes the decisions, accessed files and programs that other modules report by `tracing`. The subscriber writes
//! lines in the console's format; without one an event costs one atomic load.

use super::json_line::json_line;
use super::style::{Style, Tag};
use crate::config::{LogFormat, LogLevel, Settings};
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use sys::environment::Environment;
use sys::stderr::{self, Urgency};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};

/// Whether and how events are written.
static OUTPUT: AtomicU8 = AtomicU8::new(OFF);
const OFF: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;

/// The field with a duration in microseconds.
const TOOK: &str = "took_us";

/// Writes events from here on if the environment or `--set` asks for it: no file has been read yet.
pub(crate) fn begin(environment: &Environment, set: &[String]) {
    let asked = |key: &str, variable: &str| {
        let set = set.iter().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
        set.or_else(|| environment.get(variable)?.to_str().map(str::to_owned))
    };
    if asked("log.level", "TRAINIT_LOG_LEVEL").as_deref() == Some(LogLevel::Debug.name()) {
        let json = asked("log.format", "TRAINIT_LOG_FORMAT").as_deref() == Some(LogFormat::Json.name());
        write_as(if json { JSON } else { TEXT });
    }
}

/// Writes events from here on as the configuration asks, which is known now.
pub(crate) fn follow(settings: &Settings) {
    match (settings.log_level.value, settings.log_format.value) {
        (LogLevel::Debug, LogFormat::Text) => write_as(TEXT),
        (LogLevel::Debug, LogFormat::Json) => write_as(JSON),
        _ => OUTPUT.store(OFF, Ordering::Relaxed),
    }
}

fn write_as(output: u8) {
    OUTPUT.store(output, Ordering::Relaxed);
    // A second call finds the same subscriber already installed.
    let _ = tracing::subscriber::set_global_default(DebugLog);
}

/// The subscriber.
struct DebugLog;

impl Subscriber for DebugLog {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The level changes once the configuration is known.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::DEBUG && OUTPUT.load(Ordering::Relaxed) != OFF
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let family = event.metadata().target();
        let line = match OUTPUT.load(Ordering::Relaxed) {
            JSON => fields.json(family).to_string(),
            _ => fields.text(family),
        };
        stderr::write(format!("{line}\n").as_bytes(), Urgency::News);
    }

    // There are no spans: a start is sequential.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event.
#[derive(Default)]
struct EventFields {
    message: String,
    others: Vec<(&'static str, String)>,
    took: Option<Duration>,
}

impl EventFields {
    fn text(&self, family: &str) -> String {
        let others = self.others.iter().map(|(name, value)| format!("{name}: {value}"));
        let what = std::iter::once(self.message.clone()).chain(others).collect::<Vec<_>>().join("; ");
        Style::of_stderr().row(Tag::Debug, family, &what, None, self.took.unwrap_or_default())
    }

    fn json(&self, family: &str) -> Value {
        let others = self.others.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        let mut fields: Map<String, Value> = others.collect();
        fields.insert("family".to_owned(), json!(family));
        fields.insert("text".to_owned(), json!(self.message));
        if let Some(took) = self.took {
            fields.insert("took_ms".to_owned(), json!(took.as_micros() as f64 / 1000.0));
        }
        json_line(LogLevel::Debug, "debug", Value::Object(fields))
    }

    fn add(&mut self, field: &Field, value: &str) {
        let value = text::masked(value);
        match field.name() {
            "message" => self.message = value,
            _ if value.is_empty() => {}
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            TOOK => self.took = Some(Duration::from_micros(value)),
            _ => self.add(field, &value.to_string()),
        }
    }
}
