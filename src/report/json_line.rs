//! One line of the log as JSON, for all writers.

use crate::config::LogLevel;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Makes a line of this level about an event, with the event's own fields.
pub(super) fn json_line(level: LogLevel, event: &str, fields: Value) -> Value {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut line = json!({"time": time, "trainit": "prepare", "level": level, "event": event});
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    line
}
