//! A PID 1 that is late, as on a machine with more to do than it has processors: it is held right after its fork, and once more before
//! it looks for the first time who has ended. What it does, and in which order, must not depend on that.

use crate::support::late::run_late;
use crate::support::{Role, TRAINIT, can_unshare};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::Mutex;

/// So many are started at once. They sleep nearly all of the time.
const AT_ONCE: usize = 40;

fn trainit(role: Role, script: &str) -> Command {
    let mut command = Command::new(TRAINIT);
    command.arg(if role == Role::Init { "init" } else { "run" }).args(["--", "sh", "-c", script]).current_dir("/");
    command
}

fn code(output: &Output) -> Option<i32> {
    output.status.code().or(output.status.signal().map(|signal| -signal))
}

/// The same for many, some at a time; what did not end with its code.
fn run_all_late(commands: Vec<(Role, String, i32)>) -> Vec<String> {
    let (left, wrong) = (Mutex::new(commands), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some((role, script, expected)) = next else { return };
                    let Some(output) = run_late(trainit(role, &script), None) else { return };
                    if code(&output) != Some(expected) {
                        wrong.lock().unwrap().push(format!("{role:?} {script}: not {expected}: {output:?}"));
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn two_hundred_short_commands_keep_their_codes() {
    if !can_unshare() {
        return;
    }
    let command = |n: i32| {
        let role = if n % 2 == 0 { Role::Init } else { Role::Run };
        // Every fourth leaves something behind that does not hear TERM and outlives the hold.
        let leaves = if n / 2 % 2 == 0 { "" } else { "(trap '' TERM; sleep 1.5) >/dev/null 2>&1 & " };
        (role, format!("{leaves}exit {}", n % 100), n % 100)
    };
    assert_eq!(run_all_late((0..200).map(command).collect()), [""; 0]);
}

#[test]
fn what_hears_no_term_while_pid_1_is_late_costs_neither_the_code_nor_a_word() {
    if !can_unshare() {
        return;
    }
    for role in [Role::Init, Role::Run] {
        let script = "(trap '' TERM; sleep 2; sleep 1) & kill -9 $$";
        let Some(output) = run_late(trainit(role, script), None) else { return };
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), Some(137), "{role:?}: {words}");
        assert!(!words.contains("internal error"), "{role:?}: {words}");
    }
}

/// What the first instruction of a workload sees of PID 1: its directory, and then its descriptors.
const LOOK: &str = "readlink /proc/$PPID/cwd; for fd in /proc/$PPID/fd/*; do readlink $fd; done; true";

#[test]
fn from_its_first_instruction_on_a_workload_sees_a_pid_1_that_has_let_go() {
    if !can_unshare() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file: OwnedFd = File::create(directory.path().join("inherited")).unwrap().into();
    for role in [Role::Init, Role::Run] {
        let mut command = trainit(role, LOOK);
        command.current_dir(directory.path());
        let Some(output) = run_late(command, Some(&file)) else { return };
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(seen.lines().next(), Some("/"), "{role:?}: {output:?}");
        assert!(!seen.contains(directory.path().to_str().unwrap()), "{role:?}: {seen}");
    }
}
