//! A stop at every moment: while trainit starts, forks, prepares, executes, runs and ends. Each time the code is right and nobody is
//! left. The moments look like chance and are the same in every run.

use crate::support::look::{has_taken_over, with_word};
use crate::support::{Launch, Place, Role, ways};
use std::time::{Duration, Instant};

const TERM: i32 = libc::SIGTERM;

/// Runs it once, with a TERM after so many microseconds. The workload would end by itself after `natural`.
fn stopped_after(role: Role, place: Place, wait: Duration, words: &[&str], natural: i32) {
    let running = Launch::of(role, place, words).spawn();
    let begun = Instant::now();
    while begun.elapsed() < wait {
        std::hint::spin_loop();
    }
    // Before that moment nobody could do anything: a PID 1 loses the signal, an ordinary process dies of it.
    let taken_over = has_taken_over(running.pid);
    running.signal(TERM);
    let finished = running.finish();
    let right = match (finished.code, finished.signal) {
        (Some(143), _) => true,
        (Some(code), _) => code == natural,
        (None, signal) => !taken_over && place == Place::Aside && signal == Some(TERM),
    };
    assert!(right, "{role:?} {place:?} after {wait:?}: {finished:?}");
}

fn at_moments(role: Role, place: Place, count: u32, longest: u64) {
    if !ways().contains(&(role, place)) {
        return;
    }
    let name = format!("sleep-{role:?}-{place:?}");
    // Orphans, a subshell that does not wait, and a code of its own.
    let script = "(sleep 0.01; exit 3) & (sleep 0.02 & exit 0); wait; exit 9";
    let words = ["--", "sh", "-c", script, &name];
    let mut seed = 20_261_123u64;
    for _ in 0..count {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        stopped_after(role, place, Duration::from_micros((seed >> 33) % longest), &words, 9);
    }
    assert_eq!(with_word(&name), [0; 0], "{role:?} {place:?}");
}

#[test]
fn an_init_as_pid_1() {
    at_moments(Role::Init, Place::First, 400, 40_000);
}

#[test]
fn an_init_as_a_subreaper() {
    at_moments(Role::Init, Place::Aside, 400, 40_000);
}

#[test]
fn a_supervisor_as_pid_1() {
    at_moments(Role::Run, Place::First, 150, 150_000);
}

#[test]
fn a_supervisor_as_a_subreaper() {
    at_moments(Role::Run, Place::Aside, 150, 150_000);
}

#[test]
fn the_very_first_moments() {
    for (role, place) in ways() {
        let name = format!("first-{role:?}-{place:?}");
        let words = ["--", "sh", "-c", "exit 9", &name];
        for step in 0..200 {
            stopped_after(role, place, Duration::from_micros(step * 10), &words, 9);
        }
        assert_eq!(with_word(&name), [0; 0], "{role:?} {place:?}");
    }
}
