//! `trainit stage`: the step alone, killed, repeated, by many at once, and what it says.

use crate::site::{Site, text};
use crate::support::TRAINIT;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn code(site: &Site, words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = site.command(words, variables);
    (output.status.code().unwrap_or(-1), text(&output))
}

#[test]
fn the_step_alone_says_what_it_would_do_does_it_and_says_what_is_there() {
    let site = Site::new();
    let store = site.path().join("store").display().to_string();
    let with = [("TRAINIT_STAGE_STORE", store.as_str())];
    let (planned, words) = code(&site, &["stage", "--dry-run"], &with);
    assert!(planned == 0 && words.contains("31 files, 50.1 MiB would be brought"), "{words}");
    assert!(!site.data().exists());
    assert_eq!(code(&site, &["stage", "status"], &with).0, 1);
    assert_eq!(code(&site, &["stage"], &with).0, 0);
    site.assert_whole(&fs::canonicalize(site.data()).unwrap());
    let (there, words) = code(&site, &["stage", "status"], &with);
    assert!(there == 0 && words.contains("unchanged") && words.contains("stage.store: "), "{words}");
    assert_eq!(code(&site, &["stage", "/nowhere"], &with).0, 64);
    let (pruned, words) = code(&site, &["stage", "prune", "--unused", "0s", "--dry-run"], &with);
    assert!(pruned == 0 && words.contains("would be removed"), "{words}");
    assert_eq!(code(&site, &["stage", "prune", "--unused", "0s"], &with).0, 0);
    assert_eq!(code(&site, &["stage", "status"], &with).0, 1);
    assert!(fs::read_dir(&store).unwrap().next().is_none_or(|_| site.parts(store.as_ref()).is_empty()));
}

#[test]
fn a_process_that_is_killed_anywhere_leaves_nothing_to_read_and_the_next_one_ends_it() {
    let site = Site::new();
    let store = site.path().join("store").display().to_string();
    let start = || {
        let mut command = Command::new(TRAINIT);
        command.arg("stage").env("TRAINIT_DATA", site.wanted()).env("TRAINIT_STAGE_STORE", &store).current_dir("/");
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    // Moments that fall anywhere between the begin and the end, on a fast machine and on a slow one.
    for moment in [5u64, 20, 40, 80, 120, 200, 300] {
        let mut child = start();
        std::thread::sleep(Duration::from_millis(moment));
        let _ = child.kill();
        let _ = child.wait();
        if let Ok(data) = fs::canonicalize(site.data()) {
            site.assert_whole(&data);
        }
    }
    assert!(start().wait().unwrap().success());
    site.assert_whole(&fs::canonicalize(site.data()).unwrap());
    assert!(site.parts(store.as_ref()).is_empty());
}

#[test]
fn of_many_starts_one_brings_it_and_all_have_it() {
    let site = Site::new();
    let store = site.path().join("store").display().to_string();
    let start = |n: usize| {
        let data = format!("{}/data{n}:from={}", site.path().display(), site.source().display());
        let mut command = Command::new(TRAINIT);
        command.arg("stage").env("TRAINIT_DATA", data).env("TRAINIT_STAGE_STORE", &store).current_dir("/");
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let begun = Instant::now();
    let all: Vec<_> = (0..16).map(start).collect();
    let ended: Vec<String> = all
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            text(&output)
        })
        .collect();
    assert_eq!(ended.iter().filter(|words| words.contains(": brought  ")).count(), 1, "{ended:#?}");
    assert!(begun.elapsed() < Duration::from_secs(60), "nobody waits for a dead one");
    (0..16).for_each(|n| site.assert_whole(&fs::canonicalize(site.path().join(format!("data{n}"))).unwrap()));
}
