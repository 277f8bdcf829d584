//! `trainit init` in tini's place: its command line, its variables, its codes, and its names.

use crate::support::{Finished, Launch, Place, Role, TRAINIT, has, ways};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn named(name: &str, words: &[&str]) -> Finished {
    let mut command = Command::new(TRAINIT);
    command.arg0(name).args(words);
    Launch::with(command, Place::Aside).finish()
}

#[test]
fn by_name_it_is_an_init_wherever_it_lies() {
    for name in ["tini", "/sbin/docker-init", "/usr/bin/tini-static"] {
        let finished = named(name, &["--", "sh", "-c", "exit 9"]);
        assert_eq!((finished.code, finished.err.as_str()), (Some(9), ""), "{name}");
    }
    // Any other name is trainit itself.
    assert!(named("/trainit", &["true"]).err.contains("ok"));
}

#[test]
fn codes_can_be_taken_for_success() {
    let words = |words: &[&str]| named("tini", words).code;
    assert_eq!(words(&["-e", "143", "--", "sh", "-c", "kill -TERM $$"]), Some(0));
    assert_eq!(words(&["-e3", "-e", "4", "--", "sh", "-c", "exit 4"]), Some(0));
    assert_eq!(words(&["-e", "3", "--", "sh", "-c", "exit 4"]), Some(4));
}

#[test]
fn a_wrong_command_line_ends_with_1_and_says_why() {
    for words in [&["-x", "true"][..], &["-e", "256", "true"], &["-p", "NONE", "true"], &[], &["--"], &["-g"]] {
        let finished = named("tini", words);
        assert_eq!((finished.code, finished.err.is_empty()), (Some(1), false), "{words:?}");
    }
}

#[test]
fn help_version_and_licence_go_to_standard_output() {
    for (word, text) in
        [("-h", "COMMAND"), ("--help", "COMMAND"), ("--version", env!("CARGO_PKG_VERSION")), ("-l", "MIT")]
    {
        let finished = named("tini", &[word]);
        assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{word}");
        assert!(finished.out.contains(text), "{word}: {}", finished.out);
    }
}

#[test]
fn options_end_at_the_command_even_without_two_dashes() {
    for (role, place) in ways().into_iter().filter(|(role, _)| *role == Role::Init) {
        assert_eq!(Launch::of(role, place, &["sh", "-c", "exit 6"]).finish().code, Some(6));
        assert_eq!(Launch::of(role, place, &["-gsvvv", "sh", "-c", "exit 6"]).finish().code, Some(6));
    }
}

#[test]
fn reaped_orphans_are_told_when_asked_for() {
    for (role, place) in ways().into_iter().filter(|(role, _)| *role == Role::Init) {
        let script = "(sh -c 'exit 8' & exit 0); sleep 0.3";
        let told = Launch::of(role, place, &["-w", "--", "sh", "-c", script]).finish().err;
        assert!(told.contains("reaped orphan") && told.contains("exit code 8"), "{place:?} {told}");
        assert_eq!(Launch::of(role, place, &["--", "sh", "-c", script]).finish().err, "", "{place:?}");
    }
}

#[test]
fn the_variables_of_tini_are_understood() {
    let script = "trap 'exit 0' TERM; sh -c \"trap 'echo child; exit 0' TERM; echo up; while :; do sleep 0.01; done\" & \
                  while :; do sleep 0.01; done";
    let launch = Launch::of(Role::Init, Place::Aside, &["--", "sh", "-c", script]);
    let running =
        launch.env("TINI_KILL_PROCESS_GROUP", "").env("TINI_SUBREAPER", "").env("TINI_VERBOSITY", "3").spawn();
    running.line();
    running.signal(libc::SIGTERM);
    assert_eq!(running.line(), "child");
    assert_eq!(running.code(), 0);
}

#[test]
fn it_ends_with_its_own_parent_when_asked_to() {
    if !has("sh") {
        return;
    }
    let script = format!("{TRAINIT} init -p TERM -- sh -c 'echo $PPID; exec sleep 61.5' & read line; kill -KILL $$");
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let mut launch = Launch::with(command, Place::Aside);
    launch.command.stdin(std::process::Stdio::piped());
    let mut running = launch.spawn();
    let init: i32 = running.line().parse().unwrap();
    drop(running.stdin());
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));
    crate::support::look::until_true("its end", || !std::path::Path::new(&format!("/proc/{init}")).exists());
    assert_eq!(crate::support::look::with_word("61.5"), [0; 0]);
}
