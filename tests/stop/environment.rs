//! `trainit env`: a session that trainit did not start gets what a workload would.

use crate::job::Job;
use crate::support::{Place, TRAINIT};
use std::process::{Command, Output};

/// A configuration with values that a shell could spoil.
fn configured(job: &Job) -> Vec<(&'static str, String)> {
    let text = "env:\n  ODD: \"it's $HOME `x` \\\"q\\\" a  b\\nc\"\n  GIVEN: ours\n  A_TOKEN: {file: SECRET}\nstop: {grace: 100s}\n";
    let secret = job.path().join("secret");
    std::fs::write(&secret, "abc\n").unwrap();
    let file = job.path().join("settings.yaml");
    std::fs::write(&file, text.replace("SECRET", secret.to_str().unwrap())).unwrap();
    vec![("TRAINIT_CONFIG", file.display().to_string()), ("GIVEN", "theirs".into())]
}

fn run(words: &[&str], variables: &[(&'static str, String)]) -> Output {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir("/")
        .env("UNDER_TEST", TRAINIT)
        .envs(variables.iter().cloned())
        .output()
        .unwrap()
}

const SHOW: &str = "printf '%s|' \"$ODD\" \"$GIVEN\" \"$A_TOKEN\" \"$TORCH_ELASTIC_SHUTDOWN_TIMEOUT\"";

#[test]
fn a_shell_gets_what_the_workload_gets() {
    let job = Job::new();
    let variables = configured(&job);
    let started = run(&[TRAINIT, "exec", "--", "sh", "-c", SHOW], &variables);
    let expected = "it's $HOME `x` \"q\" a  b\nc|theirs|abc|90|";
    assert_eq!(String::from_utf8_lossy(&started.stdout), expected, "{started:?}");
    let script = format!("set -eu; eval \"$(\"$UNDER_TEST\" env)\"; {SHOW}");
    for shell in ["sh", "bash"] {
        let output = run(&[shell, "-c", &script], &variables);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{shell}: {output:?}");
    }
    let json = run(&[TRAINIT, "env", "--json"], &variables).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["set"]["A_TOKEN"], json["set"].get("GIVEN")), (&"abc".into(), None));
}

#[test]
fn what_belongs_to_a_start_alone_is_left_out() {
    let job = Job::new();
    let text = String::from_utf8(run(&[TRAINIT, "env"], &configured(&job)).stdout).unwrap();
    assert!(
        !text.contains("TRAINIT=") && !text.contains("TRAINIT_ATTEMPT") && !text.contains("TRAINIT_RUN_MODE"),
        "{text}"
    );
}

#[test]
fn a_configuration_that_cannot_be_leaves_nothing_to_evaluate() {
    let output = run(&[TRAINIT, "env"], &[("TRAINIT_STOP_GRACE", "10x".into())]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("TRAINIT_STOP_GRACE"), "{output:?}");
}

#[test]
fn a_session_of_a_running_job_is_told_where_its_state_is() {
    let job = Job::new();
    let running =
        job.launch(Place::Aside, &["sh", "-c", "\"$0\" env --json; exec sleep 1000", TRAINIT, job.word()]).spawn();
    job.is_in_phase("running");
    let state = job.run_dir().display().to_string();
    // It is called with everything there is already.
    let mut text = String::new();
    while serde_json::from_str::<serde_json::Value>(&text).is_err() {
        text += &running.line();
    }
    assert!(!text.contains(&state), "{text}");
    let output = run(&[TRAINIT, "env"], &[("TRAINIT_RUN_DIR", state.clone())]);
    assert!(output.status.success(), "{output:?}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}
