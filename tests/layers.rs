//! Holds the shape of docs/design.md: which room may know which, where `unsafe` may stand, how a file opens and how long it
//! gets. Reads the source as text (`layers/source.rs`); knows nothing of what the code does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "layers/source.rs"]
mod source;

use source::{File, files};
use std::collections::BTreeSet;

/// A file or directory directly below src/.
struct Room {
    name: &'static str,
    /// The rooms it may name with `crate::…`. All of them stand above it in the table, so there can be no circle.
    may: &'static [&'static str],
    /// The rule in words, for the message.
    why: &'static str,
}

const fn room(name: &'static str, may: &'static [&'static str], why: &'static str) -> Room {
    Room { name, may, why }
}

/// Lowest first.
const ROOMS: &[Room] = &[
    room("errno", &[], "what an errno means knows nobody"),
    room("exit", &["errno"], "the table of exit codes knows only what an errno means"),
    room("error", &["exit"], "an error is data that everything uses, so it knows only `exit`"),
    room(
        "handover",
        &[],
        "the handover is the only door between prepare and PID 1; both sides know it, it knows nobody",
    ),
    room("sys", &[], "raw system interfaces know nobody, so that PID 1 can use them without what is rich"),
    room("environment", &["sys"], "a list of variables knows where this process's own are, and nobody else"),
    room("show", &[], "how bytes become words knows nobody, so that every rich room may use it"),
    room("state", &["handover", "sys"], "PID 1 writes the state file: what PID 1 needs is never rich"),
    room("config", BASE, "the configuration knows the ground and nothing of what its values will do"),
    room("program", &["environment", "sys"], "running a program to its end says nothing of which program it is"),
    room(
        "hooks",
        &["errno", "exit", "error", "environment", "sys", "show", "config", "program"],
        "a hook is a file that runs; when, and what its failure means, is for others",
    ),
    room("cli", &["error", "exit", "config"], "the command line is plain data and decides nothing"),
    room("engine", ABOVE_CONFIG, FAMILY),
    room("identity", ABOVE_CONFIG, FAMILY),
    room("git", &["environment"], "git's files are read as they are, whoever wants to know"),
    room("gpu", ABOVE_CONFIG, FAMILY),
    room("checkpoint", ABOVE_CONFIG, FAMILY),
    room("check", ABOVE_ENGINE, FAMILY),
    room("deps", WITH_ENGINE, FAMILY),
    room("mode", WITH_CLI, "modes decide from words and settings; checks, dependencies and PID 1 are not theirs"),
    room("report", WITH_FINDINGS, "the report turns findings into words and does nothing else"),
    room(
        "supervise",
        &["errno", "exit", "handover", "environment", "sys", "show", "state"],
        "PID 1 stays boring: no YAML, no clap, no checks; what it must know comes through the handover",
    ),
    room("prepare", EVERYTHING, "prepare may know all but what is called by people"),
    room("command", WITH_PREPARE, "sub-commands may know all but PID 1's inside"),
    room("errand", EVERYTHING, "an errand is rich; it runs in a child of PID 1"),
    room(
        "role",
        &["sys", "state", "supervise", "prepare", "command", "errand"],
        "the first decision: who this process is, nothing else",
    ),
    room("main", &["role"], "the C entry point calls `role`"),
    room("lib", &[], "the crate's root only names the rooms"),
];

const FAMILY: &str =
    "families know the configuration and the ground, never each other: what they share belongs below them";
const BASE: &[&str] = &["errno", "exit", "error", "handover", "environment", "sys", "show"];
const ABOVE_CONFIG: &[&str] = &["errno", "exit", "error", "handover", "environment", "sys", "show", "config"];
const WITH_ENGINE: &[&str] =
    &["errno", "exit", "error", "handover", "environment", "sys", "show", "config", "engine", "program"];
const ABOVE_ENGINE: &[&str] = &[
    "errno",
    "exit",
    "error",
    "handover",
    "environment",
    "sys",
    "show",
    "config",
    "engine",
    "git",
    "gpu",
    "identity",
    "checkpoint",
];
const WITH_CLI: &[&str] = &[
    "errno",
    "exit",
    "error",
    "handover",
    "environment",
    "sys",
    "show",
    "config",
    "program",
    "cli",
    "engine",
    "identity",
];
const WITH_FINDINGS: &[&str] = &[
    "errno",
    "exit",
    "error",
    "handover",
    "environment",
    "sys",
    "show",
    "state",
    "config",
    "engine",
    "check",
    "checkpoint",
];
const EVERYTHING: &[&str] = &[
    "errno",
    "exit",
    "error",
    "handover",
    "environment",
    "sys",
    "show",
    "state",
    "config",
    "program",
    "hooks",
    "cli",
    "engine",
    "identity",
    "git",
    "gpu",
    "checkpoint",
    "check",
    "deps",
    "mode",
    "report",
    "supervise",
];

const WITH_PREPARE: &[&str] = &[
    "errno",
    "exit",
    "error",
    "handover",
    "environment",
    "sys",
    "show",
    "state",
    "config",
    "cli",
    "engine",
    "identity",
    "git",
    "gpu",
    "checkpoint",
    "check",
    "deps",
    "mode",
    "report",
    "supervise",
    "prepare",
];

/// What PID 1 is made of, and the crates and words that it may not have.
const PID_1: &[&str] = &["errno", "exit", "handover", "environment", "show", "state", "supervise"];
const CRATES_OF_PID_1: &[&str] = &["humantime", "libc", "nix", "postcard", "serde", "serde_json"];
const NOT_IN_PID_1: &[(&str, &str)] = &[
    ("std::thread", "PID 1 has one thread: fork and setresuid rely on it"),
    ("process::Command", "PID 1 forks and reaps with its own hands; std's Child would race with waitpid(-1)"),
    ("std::net", "PID 1 talks to nobody"),
    ("thread::sleep", "PID 1 waits where a signal wakes it (supervise/sleep.rs)"),
];

/// Longest file, without its tests, comments and blank lines (as clippy counts functions).
const LINES: usize = 400;

fn rule(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// Panics with all complaints at once: a person mends them together.
fn report(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_table_points_downward_only() {
    report(ROOMS.iter().enumerate().flat_map(|(at, room)| {
        let above = room.may.iter().filter(move |name| !ROOMS[..at].iter().any(|lower| lower.name == **name));
        above.map(|name| format!("`{}` may know `{name}`, which does not stand above it in ROOMS", room.name))
    }));
}

#[test]
fn every_room_has_its_rule_and_knows_only_what_it_may() {
    report(files().iter().flat_map(complaints_about_names));
}

fn complaints_about_names(file: &File) -> Vec<String> {
    let Some(room) = rule(&file.room) else {
        return vec![format!("src/{}: the room `{}` has no row in ROOMS of tests/layers.rs", file.path, file.room)];
    };
    let named =
        file.rooms_named().into_iter().filter(|(_, name)| *name != file.room && !room.may.contains(&name.as_str()));
    named
        .map(|(line, name)| format!("src/{}:{line}: `{}` may not know `{name}`: {}", file.path, room.name, room.why))
        .collect()
}

#[test]
fn nobody_leaves_a_room_through_super() {
    report(files().iter().flat_map(|file| {
        let line = |line| {
            format!("src/{}:{line}: `super` leaves the room; write `crate::…`, so that the rules see it", file.path)
        };
        file.supers_out_of_the_room().into_iter().map(line)
    }));
}

#[test]
fn pid_1_is_made_of_few_crates_and_one_thread() {
    let crates = dependencies();
    report(files().iter().filter(|file| PID_1.contains(&file.room.as_str())).flat_map(|file| {
        let rich = crates.iter().filter(|name| !CRATES_OF_PID_1.contains(&name.as_str()));
        let rich = rich
            .flat_map(|name| file.lines_with(&format!("{name}::")).into_iter().map(move |line| (line, name.clone())));
        let rich = rich.map(|(line, name)| format!("src/{}:{line}: `{name}` is too rich for PID 1", file.path));
        let words =
            NOT_IN_PID_1.iter().flat_map(|(word, why)| file.lines_with(word).into_iter().map(move |line| (line, why)));
        let words = words.map(|(line, why)| format!("src/{}:{line}: {why}", file.path));
        rich.chain(words).collect::<Vec<_>>()
    }));
}

/// The names of the crates that the shipped binary is made of, as they stand in code.
fn dependencies() -> BTreeSet<String> {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_"));
    names.collect()
}

#[test]
fn unsafe_stands_below_src_sys_only() {
    let outside = files().into_iter().filter(|file| file.room != "sys");
    report(outside.flat_map(|file| {
        let lines = [file.lines_with("unsafe"), file.lines_with("allow(unsafe_code")].concat();
        let path = file.path;
        lines
            .into_iter()
            .map(move |line| format!("src/{path}:{line}: `unsafe` belongs into src/sys, behind a safe function"))
    }));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = files().into_iter().filter(|file| !file.text.starts_with("//! "));
    report(
        silent.map(|file| format!("src/{}: a file opens with `//!`: what it is for, what it may not know", file.path)),
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    let code = |file: &File| file.shipped.lines().filter(|line| !line.trim().is_empty()).count();
    let long = files().into_iter().map(|file| (code(&file), file)).filter(|(count, _)| *count > LINES);
    report(long.map(|(count, file)| {
        format!("src/{}: {count} lines of code; above {LINES} a file holds two nouns", file.path)
    }));
}
