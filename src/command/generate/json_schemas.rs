//! The JSON Schemas (2020-12) of what trainit prints as JSON, apart from the history's. Fields are only added within a version, so others than
//! these are no mistake.

use serde_json::{Map, Value as Json, json};

/// The report of `trainit check --json`, `trainit gpu --json` and `report.file`.
pub(super) fn report() -> String {
    let status = json!({"enum": ["ok", "warn", "fail"]});
    let finding = object(
        &["check", "family", "subject", "status", "what", "because", "remedy", "exit", "took_ms", "facts"],
        json!({
            "check": {"type": "string"}, "family": {"type": "string"}, "subject": maybe("string"), "status": status,
            "what": {"type": "string"}, "because": maybe("string"), "remedy": list("string"), "exit": code(),
            "took_ms": {"type": "number", "minimum": 0}, "facts": {"type": "object"},
        }),
    );
    let took =
        |more: &str| object(&[more, "took_ms"], json!({more: {"type": "string"}, "took_ms": {"type": "integer"}}));
    let properties = json!({
        "schema": {"const": 1}, "trainit": {"type": "string"}, "started": {"type": "string", "format": "date-time"},
        "place": {"enum": ["host", "container", "pod"]}, "mode": maybe("string"), "command": list("string"),
        "commit": maybe("string"), "findings": {"type": "array", "items": finding}, "dependencies": or_null(took("what")),
        "code": took("what"), "mirror": took("what"), "world": {"type": "string"},
        "nodes": object(&["ready", "what", "took_ms"], json!({"ready": {"type": "boolean"}, "what": {"type": "string"}})),
        "history": object(&["attempts", "goodput", "parts", "total_s"], json!({"attempts": count(), "goodput": maybe("number")})),
        "refusals": {"type": "array", "items": object(
            &["status", "what", "because", "remedy", "exit"],
            json!({"status": status, "what": {"type": "string"}, "because": maybe("string"), "remedy": list("string"), "exit": code()}),
        )},
        "notes": list("string"),
        "hooks": {"type": "array", "items": object(
            &["stage", "path", "took_ms", "failed"],
            json!({"stage": {"type": "string"}, "path": {"type": "string"}, "took_ms": count(), "failed": maybe("string")}),
        )},
        "verdict": status, "exit": code(), "took_ms": count(), "remedy": maybe("string"),
        "start": or_null(object(
            &["command", "docker", "compose", "kubernetes", "unmended"],
            json!({"command": maybe("string"), "docker": {"type": "string"}, "compose": {"type": "string"},
                "kubernetes": {"type": "string"}, "unmended": list("string")}),
        )),
        "gpus": object(&["devices", "driver", "cuda", "libraries"], json!({
            "devices": {"type": "array", "items": object(&["id", "name", "state"], json!({"id": {"type": "string"}, "memory": maybe("integer")}))},
            "driver": maybe("string"), "cuda": maybe("string"), "libraries": {"type": "array", "items": {"type": "object"}},
        })),
        "killed": {"type": "string"},
    });
    let required = [
        "schema",
        "trainit",
        "started",
        "place",
        "mode",
        "command",
        "commit",
        "findings",
        "dependencies",
        "hooks",
        "verdict",
        "exit",
        "took_ms",
        "remedy",
        "start",
    ];
    document("check", "trainit check --json, trainit gpu --json and report.file", &required, properties)
}

/// The state of `trainit status --json`.
pub(super) fn status() -> String {
    let phases = [
        "configuring",
        "staging",
        "hooks",
        "checking",
        "installing",
        "restoring",
        "starting",
        "waiting",
        "running",
        "checkpointing",
        "stopping",
        "mirroring",
        "holding",
        "ended",
    ];
    let properties = json!({
        "version": {"const": protocol::state_file::VERSION}, "phase": {"enum": phases}, "since": time(), "started": time(),
        "supervisor": object(&["pid", "start"], json!({"pid": count(), "start": count()})), "main": count(), "attempt": count(),
        "mode": {"type": "string"}, "kind": {"enum": ["train", "build"]}, "command": maybe("string"),
        "stopped_by": maybe("string"), "ended": maybe("string"),
        "saved": or_null(object(&["path", "step", "size", "modified"], json!({
            "path": {"type": "string"}, "others": count(), "step": maybe("integer"), "size": count(), "modified": time(),
            "fresh": {"type": "boolean"},
        }))),
        "hung": {"type": "boolean"}, "asks": count(), "refusals": count(), "can_save": {"type": "boolean"},
        "watches": {"type": "boolean"}, "port": maybe("integer"),
        "service": or_null(object(&["port", "address", "path"], json!({"port": count(), "address": {"type": "string"}, "path": maybe("string")}))),
        "report": maybe("string"), "history_file": maybe("string"),
        "history": object(&["attempts", "since", "until", "total_s", "goodput", "parts", "reasons"], json!({
            "attempts": count(), "goodput": maybe("number"), "parts": {"type": "object", "additionalProperties": {"type": "number"}},
            "reasons": {"type": "object", "additionalProperties": {"type": "integer"}},
        })),
        "hold_s": maybe("integer"), "refused": maybe("string"),
        "companions": {"type": "array", "items": object(
            &["mode", "phase", "pid", "starts"],
            json!({"mode": {"type": "string"}, "phase": {"enum": ["running", "waiting", "ended"]}, "pid": count(), "starts": count()}),
        )},
        "used_by": maybe("string"), "unused_since": maybe("number"), "idle_s": maybe("integer"),
    });
    let required =
        ["version", "phase", "since", "started", "supervisor", "main", "attempt", "mode", "kind", "saved", "hung"];
    document("status", "trainit status --json", &required, properties)
}

/// The values of `trainit config show --json`.
pub(super) fn config_show() -> String {
    let origin = object(
        &["layer"],
        json!({
            "layer": {"enum": ["default", "file", "environment", "command line"]}, "file": {"type": "string"},
            "line": count(), "variable": {"type": "string"}, "option": {"type": "string"},
        }),
    );
    let mut schema = head("config-show", "trainit config show --json");
    schema.insert("type".into(), "object".into());
    schema.insert("description".into(), "Every key, with its value as it is written and where that comes from".into());
    schema.insert("additionalProperties".into(), object(&["value", "origin"], json!({"origin": origin})));
    text(schema)
}

/// The variables of `trainit env --json`.
pub(super) fn env() -> String {
    let set = json!({"type": "object", "additionalProperties": {"type": "string"}});
    document("env", "trainit env --json", &["set", "unset"], json!({"set": set, "unset": list("string")}))
}

/// A line of the log with `log.format: json`.
pub(super) fn log() -> String {
    let properties = json!({
        "time": {"type": "string", "format": "date-time"}, "trainit": {"enum": ["prepare", "supervise"]},
        "level": {"enum": ["error", "warn", "info", "debug"]}, "event": {"type": "string"},
    });
    document("log", "a line of trainit's with log.format: json", &["time", "trainit", "level", "event"], properties)
}

fn document(name: &str, title: &str, required: &[&str], properties: Json) -> String {
    let mut schema = head(name, title);
    if let Json::Object(more) = object(required, properties) {
        schema.extend(more);
    }
    text(schema)
}

/// Begins a schema. The number at the end of its name is the version: it changes when a field changes its meaning or is removed.
fn head(name: &str, title: &str) -> Map<String, Json> {
    let members = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema".to_owned()),
        ("$id", format!("urn:trainit:schema:{name}:1")),
        ("title", title.to_owned()),
    ];
    members.into_iter().map(|(member, value)| (member.to_owned(), value.into())).collect()
}

fn text(schema: Map<String, Json>) -> String {
    format!("{:#}\n", Json::Object(schema))
}

fn object(required: &[&str], properties: Json) -> Json {
    json!({"type": "object", "required": required, "properties": properties})
}

fn maybe(kind: &str) -> Json {
    json!({"type": [kind, "null"]})
}

fn or_null(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn list(of: &str) -> Json {
    json!({"type": "array", "items": {"type": of}})
}

fn count() -> Json {
    json!({"type": "integer", "minimum": 0})
}

/// An exit code, or none.
fn code() -> Json {
    json!({"type": ["integer", "null"], "minimum": 0, "maximum": 255})
}

/// Seconds since 1970.
fn time() -> Json {
    json!({"type": "number", "minimum": 0})
}
