//! Starts that bring data before their workload.

use crate::site::{Site, text};
use crate::support::look::{descendants, until, until_true};
use crate::support::{Place, can_unshare};
use std::fs;
use std::process::Command;

#[test]
fn a_workload_reads_what_was_brought_and_the_next_start_only_finds_it() {
    let site = Site::new();
    let file = site.data().join("train/7").display().to_string();
    let first = site.start(&["stat", "-c", "%s %a", &file]);
    assert_eq!((first.code, first.out.trim()), (Some(0), "5007 444"), "{}", first.err);
    assert!(first.err.contains(": brought") && first.err.contains("31 files, 50.1 MiB"), "{}", first.err);
    assert!(first.err.contains("entries") || first.err.contains("files"), "the path itself is checked: {}", first.err);
    site.assert_whole(&site.data());
    fs::rename(site.source(), site.path().join("gone")).unwrap();
    let second = site.start(&["cat", &file]);
    assert!(second.code == Some(0) && second.err.contains(": unchanged"), "{}", second.err);
}

#[test]
fn a_stop_ends_it_at_once_and_the_next_start_goes_on() {
    let place = if can_unshare() { Place::First } else { Place::Aside };
    let site = Site::new();
    let slow = site.launch(place, &["true"]).env("TRAINIT_STAGE_LIMIT", "4MiB").spawn();
    until("a part", || site.parts(&site.data()).first().cloned());
    // Some pieces are there before the stop comes.
    until("a piece", || {
        fs::metadata(site.parts(&site.data()).first()?.join("journal")).ok().filter(|found| found.len() > 80)
    });
    slow.signal(nix::libc::SIGTERM);
    let stopped = slow.finish();
    assert_eq!(stopped.code, Some(143), "{}", stopped.err);
    assert!(!site.data().join("big").exists() && site.parts(&site.data()).len() == 1);
    let next = site.start(&["true"]);
    assert_eq!(next.code, Some(0), "{}", next.err);
    site.assert_whole(&site.data());
    assert!(site.parts(&site.data()).is_empty());
}

#[test]
fn data_of_a_store_is_shown_to_be_in_use_as_long_as_the_workload_lives() {
    let site = Site::new();
    let store = site.path().join("store").display().to_string();
    for place in if can_unshare() { [Place::First, Place::Aside] } else { [Place::Aside, Place::Aside] } {
        let job = site.launch(place, &["sh", "-c", "echo runs; read never"]).env("TRAINIT_STAGE_STORE", &store);
        let mut command = job;
        command.command.stdin(std::process::Stdio::piped());
        let mut job = command.spawn();
        assert_eq!(job.line(), "runs");
        let keepers = || descendants(job.pid).into_iter().filter(|pid| comm(*pid) == "trainit-stage").count();
        until_true("one process that shows the use", || keepers() == 1);
        drop(job.stdin());
        let ended = job.finish();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(!ended.err.contains("left"), "its end is the workload's: {}", ended.err);
    }
}

fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
fn the_state_tells_how_much_is_there() {
    let site = Site::new();
    let base = site.path().join("state");
    fs::create_dir(&base).unwrap();
    let base = base.display().to_string();
    let slow = site.launch(Place::Aside, &["true"]).env("TRAINIT_STAGE_LIMIT", "4MiB").env("TRAINIT_STATE_DIR", &base);
    let slow = slow.spawn();
    let status = |words: &[&str]| {
        let found = Command::new("find").args([base.as_str(), "-name", "state.json"]).output().unwrap();
        let file = String::from_utf8_lossy(&found.stdout).lines().next()?.to_owned();
        let directory = file.strip_suffix("/state.json")?.to_owned();
        let output = site.command(&[words, &["--instance", &directory]].concat(), &[]);
        Some((output.status.code(), text(&output)))
    };
    let told =
        until("the bytes", || status(&["status"]).map(|told| told.1).filter(|told| told.contains("of 50.1 MiB")));
    assert!(told.contains("phase      staging"), "{told}");
    assert_eq!(status(&["health", "--live"]).unwrap().0, Some(0));
    assert_eq!(status(&["health", "--ready"]).unwrap().0, Some(1));
    slow.signal(nix::libc::SIGTERM);
    assert_eq!(slow.code(), 143);
}

#[test]
fn with_part_each_node_brings_the_files_of_its_index() {
    let site = Site::new();
    let store = site.path().join("store").display().to_string();
    let files = |node: &str| {
        let wanted = format!("{}:part=node,from={}", site.data().display(), site.source().join("train").display());
        let variables = [("TRAINIT_DATA", &*wanted), ("TRAINIT_CLUSTER_NODE", node), ("TRAINIT_CLUSTER_NODES", "4")];
        let output = site.command(&["stage"], &[&variables[..], &[("TRAINIT_STAGE_STORE", &*store)]].concat());
        assert!(output.status.success(), "{}", text(&output));
        let names = fs::read_dir(site.data()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        names.collect::<Vec<String>>()
    };
    let parts = ["0", "1", "2", "3"].map(files);
    assert_eq!(parts.each_ref().map(Vec::len), [8, 8, 7, 7]);
    let mut all = parts.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 30);
}

#[test]
fn what_fails_is_told_with_a_code_and_what_to_type() {
    let site = Site::new();
    fs::create_dir(site.data()).unwrap();
    fs::write(site.data().join("mine"), "").unwrap();
    let taken = site.start(&["true"]);
    assert_eq!(taken.code, Some(111), "{}", taken.err);
    assert!(taken.err.contains("is not empty, and trainit has not filled it"), "{}", taken.err);
    fs::remove_file(site.data().join("mine")).unwrap();
    let with = |name: &str, value: &str| site.launch(Place::Aside, &["true"]).env(name, value).finish();
    let wrong = with("TRAINIT_DATA", &format!("/d:from={}/sourc", site.path().display()));
    assert!(wrong.code == Some(111) && wrong.err.contains("beside it: data, source"), "{}", wrong.err);
    let late =
        site.launch(Place::Aside, &["true"]).env("TRAINIT_STAGE_LIMIT", "1MiB").env("TRAINIT_STAGE_TIMEOUT", "3s");
    let late = late.finish();
    assert_eq!(late.code, Some(211), "{}", late.err);
    assert!(late.err.contains("stage.timeout") && late.err.contains("of 50.1 MiB"), "{}", late.err);
    let secret = with("TRAINIT_DATA", "/d:from=https://me:t0psecret@host/x");
    assert!(secret.code == Some(78) && !secret.err.contains("t0psecret"), "{}", secret.err);
    let other = with("TRAINIT_DATA", "/d:from=nas:/export");
    assert!(other.code == Some(111) && other.err.contains("TRAINIT_STAGE_COMMAND"), "{}", other.err);
}

#[test]
fn a_file_that_comes_with_the_code_cannot_have_data_brought() {
    let site = Site::new();
    let code = site.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("trainit.yaml"), format!("data: ['/d:from={}']\n", site.source().display())).unwrap();
    let code = code.display().to_string();
    let refused = site.launch(Place::Aside, &["true"]).env("TRAINIT_CODE_PATH", &code).env("TRAINIT_DATA", "").finish();
    assert_eq!(refused.code, Some(78), "{}", refused.err);
    assert!(refused.err.contains("may not say from where data is brought"), "{}", refused.err);
}
