//! `trainit rehearse` with real trainers: one that is ready, and each of the ways not to be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod second;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::look::until_true;
use support::{TRAINIT, has, look};

const TRAINER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stop/trainer.py");

/// A rehearsal with a directory of its own, which is on the command line of each of its processes.
struct Rehearsal {
    directory: tempfile::TempDir,
    options: Vec<String>,
}

/// What it ended with, and what it said.
type Ended = (Option<i32>, String);

/// Long enough for Python to be there with its handlers on a busy machine.
const UP: &str = "5s";

impl Rehearsal {
    fn new(after: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = vec!["--after".into(), after.into()];
        Rehearsal { directory, options }.set("restart.max=3").set("restart.backoff=100ms..100ms").set("stop.drain=1s")
    }

    fn set(mut self, setting: &str) -> Self {
        self.options.extend(["--set".into(), setting.into()]);
        self
    }

    /// Its checkpoints are seen, and the next start is told of them.
    fn watched(self) -> Self {
        let dir = format!("checkpoint.dir={}", self.word());
        self.set(&dir).set("checkpoint.pattern=ckpt-{step}.npz").set("checkpoint.resume=env")
    }

    fn word(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut rehearse = Command::new(TRAINIT);
        rehearse.arg("rehearse").args(&self.options).arg("--").args(command);
        rehearse.current_dir("/").stdin(Stdio::null());
        rehearse
    }

    fn trainer<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["python3", "-S", TRAINER, self.word()], words].concat()
    }

    fn of_trainer(&self, words: &[&str]) -> Ended {
        self.of(&self.trainer(words))
    }

    fn of(&self, command: &[&str]) -> Ended {
        let output = self.command(command).output().unwrap();
        until_true("nobody to be left", || look::with_word(self.word()).is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[track_caller]
fn assert_told(ended: &Ended, code: i32, lines: &[&str]) {
    assert_eq!(ended.0, Some(code), "{}", ended.1);
    lines.iter().for_each(|line| assert!(ended.1.contains(line), "no {line:?} in\n{}", ended.1));
}

#[test]
fn a_trainer_that_saves_when_it_is_stopped_is_ready() {
    if !has("python3") {
        return;
    }
    let rehearsal = Rehearsal::new(UP).watched();
    let ended = rehearsal.of_trainer(&["on=TERM:save+exit0", "takes=0.2"]);
    let path = rehearsal.directory.path().canonicalize().unwrap().join("ckpt-1.npz");
    let next = format!("a second start is given TRAINIT_RESUME_PATH={} TRAINIT_RESUME_STEP=1", path.display());
    let rows =
        ["the workload ran after", "until the stop", "with 143: stopped in good order", "(step 1, 1000 B)", &next];
    assert_told(&ended, 0, &rows);
    assert!(ended.1.trim_end().ends_with("ready to be sent off"), "{}", ended.1);
    assert!(ended.1.contains(", and it went on: it saved ") && ended.1.contains("ckpt-2.npz (step 2"), "{}", ended.1);
    // Another rehearsal goes on from what the second start has saved.
    let ended = rehearsal.of_trainer(&["on=TERM:save+exit0"]);
    assert_told(&ended, 0, &["resume: from", "ckpt-3.npz (step 3, 1000 B)"]);
}

#[test]
fn the_words_of_a_template_are_told_as_well() {
    if !has("python3") {
        return;
    }
    let rehearsal = Rehearsal::new(UP).watched().set(r#"checkpoint.resume=["resume={step}"]"#);
    let ended = rehearsal.of_trainer(&["on=TERM:save+exit0"]);
    assert_told(&ended, 0, &["TRAINIT_RESUME_STEP=1 the words resume=1"]);
}

#[test]
fn a_trainer_that_does_not_save_is_not_ready() {
    if !has("python3") {
        return;
    }
    let ended = Rehearsal::new(UP).watched().of_trainer(&["on=TERM:exit0"]);
    assert_told(&ended, 1, &["no new checkpoint is complete in", "#recipes", "not ready: saved, resume"]);
    let ended = Rehearsal::new(UP).watched().of_trainer(&["on=TERM:exit0", "saves=0.7"]);
    assert_told(&ended, 1, &["nothing since the stop", "what was done since then is lost", "not ready: saved"]);
}

#[test]
fn a_trainer_without_a_handler_or_a_directory_is_not_ready() {
    if !has("python3") {
        return;
    }
    let ended = Rehearsal::new("500ms").of_trainer(&[]);
    let rows = ["it died of SIGTERM, for which it had no handler", "checkpoint.dir is not set", "not ready: saved"];
    assert_told(&ended, 1, &rows);
}

#[test]
fn a_trainer_that_dies_early_is_not_started_again() {
    if !has("python3") {
        return;
    }
    let ended = Rehearsal::new("20s").watched().of_trainer(&["ends=0.3:7"]);
    assert_told(&ended, 1, &["it ended by itself after ", "with exit code 7", "not ready: run"]);
    assert!(!ended.1.contains("start 2 follows"), "{}", ended.1);
    let ended = Rehearsal::new("20s").watched().of_trainer(&["ends=0.5:0"]);
    assert_told(&ended, 1, &["it was complete after ", "rehearse --after "]);
}

#[test]
fn a_trainer_that_ignores_the_stop_is_killed_when_the_grace_is_over() {
    if !has("python3") {
        return;
    }
    let ended = Rehearsal::new(UP).watched().set("stop.grace=2s").of_trainer(&["on=TERM:quiet", "child=is"]);
    assert_told(&ended, 1, &["it was killed: still there 2 s (stop.grace, ", "not ready: stop, saved, resume"]);
}

#[test]
fn a_trainer_with_a_code_of_its_own_is_a_failure_to_the_engine() {
    if !has("python3") {
        return;
    }
    let ended = Rehearsal::new(UP).watched().of_trainer(&["on=TERM:save+exit3"]);
    assert_told(&ended, 1, &["with 3, which an engine takes for a failure", "not ready: stop"]);
    let ended = Rehearsal::new(UP).watched().set("stop.exit_code=85").of_trainer(&["on=TERM:save+exit0"]);
    assert_told(&ended, 0, &["with 85: stopped in good order"]);
}

#[test]
fn a_start_that_is_refused_ends_with_its_own_code() {
    let ended = Rehearsal::new("1s").set("data=/no/such/data").of(&["true"]);
    assert_told(&ended, 111, &["refused with exit code 111", "not ready: it does not start, or does nothing"]);
    let ended = Rehearsal::new("1s").of(&["no-such-program"]);
    assert_told(&ended, 127, &["cannot run no-such-program"]);
    assert_eq!(Rehearsal::new("1s").set("stop.grase=1s").of(&["true"]).0, Some(78));
    assert_eq!(Rehearsal::new("soon").of(&["true"]).0, Some(64));
    assert_eq!(Rehearsal::new("20s").of(&["true"]).0, Some(1));
}

#[test]
fn breaking_it_off_ends_the_job_in_good_order() {
    if !has("python3") {
        return;
    }
    let rehearsal = Rehearsal::new("60s").watched();
    let mut command = rehearsal.command(&rehearsal.trainer(&["on=TERM:save+exit0"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("up attempt 1"));
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(130) && text.contains("broken off: nothing is known"), "{text}");
    assert!(Path::new(rehearsal.word()).join("ckpt-1.npz").exists(), "{text}");
}

#[test]
fn in_a_session_of_another_trainit_it_is_a_start_of_its_own() {
    if !has("python3") {
        return;
    }
    let rehearsal = Rehearsal::new(UP).watched();
    let mut command = rehearsal.command(&rehearsal.trainer(&["on=TERM:save+exit0"]));
    command
        .env("TRAINIT", "1")
        .env("TRAINIT_MODE", "shell")
        .env("TRAINIT_RUN_DIR", "/gone")
        .env("TRAINIT_ATTEMPT", "7");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("up attempt 1 resumed -"));
}
