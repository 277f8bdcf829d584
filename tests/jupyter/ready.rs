//! The line that tells once that a build mode's server answers, or that it does not.

use crate::lab::Lab;
use crate::support::look::{children, until_true};
use crate::support::{Running, has};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::path::Path;

/// A machine with a mode `web` of its own: this command, kind, port and way to see that the server is ready.
fn web(command: &str, kind: &str, ready: &str) -> Lab {
    let lab = Lab::with_programs(Path::new("/usr/bin"));
    let (port, policy) = (lab.port, lab.path("trainit.yaml"));
    let mode =
        format!("modes:\n  web:\n    command: {command}\n    kind: {kind}\n    port: {port}\n    ready: {ready}\n");
    std::fs::write(&policy, mode).unwrap();
    let policy = policy.to_str().unwrap().to_owned();
    lab.with("TRAINIT_CONFIG", &policy)
}

/// A server of Python's own that serves an empty directory.
const SERVER: &str = "[python3, -m, http.server, '{port}']";

/// The lines about a server that answers, or does not.
fn about_ready(err: &str) -> Vec<&str> {
    err.lines().filter(|line| line.contains("ready after")).collect()
}

/// Stops it, and returns everything that it has logged since the last look.
fn rest(running: Running) -> String {
    running.signal(Signal::SIGTERM as i32);
    running.finish().err
}

#[test]
fn a_server_that_answers_is_told_once_and_nothing_goes_on_waiting() {
    if !has("python3") {
        return;
    }
    for ready in ["/", "tcp"] {
        let lab = web(SERVER, "build", ready);
        let running = lab.start(&["web"]);
        let line = running.error_with("ready after");
        assert!(line.starts_with("trainit: ready after ") && line.ends_with(&told(&lab)), "{line}");
        let supervisor = running.supervisor();
        until_true("the workload alone", || children(supervisor).len() == 1);
        assert!(about_ready(&rest(running)).is_empty());
    }
}

fn told(lab: &Lab) -> String {
    format!(" s: http://localhost:{}/", lab.port)
}

#[test]
fn a_server_that_never_answers_is_told_once_with_the_reason_and_stays() {
    let lab = web("[sleep, '3600']", "build", "tcp").with("TRAINIT_READY_TIMEOUT", "300ms");
    let mut running = lab.start(&["web"]);
    let line = running.error_with("ready after");
    assert!(line.starts_with("trainit: not ready after 0."), "{line}");
    let why = format!(": port {}: no process listens there; `trainit health --ready` asks again", lab.port);
    assert!(line.ends_with(&why), "{line}");
    let supervisor = running.supervisor();
    until_true("the workload alone", || children(supervisor).len() == 1);
    assert!(running.is_alive());
    assert!(about_ready(&rest(running)).is_empty());
}

#[test]
fn a_server_that_ends_before_it_answers_is_no_more_told_and_ends_the_container() {
    let finished = web("[sh, -c, 'exit 3']", "build", "/").launch(&["web"]).finish();
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    assert!(about_ready(&finished.err).is_empty(), "{}", finished.err);
}

#[test]
fn nothing_is_told_of_a_training_where_it_is_off_and_where_another_server_has_the_port() {
    if !has("python3") {
        return;
    }
    let silent = |lab: Lab| {
        let mut running = lab.start(&["web"]);
        lab.is_ready(&mut running);
        let supervisor = running.supervisor();
        until_true("the workload alone", || children(supervisor).len() == 1);
        let err = running.errors_so_far().join("\n") + &rest(running);
        assert!(about_ready(&err).is_empty(), "{err}");
        err
    };
    silent(web(SERVER, "train", "/"));
    silent(web(SERVER, "build", "/").with("TRAINIT_READY_TIMEOUT", "off"));
    let lab = web("[sleep, '3600']", "build", "tcp");
    let _taken = TcpListener::bind(("127.0.0.1", lab.port)).unwrap();
    let line = format!("port {} is taken already: pid {} (", lab.port, std::process::id());
    assert!(silent(lab).contains(&line));
}
