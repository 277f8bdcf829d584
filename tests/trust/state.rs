//! State directories, `health` and `status` beside users who put things where readers look, and a base where others may rename.

use crate::cases::Case;
use crate::harness::{Container, docker, wait_for};
use std::process::Output;

/// What another user says of a living process of its own, as a supervisor would: `$n` is the directory's name.
const OWN: &str = "sleep 300 >/dev/null 2>&1 </dev/null & ns=$(readlink /proc/self/ns/pid | tr -dc 0-9); start=$(cut -d' ' -f22 /proc/$!/stat); \
                   n=$ns-$!-$start; d=/tmp/trainit-2000/$n; mkdir -p $d; \
                   sed \"s/\\\"supervisor\\\":{[^}]*}/\\\"supervisor\\\":{\\\"pid\\\":$!,\\\"start\\\":$start}/\" $state >$d/state.json";

/// A container in which root supervises user 1000, and whose state is there.
fn running(case: &Case) -> Option<Container> {
    let container = case.run("", &["sleep", "300"])?.start();
    let ready = || container.exec(&["trainit", "health"]).status.success().then_some(());
    wait_for("readiness", ready, || container.text());
    Some(container)
}

/// Runs a script as user 2000, with root's state as `$state` and the name of its directory as `$n`.
fn as_other(container: &Container, script: &str) {
    let script = format!("set -e; state=$(ls /run/trainit-0/*/state.json); n=$(basename $(dirname $state)); {script}");
    let output = docker(["exec", "-u", "2000", &container.name, "sh", "-c", &script]);
    assert!(output.status.success(), "{script}: {output:?}");
}

/// `timeout` ends with 124 what hangs.
fn health(container: &Container) -> (Option<i32>, String) {
    let output = container.exec(&["timeout", "5", "trainit", "health"]);
    (output.status.code(), text(&output))
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn nothing_that_another_user_puts_there_changes_the_answer_of_health() {
    let case = Case::new();
    let Some(container) = running(&case) else { return };
    for planted in [
        "mkdir -p /tmp/trainit-x/$n; mkfifo /tmp/trainit-x/$n/state.json",
        "mkdir -p /tmp/trainit-2000/$n; mkfifo /tmp/trainit-2000/$n/state.json",
        "rm -r /tmp/trainit-x /tmp/trainit-2000; mkdir -p /tmp/trainit-x/$n; cp $state /tmp/trainit-x/$n",
        "mkdir -p /dev/shm/trainit-0/$n; cp $state /dev/shm/trainit-0/$n",
        "mkdir -p /tmp/trainit-2000; ln -s /dev/zero /tmp/trainit-2000/$n",
        OWN,
    ] {
        as_other(&container, planted);
        let (code, told) = health(&container);
        assert_eq!(code, Some(0), "{planted}: {told}");
        assert!(told.contains("sleep 300"), "{planted}: {told}");
    }
    let status = container.exec(&["trainit", "status"]);
    assert!(text(&status).contains("/run/trainit-0/"), "{status:?}");
}

#[test]
fn what_a_named_state_says_reaches_no_terminal_as_it_is() {
    let case = Case::new();
    let Some(container) = running(&case) else { return };
    let escapes = r"mkdir -p /tmp/x/$n; sed 's/sleep 300/\\u001b[31m\\u009b2Jred/' $state >/tmp/x/$n/state.json";
    as_other(&container, escapes);
    for words in ["status", "status --json", "health", "checkpoint"] {
        let script = format!("trainit {words} --instance /tmp/x/*");
        let told = text(&container.exec(&["sh", "-c", &script]));
        let bad: Vec<char> = told.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(bad.is_empty(), "{words}: {told:?}");
        assert!(words == "checkpoint" || told.contains("red"), "{words}: {told}");
    }
}

#[test]
fn root_writes_no_state_where_the_workload_may_put_a_link_in_its_place() {
    let case = Case::new();
    case.directory("run", 0o777);
    case.write("target", "of root", 0, 0o600);
    let swap = "base=$(dirname $(dirname $TRAINIT_RUN_DIR)); n=$(basename $TRAINIT_RUN_DIR); \
                until [ -e $TRAINIT_RUN_DIR/state.json ]; do sleep 0.05; done; \
                mv $base/trainit-0 $base/old && mkdir -p $base/trainit-0/$n && ln -s /target $base/trainit-0/$n/state.new; \
                echo done in $base; sleep 300 & wait";
    let base = case.path("");
    let mounts = format!("-v {0}/run:/run -v {0}/target:/target", base.display());
    let Some(run) = case.run(&mounts, &["sh", "-c", swap]) else { return };
    let container = run.start();
    container.wait_for_text("done in /dev/shm");
    container.stop(3);
    assert_eq!(case.read("target"), ("of root".to_owned(), 0o600));
}

#[test]
fn where_every_base_is_everybodys_root_goes_without_a_state_and_says_why() {
    let case = Case::new();
    ["run", "shm", "tmp"].iter().for_each(|name| case.directory(name, 0o777));
    let base = case.path("");
    let mounts = format!("-v {0}/run:/run -v {0}/shm:/dev/shm -v {0}/tmp:/tmp", base.display());
    let Some(run) = case.run(&mounts, &["id", "-u"]) else { return };
    run.finish().expect_code(0).expect_text(&["1000\n", "no state directory", "no sticky bit"]);
}
