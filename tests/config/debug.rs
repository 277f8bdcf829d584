//! `log.level: debug` from outside: what is said, in which form, and what is never said.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const SECRET: &str = "hunter2hunter2";

/// Starts a workload with secrets in its arguments and in its environment, and a hook that gets the same words.
fn start(variables: &[(&str, &str)], file: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let hook = directory.path().join("hook");
    fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join("trainit.yaml"), file).unwrap();
    let url = format!("https://user:{SECRET}@host/x");
    let assigned = format!("HF_TOKEN={SECRET}");
    Command::new(env!("CARGO_BIN_EXE_trainit"))
        .args(["run", "--set", &format!("hooks.before_start={}", hook.display())])
        .args(["--set", &format!("env.HF_TOKEN={SECRET}"), "--set", &format!("env.WANDB_API_KEY={SECRET}")])
        .args(["--", "sh", "-c", "exit 0", "sh", "--token", SECRET, &url, &assigned])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("MY_PASSWORD", SECRET)
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    text
}

#[test]
fn every_kind_of_decision_is_said_and_no_secret() {
    let text = stderr(&start(&[("TRAINIT_LOG_LEVEL", "debug")], ""));
    for family in ["config", "user", "mode", "state", "check", "deps", "program", "start"] {
        assert!(text.contains(&format!("  debug {family} ")), "{family}: {text}");
    }
    for part in [
        "/etc/trainit.yaml: ",
        "/trainit.yaml: read",
        "hooks.before_start",
        "/hook sh -c 'exit 0' sh --token ***",
        "https://***@host/x",
        "HF_TOKEN=***",
        "WANDB_API_KEY",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn without_it_nothing_of_that_is_said() {
    for variables in [&[][..], &[("TRAINIT_LOG_LEVEL", "warn")]] {
        let text = stderr(&start(variables, ""));
        assert!(!text.contains("debug"), "{text}");
    }
}

#[test]
fn json_lines_can_be_read() {
    let text = stderr(&start(&[("TRAINIT_LOG_LEVEL", "debug"), ("TRAINIT_LOG_FORMAT", "json")], ""));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let debug: Vec<&Value> = lines.iter().filter(|line| line["level"] == "debug").collect();
    assert!(debug.len() > 10, "{text}");
    for line in &debug {
        assert!(line["time"].is_string() && line["family"].is_string() && line["text"].is_string(), "{line}");
    }
    let program = debug.iter().find(|line| line["family"] == "program").unwrap();
    assert!(program["took_ms"].is_number() && program["end"].is_string(), "{program}");
}

#[test]
fn a_file_may_ask_for_it_and_the_command_line_may_refuse() {
    let text = stderr(&start(&[], "log: {level: debug}\n"));
    assert!(text.contains("  debug start "), "{text}");
    let text = stderr(&start(&[("TRAINIT_LOG_LEVEL", "info")], "log: {level: debug}\n"));
    assert!(!text.contains("  debug "), "{text}");
}

#[test]
fn a_probe_stays_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_trainit")).arg("health").env("TRAINIT_LOG_LEVEL", "debug").output();
    assert!(!String::from_utf8_lossy(&output.unwrap().stderr).contains("debug"));
}
