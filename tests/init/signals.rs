//! Signals: each arrives once, at the right process, and the workload starts with what the caller had set.

use crate::support::look::{field, has_taken_over, signals, state, until_true};
use crate::support::{Launch, Place, Role, has, ways};
use std::collections::BTreeMap;
use std::ffi::c_int;

/// A Python program that counts the signals it gets, tells the numbers when it gets SIGUSR2, and ends with 0.
const COUNTER: &str = "
import os, signal, sys
counts, over = {}, False
def count(number, frame):
    global over
    counts[number] = counts.get(number, 0) + 1
    over = over or number == signal.SIGUSR2
    if 'TELL' in os.environ and not over: print('got', number, flush=True)
for number in map(int, sys.argv[1].split(',')):
    signal.signal(number, count)
print('up', flush=True)
while not over: signal.pause()
print(' '.join(f'{n}:{c}' for n, c in sorted(counts.items())), flush=True)
";

/// What the library's numbers leave out: KILL and STOP cannot be caught, CHLD is PID 1's own, 32 and 33 are the C library's.
fn forwardable() -> Vec<c_int> {
    (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(number)).collect()
}

fn counter(role: Role, place: Place, numbers: &[c_int]) -> Launch {
    let numbers: Vec<String> = numbers.iter().map(c_int::to_string).collect();
    Launch::of(role, place, &["--", "python3", "-c", COUNTER, &numbers.join(",")])
}

fn counts(line: &str) -> BTreeMap<c_int, u32> {
    let pair = |pair: &str| pair.split_once(':').map(|(n, c)| (n.parse().unwrap(), c.parse().unwrap())).unwrap();
    line.split_whitespace().map(pair).collect()
}

/// Sends, and waits until it is no longer pending anywhere: equal signals that are pending at once become one.
fn send_one(running: &crate::support::Running, number: c_int) {
    running.signal(number);
    let pending = |pid| ["SigPnd", "ShdPnd"].iter().any(|set| signals(pid, set) & 1 << (number - 1) != 0);
    let workload = running.workload();
    let all = [running.pid, running.supervisor(), workload];
    until_true("delivery", || !all.into_iter().any(pending));
}

#[test]
fn every_signal_that_can_be_passed_on_arrives_once() {
    if !has("python3") {
        return;
    }
    for (role, place) in ways() {
        let all = forwardable();
        // What these mean to `trainit run` in train mode is a stop.
        let stops = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGPWR, 37];
        let sent: Vec<c_int> = all.iter().copied().filter(|n| role == Role::Init || !stops.contains(n)).collect();
        let running = counter(role, place, &all).spawn();
        assert_eq!(running.line(), "up");
        for number in sent.iter().filter(|number| **number != libc::SIGUSR2) {
            send_one(&running, *number);
        }
        running.signal(libc::SIGUSR2);
        let expected: BTreeMap<c_int, u32> = sent.iter().map(|number| (*number, 1)).collect();
        assert_eq!(counts(&running.line()), expected, "{role:?} {place:?}");
        assert_eq!(running.code(), 0);
    }
}

#[test]
fn queued_real_time_signals_are_not_merged() {
    if !has("python3") {
        return;
    }
    // Python itself merges what arrives between two of its steps, so the kernel's own account is asked: a stopped process keeps all.
    for (role, place) in ways() {
        let running = counter(role, place, &[40, libc::SIGUSR2]).spawn();
        assert_eq!(running.line(), "up");
        let workload = running.workload();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(workload), nix::sys::signal::Signal::SIGSTOP).unwrap();
        until_true("stopped", || state(workload) == Some('T'));
        let before = queued(workload);
        for _ in 0..100 {
            running.signal(40);
        }
        until_true("100 in its queue", || queued(workload) == before + 100);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(workload), nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(running.code(), 137);
    }
}

/// How many signals wait for a user's processes: the first number of SigQ, which counts per user, so only differences mean anything.
fn queued(pid: c_int) -> u64 {
    field(pid, "SigQ").unwrap().split_once('/').unwrap().0.parse().unwrap()
}

#[test]
fn the_workload_starts_with_exactly_the_mask_and_the_ignored_signals_of_the_caller() {
    let cases: [(&[c_int], &[c_int]); 4] =
        [(&[], &[]), (&[], &[13]), (&[34, 50], &[17, 34, 64]), (&[15, 17, 32, 64], &[1, 2, 33])];
    for (role, place) in ways() {
        for (blocked, ignored) in cases {
            let finished =
                Launch::of(role, place, &["--", "cat", "/proc/self/status"]).signals(blocked, ignored).finish();
            let set = |name: &str| {
                let line = finished.out.lines().find(|line| line.starts_with(name)).unwrap();
                u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
            };
            let bits = |numbers: &[c_int]| numbers.iter().fold(0u64, |set, number| set | 1 << (number - 1));
            let found = (set("SigBlk"), set("SigIgn"), set("SigCgt"));
            assert_eq!(found, (bits(blocked), bits(ignored), 0), "{role:?} {place:?} {blocked:?} {ignored:?}");
        }
    }
}

#[test]
fn a_caller_that_ignores_the_end_of_children_does_not_take_the_exit_code_away() {
    for (role, place) in ways() {
        let finished = Launch::of(role, place, &["--", "sh", "-c", "exit 7"]).signals(&[], &[libc::SIGCHLD]).finish();
        assert_eq!(finished.code, Some(7), "{role:?} {place:?}: {}", finished.err);
    }
}

#[test]
fn job_control_signals_stop_and_continue_the_workload_and_never_pid_1() {
    for (role, place) in ways() {
        let running = Launch::of(role, place, &["--", "sh", "-c", "echo up; exec sleep 60"]).spawn();
        running.line();
        let workload = running.workload();
        until_true("sleep", || field(workload, "Name").as_deref() == Some("sleep"));
        for number in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            running.signal(number);
            until_true("stopped", || state(workload) == Some('T'));
            assert_ne!(state(running.pid), Some('T'), "{role:?} {place:?}");
            running.signal(libc::SIGCONT);
            until_true("continued", || state(workload) == Some('S'));
        }
        running.signal(libc::SIGTERM);
        assert_eq!(running.code(), 143);
    }
}

#[test]
fn a_signal_that_comes_before_there_is_a_child_is_not_lost() {
    for (role, place) in ways() {
        for _ in 0..20 {
            let running = Launch::of(role, place, &["--", "sleep", "60"]).spawn();
            until_true("taken over", || has_taken_over(running.pid));
            running.signal(libc::SIGTERM);
            assert_eq!(running.code(), 143, "{role:?} {place:?}");
        }
    }
}

#[test]
fn one_signal_becomes_another_or_nothing() {
    if !has("python3") {
        return;
    }
    let rewrites =
        ["-r", "TERM:USR1", "-r", "1:0", "-rSIGRTMIN+3:HUP", "--", "python3", "-c", COUNTER, "1,10,12,15,37"];
    for (role, place) in ways().into_iter().filter(|(role, _)| *role == Role::Init) {
        let running = Launch::of(role, place, &rewrites).spawn();
        running.line();
        for number in [libc::SIGTERM, libc::SIGHUP, 37] {
            send_one(&running, number);
        }
        let both = [running.pid, running.supervisor()];
        until_true("both were handed on", || both.iter().all(|pid| signals(*pid, "ShdPnd") == 0));
        running.signal(libc::SIGUSR2);
        assert_eq!(counts(&running.line()), BTreeMap::from([(1, 1), (10, 1), (12, 1)]));
    }
}

#[test]
fn a_group_is_signalled_as_a_whole_only_when_asked_for() {
    let script = "trap 'echo shell; exit 0' TERM; sh -c \"trap 'echo child; exit 0' TERM; echo up; while :; do sleep 0.01; done\" & \
                  while :; do sleep 0.01; done";
    for (flag, expected) in [("-g", vec!["child", "shell"]), ("-s", vec!["shell"])] {
        for (role, place) in ways().into_iter().filter(|(role, _)| *role == Role::Init) {
            let running = Launch::of(role, place, &[flag, "--grace", "20", "--", "sh", "-c", script]).spawn();
            running.line();
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            let mut told: Vec<&str> = finished.out.lines().take(expected.len()).collect();
            told.sort_unstable();
            assert_eq!((told, finished.code), (expected.clone(), Some(0)), "{flag} {place:?} {}", finished.err);
            // The orphan gets TERM once its parent is gone, and never twice.
            assert_eq!(finished.out.matches("child").count(), 1, "{flag} {}", finished.out);
        }
    }
}

#[test]
fn an_idle_supervisor_has_one_thread_and_never_wakes_up() {
    for (role, place) in ways() {
        let running = Launch::of(role, place, &["--", "sh", "-c", "echo up; exec sleep 60"]).spawn();
        running.line();
        let both = [running.pid, running.supervisor()];
        let switches = || both.map(|pid| field(pid, "voluntary_ctxt_switches").unwrap());
        // A second after the start PID 1 gives back what only the start needed; that is the last time.
        std::thread::sleep(std::time::Duration::from_millis(2000));
        let before = switches();
        std::thread::sleep(std::time::Duration::from_secs(3));
        assert_eq!(switches(), before, "{role:?} {place:?}");
        assert_eq!(field(running.supervisor(), "Threads").as_deref(), Some("1"));
    }
}

#[test]
fn a_signal_that_comes_while_preparing_waits_for_the_workloads_handler() {
    if !has("python3") {
        return;
    }
    for (role, place) in ways().into_iter().filter(|(role, _)| *role == Role::Run) {
        let dir = tempfile::tempdir().unwrap();
        let (hook, gate) = (dir.path().join("hook.sh"), dir.path().join("go"));
        std::fs::write(&hook, format!("until [ -e {} ]; do sleep 0.01; done", gate.display())).unwrap();
        let launch = counter(role, place, &[libc::SIGUSR1, libc::SIGUSR2]).env("TELL", "1");
        let running = launch.env("TRAINIT_HOOKS_BEFORE_START", hook.to_str().unwrap()).spawn();
        let workload = running.workload();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(workload), nix::sys::signal::Signal::SIGSTOP).unwrap();
        until_true("stopped", || state(workload) == Some('T'));
        assert_eq!(field(workload, "Name").as_deref(), Some("trainit"), "it passed the gate");
        running.signal(libc::SIGUSR1);
        let idle = |pid| signals(pid, "ShdPnd") == 0 && state(pid) == Some('S');
        until_true("received", || idle(running.pid) && idle(running.supervisor()));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(workload), nix::sys::signal::Signal::SIGCONT).unwrap();
        std::fs::write(&gate, "").unwrap();
        assert_eq!(running.line(), "up");
        assert_eq!(running.line(), "got 10", "{place:?}");
        running.signal(libc::SIGUSR2);
        assert_eq!(counts(&running.line()), BTreeMap::from([(libc::SIGUSR1, 1), (libc::SIGUSR2, 1)]), "{place:?}");
        assert_eq!(running.code(), 0);
    }
}
