//! Checkpoints in a mirror, with real processes: a job goes on elsewhere with nothing but the mirror, and what is not there is told. A
//! stand-in for trainit-transfer fails where a test wants it to.

use crate::job::{Job, python, said};
use crate::support::Place::Aside;
use crate::support::look::until_true;
use crate::support::{Launch, Running, TRAINIT};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A mirror that several nodes share, and the stand-in that serves it.
struct Shared {
    directory: tempfile::TempDir,
}

impl Shared {
    /// `None` where there is no Python.
    fn new() -> Option<Self> {
        let python = python()?;
        let directory = tempfile::tempdir().unwrap();
        for name in ["bin", "control", "store"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stop/carrier.py");
        let program = directory.path().join("bin/trainit-transfer");
        fs::write(&program, format!("#!/bin/sh\nexec {python} -S {script}\n")).unwrap();
        for path in [directory.path().to_owned(), program] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Some(Shared { directory })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path("store").display())
    }

    /// Has the stand-in behave in this way from now on.
    fn behave(&self, what: &str, how: &str) {
        fs::write(self.path("control").join(what), how).unwrap();
    }

    /// A node: a directory of its own, and this mirror.
    fn node(&self) -> Job {
        Job::new().watched().with("CHECKPOINT_RESUME", "env").with("CHECKPOINT_MIRROR", &self.url())
    }

    fn launch(&self, node: &Job, words: &[&str]) -> Launch {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let control = self.path("control").to_str().unwrap().to_owned();
        node.launch(Aside, &node.trainer(words)).env("PATH", &path).env("STAND_IN", &control)
    }

    #[track_caller]
    fn start(&self, node: &Job, words: &[&str]) -> Running {
        let running = self.launch(node, words).spawn();
        assert!(running.line().starts_with("up attempt 1"));
        running
    }

    /// The newest step that has a manifest; 0 if there is none. Of those that wait for an upload only the newest stays.
    fn newest(&self) -> u64 {
        let listed = fs::read_dir(self.path("store/.trainit")).into_iter().flatten();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let step = |name: String| name.strip_prefix("ckpt-")?.strip_suffix(".npz.json")?.parse().ok();
        names.filter_map(step).max().unwrap_or(0)
    }

    /// The copies of the history.
    fn records(&self) -> Vec<String> {
        let listed = fs::read_dir(self.path("store/.trainit/history")).into_iter().flatten();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".jsonl")).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.path("store").join(name).exists()
    }
}

/// The step that a line tells of.
fn step_in(line: &str) -> u64 {
    line.split("step ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_job_goes_on_on_another_node_with_nothing_but_the_mirror() {
    let Some(mirror) = Shared::new() else { return };
    let first = mirror.node();
    let running = mirror.start(&first, &["on=TERM:save+exit0", "saves=0.2"]);
    let fresh = running.error_with("mirror: no checkpoint in file://");
    assert!(fresh.ends_with("a fresh start"), "{fresh}");
    until_true("a checkpoint in the mirror", || mirror.newest() > 0);
    running.signal(libc::SIGTERM);
    let ended = running.finish();
    assert_eq!(ended.code, Some(143), "{}", ended.err);
    let last =
        ended.err.lines().find(|line| line.contains("mirrored up to step ")).unwrap_or_else(|| panic!("{}", ended.err));
    assert!(!last.contains("only in"), "{last}");
    let kept = names(&mirror.path("store")).iter().filter(|name| name.ends_with(".npz")).count();
    assert!(kept <= 3, "{:?}", names(&mirror.path("store")));

    let second = mirror.node();
    let running = mirror.start(&second, &["goes_on=1", "saves=0.2"]);
    let fetched = running.error_with("mirror: fetched step ");
    let step = step_in(&fetched);
    running.error_with(&format!("resume: from {}/ckpt-{step}.npz (step {step}", second.word()));
    until_true("its own checkpoint in the mirror", || mirror.newest() > step);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_training_whose_artefact_cannot_be_mirrored_is_not_green() {
    let Some(mirror) = Shared::new() else { return };
    mirror.behave("fail", "put denied");
    let node = mirror.node();
    let ended = mirror.launch(&node, &["saves=0.1", "ends=1:0"]).finish();
    assert_eq!(ended.code, Some(213), "{}", ended.err);
    assert!(ended.err.contains("put: denied, as the test wants"), "{}", ended.err);
    assert!(ended.err.contains("nothing is mirrored; step ") && ended.err.contains("ends with 213"), "{}", ended.err);
    let node = mirror.node().with("CHECKS", "checkpoint.mirror=warn");
    let ended = mirror.launch(&node, &["saves=0.1", "ends=1:0"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("nothing is mirrored; step "), "{}", ended.err);
}

#[test]
fn a_natural_end_waits_for_the_upload_in_a_phase_of_its_own() {
    let Some(mirror) = Shared::new() else { return };
    mirror.behave("slow", "4");
    let node = mirror.node();
    let running = mirror.start(&node, &["on=USR1:save+exit0"]);
    crate::job::kill(running.workload(), nix::sys::signal::Signal::SIGUSR1);
    node.tells("mirroring", |state| state["phase"] == "mirroring" && state["mirror"]["going"]["size"] == 1000);
    let (_, status) = said(&node.ask(&["status"]));
    assert!(status.contains("mirroring for ") && status.contains("nothing yet; step 1: "), "{status}");
    let ended = running.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("mirrored up to step 1;"), "{}", ended.err);
}

#[test]
fn a_request_waits_until_its_checkpoint_is_in_the_mirror_too() {
    let Some(mirror) = Shared::new() else { return };
    let node = mirror.node().with("CHECKPOINT_SIGNAL", "USR1");
    let running = mirror.start(&node, &["on=USR1:save,TERM:exit0"]);
    assert_eq!(said(&node.ask(&["checkpoint", "--mirrored"])).0, Some(64));
    let (code, told) = said(&node.ask(&["checkpoint", "--wait", "60s", "--mirrored"]));
    assert!(code == Some(0) && told.contains("ckpt-1.npz is complete, and in the mirror"), "{told}");
    assert!(mirror.has(".trainit/ckpt-1.npz.json"));
    mirror.behave("fail", "put later");
    let (code, told) = said(&node.ask(&["checkpoint", "--wait", "2s", "--mirrored"]));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("ckpt-2.npz is complete, and not in the mirror after 2s: put: later"), "{told}");
    mirror.behave("fail", "");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_grace_that_is_too_short_is_told_while_training_runs_and_the_last_line_says_what_is_where() {
    let Some(mirror) = Shared::new() else { return };
    mirror.behave("slow", "1");
    let node = mirror.node().with("STOP_GRACE", "8s");
    let running = mirror.start(&node, &["on=TERM:save+exit0,USR1:save"]);
    crate::job::kill(running.workload(), nix::sys::signal::Signal::SIGUSR1);
    let warning = running.error_with("takes up to 11");
    assert!(warning.contains("a stop has 8 s") && warning.contains("stop.grace: "), "{warning}");
    mirror.behave("slow", "100");
    running.signal(libc::SIGTERM);
    let ended = running.finish();
    assert_eq!(ended.code, Some(143), "{}", ended.err);
    let line = format!("mirrored up to step 1; step 2 (1000 B) is only in {}: ", node.word());
    assert!(ended.err.contains(&line) && ended.err.contains(" % uploaded"), "{}", ended.err);
    mirror.behave("slow", "0");
    let report = mirror.path("report.json");
    let other = mirror.node().with("REPORT_FILE", report.to_str().unwrap());
    let elsewhere = mirror.launch(&other, &["ends=0:0"]).finish();
    assert!(elsewhere.err.contains("mirror: fetched step 1 "), "{}", elsewhere.err);
    let report = fs::read_to_string(report).unwrap();
    assert!(
        report.contains(r#""what": "fetched step 1 "#) || report.contains(r#""what":"fetched step 1 "#),
        "{report}"
    );
    // On the same disk the local one is newer, and goes up now.
    let again = mirror.launch(&node, &["ends=1:0"]).finish();
    assert!(
        again.err.contains("mirror: step 2 is here, and ") && again.err.contains("mirrored up to step 2"),
        "{}",
        again.err
    );
}

#[test]
fn a_mirror_that_cannot_be_read_is_never_a_fresh_start() {
    let Some(mirror) = Shared::new() else { return };
    for (fail, code) in [("list later", 213), ("list denied", 113), ("list gone", 113)] {
        mirror.behave("fail", fail);
        let ended = mirror.launch(&mirror.node(), &["ends=0:0"]).finish();
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(ended.err.contains("as the test wants") && !ended.out.contains("up attempt"), "{}", ended.err);
    }
    mirror.behave("fail", "");
    fs::remove_dir_all(mirror.path("store")).unwrap();
    let ended = mirror.launch(&mirror.node(), &["ends=0:0"]).finish();
    assert_eq!(ended.code, Some(113), "{}", ended.err);
    assert!(ended.err.contains("mkdir -p "), "{}", ended.err);
}

#[test]
fn two_runs_in_one_place_are_refused() {
    let Some(mirror) = Shared::new() else { return };
    let other = Shared::new().unwrap();
    for (shared, node) in [(&mirror, mirror.node()), (&other, other.node())] {
        assert_eq!(shared.launch(&node, &["saves=0.1", "ends=1:0"]).finish().code, Some(0));
    }
    let node = mirror.node();
    assert_eq!(mirror.launch(&node, &["saves=0.1", "ends=1:0"]).finish().code, Some(0));
    let node = node.with("CHECKPOINT_MIRROR", &other.url());
    let ended = mirror.launch(&node, &["ends=0:0"]).finish();
    assert_eq!(ended.code, Some(113), "{}", ended.err);
    assert!(ended.err.contains("has checkpoints of another run"), "{}", ended.err);
}

#[test]
fn a_carrier_that_dies_again_and_again_costs_no_checkpoint() {
    let Some(mirror) = Shared::new() else { return };
    let first = mirror.node();
    assert_eq!(mirror.launch(&first, &["saves=0.2", "ends=0.5:0"]).finish().code, Some(0));
    let requests = || fs::read_to_string(mirror.path("control/log")).unwrap().lines().count();
    // The next start's requests: to list, to read what is there, and then each of an upload.
    mirror.behave("die", &(requests() + 9).to_string());
    let second = mirror.node();
    let ended = mirror.launch(&second, &["goes_on=1", "saves=0.2", "ends=0.5:0"]).finish();
    assert_eq!(ended.code, Some(213), "{}", ended.err);
    mirror.behave("die", "");
    let third = mirror.launch(&mirror.node(), &["ends=0:0"]).finish();
    assert!(third.err.contains("mirror: fetched step "), "{}", third.err);
}

/// What `trainit history --json` says on a node.
fn told(node: &Job) -> serde_json::Value {
    let output = std::process::Command::new(TRAINIT).args(["history", "--json", node.word()]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The attempts that a node knows of: why each ended, and by whom that was written.
fn attempts(node: &Job) -> Vec<(String, String)> {
    let told = told(node);
    assert_eq!(told["skipped"], 0);
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let attempts = told["attempts"].as_array().unwrap().iter();
    attempts.map(|attempt| (word(&attempt["reason"]), word(&attempt["end"]["by"]))).collect()
}

#[test]
fn earlier_attempts_are_in_the_history_of_every_node_and_a_lost_one_is_closed_elsewhere() {
    let Some(mirror) = Shared::new() else { return };
    let first = mirror.node();
    assert_eq!(mirror.launch(&first, &["saves=0.2", "ends=0.5:3"]).finish().code, Some(3));
    let lost = mirror.node();
    let running = mirror.start(&lost, &["goes_on=1", "saves=0.2"]);
    let step = step_in(&running.error_with("mirror: fetched step "));
    until_true("its own checkpoint in the mirror", || mirror.newest() > step);
    let supervisor = running.supervisor();
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));
    // Nodes of a test are one machine, on which a start sees whether the other one still lives.
    until_true("the end of its supervisor", || !Path::new(&format!("/proc/{supervisor}")).exists());

    let third = mirror.node();
    let ended = mirror.launch(&third, &["goes_on=1", "saves=0.2", "ends=0.5:0"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let (own, next) = ("itself".to_owned(), "next-start".to_owned());
    let all = [("failed", &own), ("silent", &next), ("done", &own)].map(|(why, by)| (why.to_owned(), by.clone()));
    assert_eq!(attempts(&third), all, "{}", ended.err);
    assert!(ended.err.contains("trainit: history: 3 attempts in "), "{}", ended.err);
    let told = told(&third);
    assert!(told["attempts"][1]["end"]["saved"]["step"].as_u64() > Some(step), "{told:#}");
    // The copy of the attempt that ended is replaced by the next one's; a lost one may still be alive.
    assert_eq!(mirror.records().len(), 2, "{:?}", mirror.records());

    // A node that was there before learns what came since, and nothing twice.
    let again = mirror.launch(&first, &["goes_on=1", "ends=0:0"]).finish();
    assert_eq!(again.code, Some(0), "{}", again.err);
    let mut all = all.to_vec();
    all.push(("done".to_owned(), own));
    assert_eq!(attempts(&first), all, "{}", again.err);
}

#[test]
fn a_mirror_that_takes_no_history_costs_a_line_and_no_checkpoint() {
    let Some(mirror) = Shared::new() else { return };
    fs::create_dir_all(mirror.path("store/.trainit")).unwrap();
    fs::write(mirror.path("store/.trainit/history"), "in the way").unwrap();
    let node = mirror.node();
    let ended = mirror.launch(&node, &["saves=0.1", "ends=1:0"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("mirrored up to step "), "{}", ended.err);
    assert!(ended.err.contains("the end of this attempt is not in the mirror's history: "), "{}", ended.err);
}
