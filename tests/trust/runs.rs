//! What a mount names as a program is never run by root, in no sub-command.

use crate::cases::{Case, PROOF};

/// Sub-commands, and a start, that look at what the code names.
const COMMANDS: [&[&str]; 8] = [
    &["deps", "status"],
    &["deps", "install"],
    &["check"],
    &["gpu"],
    &["env", "--json"],
    &["config", "show"],
    &["rehearse", "--after", "1s", "--", "python", "-c", "1"],
    &["run", "--", "python", "-c", "1"],
];

#[test]
fn the_interpreter_that_a_mount_names_runs_as_the_user_only() {
    let case = Case::new()
        .code("trainit.yaml", "deps: {python: /code/py}\ncode: {entry: train.py}\n")
        .code("requirements.txt", "six\n")
        .code("train.py", "print(1)\n")
        .code("py", PROOF);
    // An index that does not answer is asked for a minute each time.
    let variables = "-e TRAINIT_DEPS_REQUIREMENTS=off -e UV_NO_INDEX=1 -e PIP_NO_INDEX=1";
    let Some(container) = case.started(variables) else { return };
    for words in COMMANDS {
        container.exec(&[&["env", "-u", "TRAINIT_DEPS_REQUIREMENTS", "trainit"], words].concat());
        assert!(!case.proof().contains("uid 0"), "{words:?}: {}", case.proof());
    }
    assert!(case.proof().contains("uid 1000"), "nothing ran what the mount names: {}", case.proof());
}

#[test]
fn what_git_would_run_for_a_repository_is_not_run_by_root() {
    let proof = "#!/bin/sh\necho \"uid $(id -u)\" >>/code/proof\n";
    let case = Case::new().code("monitor", proof);
    std::fs::create_dir_all(case.path("code/.git/refs/heads")).expect("a directory");
    std::fs::create_dir_all(case.path("code/.git/objects")).expect("a directory");
    let config = "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = /code/monitor\n\tpager = /code/monitor\n";
    let case = case.code(".git/config", config).code(".git/HEAD", "ref: refs/heads/main\n");
    let Some(container) = case.started("") else { return };
    for words in [&["check"][..], &["env"], &["config", "show"]] {
        container.exec(&[&["trainit"], words].concat());
    }
    assert!(!case.proof().contains("uid 0"), "{}", case.proof());
}

#[test]
fn a_directory_of_hooks_that_a_mount_names_is_refused() {
    let case = Case::new().code("trainit.yaml", "hooks: {before_checks: [/code]}\n").code("hook.sh", PROOF);
    let Some(ended) = case.ended("", &["id"]) else { return };
    ended.expect_code(78).expect_text(&["a file that comes with the code may not set it"]);
    assert_eq!(case.proof(), "");
}
