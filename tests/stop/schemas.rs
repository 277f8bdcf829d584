//! Everything that trainit prints as JSON, held against the schemas that it prints.

use crate::job::{Job, python};
use crate::support::look::until;
use crate::support::{Place, TRAINIT, skip};
use std::path::Path;
use std::process::Command;

/// Validates each document of a directory against its schema, and a document without its first required member not.
const VALIDATES: &str = "
import json, pathlib, sys
from jsonschema import Draft202012Validator as Validator
for schema in sorted(pathlib.Path(sys.argv[1]).glob('*.schema')):
    rules = json.loads(schema.read_text())
    Validator.check_schema(rules)
    assert rules['$id'] == f'urn:trainit:schema:{schema.stem}:1', rules['$id']
    documents = list(schema.parent.glob(f'{schema.stem}.*.json'))
    assert documents, schema
    for file in documents:
        document = json.loads(file.read_text())
        errors = [f'{file.name}: {error.json_path}: {error.message[:200]}' for error in Validator(rules).iter_errors(document)]
        assert not errors, errors
        if 'required' in rules:
            del document[rules['required'][0]]
            assert not Validator(rules).is_valid(document), file
";

fn printed(words: &[&str], more: &[(&str, &str)]) -> Vec<u8> {
    Command::new(TRAINIT).args(words).envs(more.iter().copied()).output().unwrap().stdout
}

fn put(directory: &Path, name: &str, bytes: &[u8]) {
    assert!(!bytes.is_empty(), "{name} is empty");
    std::fs::write(directory.join(name), bytes).unwrap();
}

/// The documents of a running job: its report, its state, and its lines of the log.
fn of_a_job(at: &Path) {
    let job = Job::new().watched().with("CHECKPOINT_RESUME", "env").with("LOG_FORMAT", "json");
    let report = job.path().join("report.json");
    let job = job.with("REPORT_FILE", report.to_str().unwrap());
    assert_eq!(job.launch(Place::Aside, &job.trainer(&["saves=0.1", "ends=0.4:3"])).finish().code, Some(3));
    let running = job.start_aside(&["saves=0.1"]);
    let state = until("a checkpoint", || {
        let told = job.ask(&["status", "--json"]).stdout;
        serde_json::from_slice::<serde_json::Value>(&told).ok()?["saved"]["step"].is_number().then_some(told)
    });
    put(at, "status.running.json", &state);
    put(at, "check.report.json", &std::fs::read(&report).unwrap());
    put(at, "history.job.json", &printed(&["history", "--json", job.word()], &[]));
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    let lines = finished.err.lines().filter(|line| line.starts_with('{'));
    lines.enumerate().for_each(|(n, line)| put(at, &format!("log.{n}.json"), line.as_bytes()));
    assert!(finished.err.lines().any(|line| line.contains("\"event\":\"end\"")), "{}", finished.err);
}

#[test]
fn every_json_is_as_its_schema_says() {
    if python().is_none() {
        return;
    }
    if !Command::new("python3").args(["-c", "import jsonschema"]).output().is_ok_and(|output| output.status.success()) {
        return skip("python3 has no jsonschema");
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for name in ["check", "status", "history", "config-show", "env", "log"] {
        put(at, &format!("{name}.schema"), &printed(&["--generate", &format!("schema-{name}")], &[]));
    }
    put(at, "check.well.json", &printed(&["check", "--json"], &[]));
    let fails = [("TRAINIT_DATA", "/no/such/data"), ("TRAINIT_GPU_COUNT", "2"), ("TRAINIT_COMMAND", "no-such-program")];
    put(at, "check.failed.json", &printed(&["check", "--json"], &fails));
    put(at, "check.gpu.json", &printed(&["gpu", "--json"], &[]));
    put(at, "config-show.all.json", &printed(&["config", "show", "--json"], &fails));
    put(at, "env.all.json", &printed(&["env", "--json"], &[]));
    of_a_job(at);
    let output = Command::new("python3").args(["-c", VALIDATES]).arg(at).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
