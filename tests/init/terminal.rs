//! Terminals: what a person types reaches the job in front, with trainit as PID 1 above a shell and below one.

use crate::support::look::{children, field, state, until, until_true};
use crate::support::pty::{self, Pty};
use crate::support::{Launch, Place, Role, Running, TRAINIT, has, ways};
use std::process::Command;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";

/// trainit at a terminal of its own.
fn at_terminal(role: Role, place: Place, words: &[&str]) -> (Pty, Running) {
    let (person, terminal) = pty::open();
    let launch = Launch::of(role, place, words).before_exec(pty::sit_at(&terminal));
    let running = launch.env("PS1", "ready> ").env("TERM", "dumb").spawn();
    (person, running)
}

/// A child once it has become this program: before that a shell's child may still ignore what is typed.
fn child_named(parent: i32, name: &str) -> i32 {
    until(name, || children(parent).into_iter().find(|pid| field(*pid, "Name").as_deref() == Some(name)))
}

/// The process that supervises below a trainit that is not PID 1.
fn supervisor_of(trainit: i32) -> i32 {
    until("a supervisor", || children(trainit).first().copied())
}

/// An interactive bash at a terminal, for trainit below it.
fn below_bash() -> (Pty, Running) {
    let (person, terminal) = pty::open();
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "ready> ").env("TERM", "dumb").env("T", TRAINIT);
    command.env_remove("PROMPT_COMMAND");
    let running = Launch::with(command, Place::Aside).before_exec(pty::sit_at(&terminal)).spawn();
    person.shows("ready> ");
    (person, running)
}

#[test]
fn a_shell_has_job_control_as_below_any_terminal() {
    if !has("bash") {
        return;
    }
    for (role, place) in ways() {
        let (person, running) = at_terminal(role, place, &["--", "bash", "--norc", "--noprofile", "-i"]);
        person.shows("ready> ");
        assert!(!person.screen().contains("no job control"), "{}", person.screen());
        person.types("sleep 60\n");
        let shell = running.workload();
        let job = child_named(shell, "sleep");
        person.foreground_is(job);
        person.types(CTRL_C);
        person.shows("ready> ");
        person.types("echo code=$?\n");
        person.shows("code=130");
        person.types("sleep 60\n");
        let job = child_named(shell, "sleep");
        person.foreground_is(job);
        person.types(CTRL_Z);
        person.shows("Stopped");
        until_true("stopped", || state(job) == Some('T'));
        person.types("bg\n");
        until_true("in the background", || state(job) == Some('S'));
        person.foreground_is(shell);
        person.types("fg\n");
        person.foreground_is(job);
        person.types(CTRL_C);
        person.shows("ready> ");
        person.resize(33, 77);
        person.types("stty size\n");
        person.shows("33 77");
        person.types("exit 3\n");
        assert_eq!(running.code(), 3, "{role:?} {place:?}");
    }
}

#[test]
fn the_window_size_is_told_to_the_workload() {
    for (role, place) in ways() {
        let script = "trap 'echo size $(stty size)' WINCH; echo be''gun; while :; do sleep 0.05; done";
        let (person, _running) = at_terminal(role, place, &["--", "sh", "-c", script]);
        person.shows("begun");
        person.resize(20, 90);
        person.shows("size 20 90");
    }
}

#[test]
fn ctrl_c_reaches_the_workload_once() {
    for (role, place) in ways() {
        let script = "trap 'echo $((40 + 2)) interrupts' INT; echo be''gun; while :; do sleep 0.05; done";
        let (person, running) = at_terminal(role, place, &["--", "sh", "-c", script]);
        person.shows("begun");
        person.foreground_is(running.workload());
        person.types(CTRL_C);
        person.shows("42 interrupts");
        running.signal(libc::SIGUSR1); // ends the shell, after whatever else was on its way
        assert_eq!(running.code(), 128 + libc::SIGUSR1);
        assert_eq!(person.screen().matches("42 interrupts").count(), 1, "{role:?} {place:?}");
    }
}

#[test]
fn below_a_shell_ctrl_z_suspends_all_of_it_and_fg_brings_it_back() {
    if !has("bash") {
        return;
    }
    let (person, running) = below_bash();
    for role in ["init --", "run"] {
        person.types(&format!("$T {role} sleep 60\n"));
        let trainit = until("trainit", || children(running.pid).first().copied());
        let workload = child_named(supervisor_of(trainit), "sleep");
        person.foreground_is(workload);
        for _ in 0..3 {
            person.types(CTRL_Z);
            person.shows("Stopped");
            until_true("both are stopped", || state(trainit) == Some('T') && state(workload) == Some('T'));
            person.foreground_is(running.pid);
            person.types("fg\n");
            until_true("both go on", || state(trainit) == Some('S') && state(workload) == Some('S'));
            person.foreground_is(workload);
        }
        person.types(CTRL_C);
        person.shows("ready> ");
        person.types("echo code=$?\n");
        person.shows("code=130");
    }
}

#[test]
fn continued_in_the_background_it_gets_the_terminal_when_it_comes_to_the_front() {
    if !has("bash") {
        return;
    }
    let (person, running) = below_bash();
    person.types("$T init -- cat\n");
    let trainit = until("trainit", || children(running.pid).first().copied());
    let workload = child_named(supervisor_of(trainit), "cat");
    person.foreground_is(workload);
    person.types(CTRL_Z);
    person.shows("Stopped");
    person.shows("ready> ");
    person.types("bg\n");
    // The next prompt comes after the CONT: a stop that is seen from here on is a new one.
    person.shows("ready> ");
    // It reads, which nobody in the background may: job control stops it again, and trainit with it.
    until_true("stopped", || state(workload) == Some('T') && state(trainit) == Some('T'));
    person.types("fg\n");
    person.foreground_is(workload);
    person.types("back in front\n");
    person.shows("back in front\r\nback in front");
    person.types(CTRL_D);
    person.shows("ready> ");
}

#[test]
fn started_in_the_background_it_gets_the_terminal_when_it_comes_to_the_front() {
    if !has("bash") {
        return;
    }
    let (person, running) = below_bash();
    person.types("$T init -- sh -c 'read word; echo got $word' &\n");
    let trainit = until("trainit", || children(running.pid).first().copied());
    let workload = child_named(supervisor_of(trainit), "sh");
    until_true("stopped", || state(workload) == Some('T') && state(trainit) == Some('T'));
    person.types("fg\n");
    person.foreground_is(workload);
    person.types("this\n");
    person.shows("got this");
}

#[test]
fn in_a_pipeline_the_others_keep_the_terminal() {
    if !has("bash") {
        return;
    }
    let (person, running) = below_bash();
    let reader = "cat > /dev/null; echo it re''ads; read word < /dev/tty; echo got $word";
    person.types(&format!("$T init -- sh -c 'echo data; sleep 0.2' | ({reader})\n"));
    person.shows("it reads");
    person.types("this\n");
    person.shows("got this");
    person.types("$T init -- sleep 60 | cat; echo over\n");
    let named = |name: &'static str| move |pid: &i32| field(*pid, "Name").as_deref() == Some(name);
    let trainit = until("trainit", || children(running.pid).into_iter().find(named("trainit")));
    let workload = child_named(supervisor_of(trainit), "sleep");
    until_true("it sleeps", || state(workload) == Some('S'));
    person.types(CTRL_C);
    person.shows("ready> ");
    person.types("jobs; echo none\n");
    person.shows("none");
    assert!(!person.screen().contains("Stopped"), "{}", person.screen());
}

#[test]
fn as_pid_1_nobody_could_continue_what_ctrl_z_stops_so_it_goes_on() {
    for (role, place) in ways().into_iter().filter(|(_, place)| *place == Place::First) {
        let (person, running) = at_terminal(role, place, &["--", "sh", "-c", "echo be''gun; exec cat"]);
        person.shows("begun");
        let workload = running.workload();
        until_true("cat", || field(workload, "Name").as_deref() == Some("cat"));
        person.types(CTRL_Z);
        person.types("still here\n");
        person.shows("still here\r\nstill here");
        person.foreground_is(workload);
        // Asked for from outside it stays stopped, until that is taken back.
        running.signal(libc::SIGTSTP);
        until_true("stopped", || state(workload) == Some('T'));
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(state(workload), Some('T'));
        running.signal(libc::SIGCONT);
        person.foreground_is(workload);
        person.types("and again\n");
        person.shows("and again\r\nand again");
        person.types(CTRL_D);
        assert_eq!(running.code(), 0, "{role:?}");
    }
}

#[test]
fn a_terminal_of_another_session_is_left_alone() {
    for (role, place) in ways() {
        let (person, terminal) = pty::open();
        let launch = Launch::of(role, place, &["--", "sh", "-c", "test -t 0 && exit 4"]).gives(&terminal, 0);
        assert_eq!(launch.finish().code, Some(4), "{role:?} {place:?}");
        assert_eq!(person.foreground(), 0);
    }
}
