//! The JSON Schema against the code, by a validator of the few keywords that it uses; `a_validator_of_others_agrees` asks Python's
//! jsonschema where it is installed.

use serde_json::{Value as Json, json};
use std::process::Command;
use trainit::command::config as command;
use trainit::config::KEYS;

fn schema() -> Json {
    serde_json::from_str(&command::schema()).unwrap()
}

#[test]
fn every_key_is_in_the_schema_nested_and_dotted() {
    let schema = schema();
    for key in KEYS {
        let reference = json!({"$ref": format!("#/$defs/{}", key.path)});
        let nested = key.path.split('.').fold(&schema, |schema, name| &group(schema)["properties"][name]);
        for place in [nested, &schema["properties"][key.path]] {
            assert!(*place == reference || place["anyOf"][0] == reference, "{}: {place}", key.path);
        }
        let definition = &schema["$defs"][key.path];
        assert!(definition["description"].as_str().unwrap().starts_with(key.doc), "{}", key.path);
        assert_eq!(definition["default"].as_str().unwrap_or_default(), key.default);
    }
    assert_eq!(schema["$defs"].as_object().unwrap().len(), KEYS.len());
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
}

/// What has the members: the schema itself, or the second form of what is a key and a group (`user`).
fn group(schema: &Json) -> &Json {
    schema["anyOf"].get(1).unwrap_or(schema)
}

/// Documents that trainit reads, as JSON, and whether they are right.
fn documents() -> Vec<(Json, bool)> {
    let good = [
        json!({}),
        json!({"gpu": {"count": 4}, "stop.grace": "10m", "stop": {"drain": 5, "exit_code": "off"}}),
        json!({"gpu": {"count": ">=2"}, "data": ["/data:ro", {"path": "/x", "ro": true, "min_files": 3, "contains": ["a"]}]}),
        json!({"data": "/a /b", "output": [{"path": "/out", "min_free": "20GiB"}], "command": ["python", "-m", "x", 3]}),
        json!({"env": {"A": 1, "B": "x", "C": {"value": "y", "force": "yes"}}, "checks": {"host.shm": "fail"}}),
        json!({"modes": {"a": "x y", "b": {"command": ["x"], "kind": "build", "env": {"A": "1"}}}, "checks": "a.b=off"}),
        json!({"stop": {"on": {"USR1": "checkpoint", "12": "stop"}, "signal": "RTMIN+3"}, "exit": {"map": {"3": 0}}}),
        json!({"deps": {"requirements": ["a.txt"], "timeout": "off", "on_error": "warn"}, "lock": ["mode", "env.X"]}),
        json!({"user": "1000:1000", "user.umask": "0027", "user.no_new_privs": true}),
        json!({"user": {"umask": 22, "no_new_privs": "on"}}),
        json!({"host": {"shm": "1.5GiB"}, "env": "off", "prepare": {"timeout": "1h 30m"}, "log": {"level": "warn"}}),
    ];
    let bad = [
        json!({"gpus": 4}),
        json!({"gpu": {"cuont": 4}}),
        json!({"gpu": 4}),
        json!({"output": {"path": "/out"}}),
        json!({"gpu.count": "many"}),
        json!({"stop": {"grace": "10M"}}),
        json!({"stop": {"exit_code": 256}}),
        json!({"data": [{"min_files": 3, "patj": "/x"}]}),
        json!({"checks": {"a.b": "of"}}),
        json!({"modes": {"A B": "x"}}),
        json!({"modes": {"a": {"command": "x", "ports": 3}}}),
        json!({"env": {"A=B": "x"}}),
        json!({"host": {"shm": "8G"}}),
        json!({"user": {"id": 1000}}),
        json!({"user": "a b"}),
        json!({"user.umask": "u=rwx"}),
        json!([]),
    ];
    good.into_iter().map(|document| (document, true)).chain(bad.into_iter().map(|document| (document, false))).collect()
}

#[test]
fn trainit_itself_judges_the_documents_as_expected() {
    for (document, right) in documents() {
        let parsed = trainit::config::parse_bytes(document.to_string().as_bytes(), std::path::Path::new("document"));
        assert_eq!(parsed.is_ok(), right, "{document}: {parsed:?}");
    }
}

#[test]
fn a_validator_of_others_agrees() {
    let python = "import sys, json, jsonschema\n\
        schema, documents = json.load(sys.stdin)\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        validator = jsonschema.Draft202012Validator(schema)\n\
        print(json.dumps([validator.is_valid(d) for d in documents]))\n";
    if !Command::new("python3").args(["-c", "import jsonschema"]).output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: a_validator_of_others_agrees: python3 has no jsonschema");
        return;
    }
    let (documents, expected): (Vec<Json>, Vec<bool>) = documents().into_iter().unzip();
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), json!([schema(), documents]).to_string()).unwrap();
    let stdin = std::fs::File::open(input.path()).unwrap();
    let output = Command::new("python3").args(["-c", python]).stdin(stdin).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let judged: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    for ((judged, expected), document) in judged.into_iter().zip(expected).zip(documents) {
        assert_eq!(judged, expected, "{document}");
    }
}
