//! `idle.after`: a build session that nobody uses ends by itself; what is taken for use; and that a training is left alone.

use crate::job::{Job, assert_about, places, python};
use crate::lifetime::session_at;
use crate::support::{Place, Running, has, pty};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A session of this command, which ends when it was not used for so long, with these signs of use.
fn session(after: &str, signs: &str, command: &[String]) -> (Job, Running) {
    let job = Job::new().with("IDLE_AFTER", after).with("IDLE_SIGNS", signs);
    let words: Vec<&str> = ["--mode", "shell", "--"].into_iter().chain(command.iter().map(String::as_str)).collect();
    let running = job.launch_words(Place::Aside, &words).spawn();
    (job, running)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn what_nobody_uses_is_stopped_and_says_why() {
    for place in places() {
        let job = Job::new().with("IDLE_AFTER", "1s");
        let running = job.launch_words(place, &["--mode", "shell", "--", "sleep", "100"]).spawn();
        let begun = Instant::now();
        running.error_with("idle.after (not used for 1.0 s): stopping, 10 min 00 s until SIGKILL (no engine ends it)");
        let end = running.error_with("end   ");
        assert!(end.contains("stopped by idle.after (not used for 1.0 s)"), "{end}");
        // A build mode keeps its own code: sleep died of SIGTERM.
        assert_eq!(running.code(), 143);
        assert_about(begun.elapsed(), 1.0);
    }
}

#[test]
fn a_training_is_not_idle() {
    let job = Job::new().with("IDLE_AFTER", "300ms");
    let finished = job.launch(Place::Aside, &["sleep", "2"]).finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn who_computes_uses_it_and_status_says_so() {
    let script = "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done; sleep 100";
    let (job, running) = session("1s", "cpu", &words(&["sh", "-c", script]));
    job.tells("use of the processor", |state| state["used_by"].as_str().is_some_and(|by| by.ends_with("% of a CPU")));
    let status = String::from_utf8(job.ask(&["status"]).stdout).unwrap();
    assert!(status.contains("of a CPU") || status.contains("not used"), "{status}");
    running.error_with("idle.after (not used for 1.0 s): stopping");
    assert_eq!(running.code(), 143);
}

#[test]
fn who_types_at_a_terminal_uses_it() {
    let (person, terminal) = pty::open();
    let (job, running) = session("30s", "terminal", &session_at(&terminal));
    // A new terminal counts for some seconds; then nobody has typed.
    job.tells("nobody types", |state| state["unused_since"].is_number());
    person.types("ls\r");
    let path = nix::unistd::ttyname(&terminal).unwrap();
    let by = format!("somebody types at {}", path.display());
    job.tells(&by, |state| state["used_by"] == by.as_str());
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn a_kernel_that_computes_uses_it_and_one_that_waits_does_not() {
    let Some(python) = python() else { return };
    let (job, running) = kernels(python, "right", None);
    running.line();
    job.tells("a kernel", |state| state["used_by"] == "1 kernel computing");
    std::fs::remove_file(job.path().join("busy")).unwrap();
    running.error_with("idle.after (not used for 3.0 s): stopping");
    assert_eq!(running.code(), 143);
}

#[test]
fn kernels_that_cannot_be_asked_for_are_taken_for_use() {
    let Some(python) = python() else { return };
    let (job, running) = kernels(python, "wrong", None);
    running.line();
    let why = |state: &serde_json::Value| {
        state["used_by"].as_str().is_some_and(|by| by.contains("its token does not open it"))
    };
    job.tells("a closed server", why);
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

#[test]
fn kernels_behind_tls_are_asked_for_by_the_servers_own_interpreter() {
    let Some(python) = python() else { return };
    if !has("openssl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("both.pem");
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"];
    let made = Command::new("openssl")
        .args(request)
        .args([&file, Path::new("-out")])
        .arg(directory.path().join("cert.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let both =
        std::fs::read_to_string(&file).unwrap() + &std::fs::read_to_string(directory.path().join("cert.pem")).unwrap();
    std::fs::write(&file, both).unwrap();
    let (job, running) = kernels(python, "right", file.to_str());
    running.line();
    job.tells("a kernel", |state| state["used_by"] == "1 kernel computing");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 143);
}

/// A server that opens with this token, with a kernel that computes.
fn kernels(python: &str, token: &str, certificate: Option<&str>) -> (Job, Running) {
    let job = Job::new().with("IDLE_AFTER", "3s").with("IDLE_SIGNS", "kernels");
    std::fs::write(job.path().join("busy"), "").unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stop/kernels.py");
    let mut words = vec!["--mode", "shell", "--", python, script, "jupyter", job.word(), token];
    words.extend(certificate);
    let running = job.launch_words(Place::Aside, &words).env("JUPYTER_RUNTIME_DIR", job.word()).spawn();
    (job, running)
}
