//! What `status` tells of the job's history, as JSON, as metrics and as tags of an experiment tracker.

use crate::job::{Job, python};
use crate::support::look::until;
use crate::support::{Place, TRAINIT, skip};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

/// A second attempt that runs, after one that failed.
fn second_attempt(job: &Job) -> crate::support::Running {
    assert_eq!(job.launch(Place::Aside, &job.trainer(&["saves=0.1", "ends=0.4:3"])).finish().code, Some(3));
    let report = job.path().join("report.json");
    let running = job
        .launch(Place::Aside, &job.trainer(&["saves=0.2"]))
        .env("TRAINIT_REPORT_FILE", report.to_str().unwrap())
        .spawn();
    assert!(running.line().starts_with("up attempt 1"));
    running
}

fn status(job: &Job, form: &str) -> String {
    let output = job.ask(&["status", form]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The status once it knows the second attempt's checkpoint.
fn settled(job: &Job) -> Json {
    until("a checkpoint of the second attempt", || {
        let told: Json = serde_json::from_str(&status(job, "--json")).ok()?;
        (told["history"]["attempts"] == 2 && told["saved"]["step"].is_number()).then_some(told)
    })
}

#[test]
fn status_and_the_report_have_the_sum_of_the_history() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    let running = second_attempt(&job);
    let told = settled(&job);
    assert_eq!(told["history"]["reasons"]["failed"], 1, "{told:#}");
    let file = told["history_file"].as_str().unwrap().to_owned();
    assert_eq!(Path::new(&file), job.path().join(".trainit/history.jsonl"));
    let words = String::from_utf8(job.ask(&["status"]).stdout).unwrap();
    assert!(words.lines().any(|line| line.starts_with("history    2 attempts in ")), "{words}");
    let report: Json = serde_json::from_slice(&std::fs::read(job.path().join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["history"]["attempts"], &report["history"]["reasons"]["failed"]), (&2.into(), &1.into()));
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

/// The block of the page that is typed.
fn typed(page: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned()
}

#[test]
fn the_metrics_of_the_page_are_what_prometheus_reads() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    let running = second_attempt(&job);
    settled(&job);
    let path = format!("{}:{}", Path::new(TRAINIT).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut types = Command::new("sh");
    types.args(["-ec", &typed("docs/monitoring.md")]).env("PATH", path).env("TRAINIT_RUN_DIR", job.run_dir());
    assert!(types.current_dir(job.path()).status().unwrap().success());
    let text = std::fs::read_to_string(job.path().join("trainit.prom")).unwrap();
    let has = |line: &str| assert!(text.lines().any(|found| found.starts_with(line)), "{line}:\n{text}");
    ["trainit_phase{phase=\"running\"} 1", "trainit_job_attempts 2", "trainit_checkpoint_step "]
        .iter()
        .for_each(|line| has(line));
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
    // Every metric is on the page, and Prometheus' own library reads the text.
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md")).unwrap();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        let short = name.trim_start_matches("trainit_checkpoint");
        assert!(
            page.contains(&format!("`{name}`")) || page.contains(&format!("`{short}`")),
            "{name} is not on the page"
        );
    }
    let reads = "import sys; from prometheus_client.parser import text_string_to_metric_families as read\n\
                 found = {family.name: family for family in read(sys.stdin.read())}\n\
                 parts = {s.labels['part']: s.value for s in found['trainit_job_seconds'].samples}\n\
                 assert len(parts) == 10 and parts['progress'] >= 0, parts\n\
                 assert found['trainit_job_attempts'].samples[0].value == 2";
    if !can_import("prometheus_client") {
        return skip("python3 has no prometheus_client");
    }
    let with = std::fs::File::open(job.path().join("trainit.prom")).unwrap();
    assert!(Command::new("python3").args(["-c", reads]).stdin(with).status().unwrap().success(), "{text}");
}

fn can_import(module: &str) -> bool {
    let found = format!("import importlib.util, sys; sys.exit(importlib.util.find_spec({module:?}) is None)");
    Command::new("python3").args(["-c", &found]).status().is_ok_and(|status| status.success())
}

#[test]
fn a_tracker_gets_the_tags_of_the_page() {
    let Some(python) = python() else { return };
    let job = Job::new().watched().with("CHECKPOINT_RESUME", "env");
    assert_eq!(job.launch(Place::Aside, &job.trainer(&["saves=0.1", "ends=0.4:3"])).finish().code, Some(3));
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/trackers");
    let tells = "import json, sys, trainit_tags\n\
                 print(json.dumps(trainit_tags.tags(program=sys.argv[1])))";
    let ended = job.launch(Place::Aside, &[python, "-S", "-c", tells, TRAINIT]).env("PYTHONPATH", examples).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let tags: Json = serde_json::from_str(ended.out.trim()).unwrap();
    let has = |name: &str, value: &str| assert_eq!(tags[name], value, "{tags:#}");
    has("trainit.attempt", "1");
    has("trainit.mode", "train");
    has("trainit.job.attempts", "2");
    has("trainit.previous.reason", "failed");
    has("trainit.previous.code", "3");
    assert!(tags["trainit.resumed_step"].as_str().is_some_and(|step| step.parse::<u64>().is_ok()), "{tags:#}");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md")).unwrap();
    for name in tags.as_object().unwrap().keys().filter(|name| !name.starts_with("trainit.previous.")) {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
    // A tracker has more packages than a test of every change should install: scripts/nightly trackers.
    if std::env::var_os("TRACKERS").is_none() {
        return;
    }
    // The lines of the page, each with what its tracker kept.
    let trackers = [
        "import mlflow\n\
         mlflow.set_tracking_uri('file:' + os.getcwd() + '/mlflow')\n\
         with mlflow.start_run() as run:\n    LINE\n\
         assert mlflow.get_run(run.info.run_id).data.tags['trainit.previous.reason'] == 'failed'",
        "import wandb\n\
         run = LINE\n\
         assert run.config['trainit.previous.reason'] == 'failed'\n\
         run.finish()\n\
         kept('wandb/offline-run-*/run-*.wandb')",
        "import tensorboardX\n\
         writer = tensorboardX.SummaryWriter('board')\n\
         LINE\n\
         writer.close()\n\
         kept('board/**/events*')",
    ];
    for (what, line) in trackers.iter().zip(lines(&page)) {
        let mut tracker = Command::new("python3");
        tracker.args(["-c", &format!("{HELPERS}{}", what.replace("LINE", line))]);
        tracker.arg(tags.to_string()).env("MLFLOW_DISABLE_TELEMETRY", "true").env("MLFLOW_ALLOW_FILE_STORE", "true");
        tracker.env("WANDB_MODE", "offline").env("WANDB_SILENT", "true");
        assert!(tracker.current_dir(job.path()).status().unwrap().success(), "{line}");
    }
}

/// What the page's lines find around them: `trainit_tags`, and `kept`, which waits until a file has the tag (W&B's is written in the
/// background).
const HELPERS: &str = "\
import glob, json, os, sys, time
class trainit_tags:
    def tags(): return json.loads(sys.argv[1])
def kept(pattern):
    deadline = time.monotonic() + 60
    while not any(b'trainit.previous.reason' in open(file, 'rb').read() for file in glob.glob(pattern, recursive=True)):
        assert time.monotonic() < deadline, glob.glob('**', recursive=True)
        time.sleep(0.1)
";

/// The lines that the page's table of trackers says, in its order.
fn lines(page: &str) -> Vec<&str> {
    let (_, table) = page.split_once("| tracker | line | |\n|---|---|---|\n").unwrap();
    table.lines().map_while(|row| row.strip_prefix("| ")).map(|row| row.split('`').nth(1).unwrap()).collect()
}
