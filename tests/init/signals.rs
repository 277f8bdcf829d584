//! Signals: each arrives once, at the right process, and the workload starts with what the caller had set.

use crate::support::look::{catches, field, signals, state, until_true};
use crate::support::{Launch, Place, Role, has, ways};
use std::collections::BTreeMap;
use std::ffi::c_int;

/// A Python program that counts the signals it gets, tells the numbers when it gets SIGUSR2, and ends with 0.
const COUNTER: &str = "
import signal, sys
counts, over = {}, False
def count(number, frame):
    global over
    counts[number] = counts.get(number, 0) + 1
    over = number == signal.SIGUSR2
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
    until_true("delivery", || !pending(running.pid) && !pending(workload));
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
