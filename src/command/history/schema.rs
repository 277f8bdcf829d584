//! The JSON Schema of `trainit history --json`.

use serde_json::{Value as Json, json};

/// Returns the schema (JSON Schema 2020-12). Fields are only added, so others than these are no mistake.
pub(in crate::command) fn schema() -> String {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:trainit:schema:history:1",
        "title": "trainit history --json",
        "description": "A job's attempts. Times of day are seconds since 1970, durations are seconds.",
        "type": "object",
        "required": ["schema", "file", "at", "attempts", "sum", "summed", "skipped"],
        "properties": {
            "schema": {"const": super::SCHEMA},
            "file": {"type": "string"},
            "at": number("when this was read"),
            "attempts": {"type": "array", "items": attempt()},
            "sum": sum(),
            "summed": count("attempts of which only the sum is left"),
            "skipped": count("lines that could not be read"),
        },
    });
    format!("{schema:#}\n")
}

fn attempt() -> Json {
    json!({
        "type": "object",
        "required": ["start", "ready", "end", "reason", "until", "gap", "gap_s", "parts"],
        "properties": {
            "start": start(),
            "ready": ready(),
            "end": end(),
            "reason": {"anyOf": [reason(), {"type": "null"}], "description": "null: no end yet"},
            "until": number("when it ended; for one without an end, now"),
            "gap": {"enum": ["none", "backoff", "between"]},
            "gap_s": number("seconds since the end of the attempt before it"),
            "parts": parts(),
        },
    })
}

fn start() -> Json {
    object(
        &["id", "at", "life", "attempt", "trainit", "mode", "command"],
        json!({
            "id": text("the identity of the attempt"),
            "at": number("when it began"),
            "life": text("the supervisor: attempts that share it ran in one life of a container"),
            "attempt": count("the number of the start in that life"),
            "job": text("the job, as the engine calls it"),
            "host": text("the machine or container"),
            "nodes": count("the least number of nodes, where there are several"),
            "trainit": text("the version of trainit"),
            "mode": text("the mode"),
            "command": text("the command line, secrets masked"),
        }),
    )
}

fn ready() -> Json {
    let resumed =
        object(&[], json!({"path": text("the checkpoint; without one, a fresh start"), "step": count("its step")}));
    let names = ["commit", "requirements", "environment", "image", "gpus", "driver"];
    let versions: serde_json::Map<String, Json> = names.map(|name| (name.to_owned(), text(name))).into_iter().collect();
    let ready = object(
        &["id", "at", "versions"],
        json!({
            "id": text("the identity of the attempt"),
            "at": number("when the workload began"),
            "phases": {"type": "object", "additionalProperties": {"type": "number"}},
            "resumed": resumed,
            "versions": object(&[], Json::Object(versions)),
        }),
    );
    json!({"anyOf": [ready, {"type": "null"}]})
}

fn end() -> Json {
    let saved = json!({"at": number("when it was complete"), "step": count("its step"), "path": text("its path")});
    let end = object(
        &["id", "at", "by", "reason", "how"],
        json!({
            "id": text("the identity of the attempt"),
            "at": number("when the last process was gone"),
            "by": {"enum": ["itself", "next-start"]},
            "reason": reason(),
            "how": text("how it ended, in words"),
            "code": {"type": "integer", "minimum": 0, "maximum": 255},
            "asked_by": text("the signal that asked for the stop, and who sent it"),
            "worked_until": number("the stop, or the end of the main process"),
            "seen": number("the last sign of life of an attempt without an end"),
            "saved": object(&["at", "path"], saved),
        }),
    );
    json!({"anyOf": [end, {"type": "null"}]})
}

fn sum() -> Json {
    object(
        &["attempts", "since", "until", "total_s", "goodput", "parts", "reasons", "overlapping"],
        json!({
            "attempts": count("attempts"),
            "since": number("when the first attempt began"),
            "until": number("when the last attempt ended; now, where it has no end"),
            "total_s": number("the sum of the parts"),
            "goodput": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "parts": parts(),
            "reasons": {"type": "object", "propertyNames": reason(), "additionalProperties": {"type": "integer"}},
            "overlapping": count("attempts that began before the one before them had ended"),
        }),
    )
}

fn parts() -> Json {
    let names =
        ["progress", "lost", "saving", "preparing", "staging", "waiting", "backoff", "between", "unknown", "running"];
    let parts: serde_json::Map<String, Json> =
        names.map(|name| (name.to_owned(), json!({"type": "number", "minimum": 0}))).into_iter().collect();
    object(&names, Json::Object(parts))
}

fn reason() -> Json {
    json!({"enum": ["done", "stopped", "failed", "killed", "memory", "hung", "refused", "silent", "unknown"]})
}

fn object(required: &[&str], properties: Json) -> Json {
    json!({"type": "object", "required": required, "properties": properties})
}

fn text(about: &str) -> Json {
    json!({"type": "string", "description": about})
}

fn number(about: &str) -> Json {
    json!({"type": "number", "description": about})
}

fn count(about: &str) -> Json {
    json!({"type": "integer", "minimum": 0, "description": about})
}
