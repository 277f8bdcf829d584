//! The digits job with every kind of end, read back from its history.

use crate::harness::{Container, docker_says};
use crate::images::{Image, image};
use crate::job::digits;
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64()
}

fn history(checkpoints: &Path) -> Json {
    let output = Command::new(env!("CARGO_BIN_EXE_trainit")).args(["history", "--json"]).arg(checkpoints).output();
    let output = output.expect("the program is built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Waits until this start has done a whole epoch since it began or resumed.
fn wait_for_epoch(job: &Container, start: usize) {
    let text = || job.text();
    let epochs = |text: &str| text.lines().filter(|line| line.contains("epoch   ")).count();
    let begun = |text: &str| text.lines().filter(|line| line.contains("resuming from")).count() + 1 >= start;
    crate::harness::wait_for("another epoch", || (begun(&text()) && epochs(&text()) >= start).then_some(()), text);
}

fn number(of: &Json) -> f64 {
    of.as_f64().expect("a number")
}

#[test]
fn every_end_of_the_digits_job_is_read_back_and_the_times_add_up() {
    let Some(python) = image(Image::Python) else { return };
    let checkpoints = tempfile::tempdir().expect("a temporary directory");
    let began = now();
    let with_history = |words: &[&str]| {
        let run = digits(&python, checkpoints.path(), words).with("-e TRAINIT_CHECKPOINT_DIR=/checkpoints");
        run.with("--memory 400m --memory-swap 400m")
    };
    let job = with_history(&["python", "train.py", "--epochs", "9", "--pace", "1"]).start();
    wait_for_epoch(&job, 1);
    job.stop(60);
    job.ended().expect_code(143);
    // The whole container is killed.
    job.start_again();
    wait_for_epoch(&job, 2);
    docker_says(["kill", "-s", "KILL", &job.name]);
    job.ended().expect_code(137);
    // The kernel kills the trainer, because another process of the container takes all memory.
    job.start_again();
    wait_for_epoch(&job, 3);
    let eats = "echo 1000 >/proc/$(trainit status --json | sed -n 's/.*\"main\": \\([0-9]*\\).*/\\1/p')/oom_score_adj\n\
                python3 -c 'all = [bytearray(1 << 20) for _ in range(2000)]'";
    job.exec(&["sh", "-c", eats]);
    job.ended().expect_code(137);
    // Its own fault.
    with_history(&["python", "train.py", "--data", "/nothing"]).finish().expect_code(1);
    job.start_again();
    job.wait_for_text("done: 9 epochs");
    job.ended().expect_code(0).expect_text(&["trainit: history: 5 attempts in "]);
    let (told, ended) = (history(checkpoints.path()), now());
    let reasons: Vec<&str> = told["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|one| one["reason"].as_str().unwrap_or("runs"))
        .collect();
    assert_eq!(reasons, ["stopped", "silent", "memory", "failed", "done"], "{told:#}");
    let sum = &told["sum"];
    let parts: f64 = sum["parts"].as_object().expect("parts").values().map(number).sum();
    let (since, until) = (number(&sum["since"]), number(&sum["until"]));
    assert!((parts - (until - since)).abs() < 1.0, "{parts} of {}: {sum:#}", until - since);
    assert!(since >= began - 0.1 && until <= ended + 0.1, "{began} to {ended}: {sum:#}");
    assert_eq!(told["skipped"], 0);
}
