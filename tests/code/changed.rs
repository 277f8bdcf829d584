//! Somebody's work in the directory that trainit filled is never lost, and never trained on by mistake.

use crate::bench::{Bench, git};
use std::fs;

const TRAIN: [&str; 3] = ["--", "python3", "train.py"];
const SHELL: [&str; 4] = ["--mode", "shell", "--", "true"];

#[test]
fn a_changed_file_is_kept_in_a_session_and_refused_in_training() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
    fs::write(bench.code().join("train.py"), "print('mine')\n").unwrap();
    bench.publish("train.py", "print('newer')\n");
    let session = bench.start_here("", &SHELL).finish();
    assert_eq!(session.code, Some(0), "{}", session.err);
    assert!(session.err.contains("1 file changed (train.py)"), "{}", session.err);
    let refused = bench.start_here("", &TRAIN).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("1 file changed (train.py)"), "{}", refused.err);
    assert_eq!(fs::read_to_string(bench.code().join("train.py")).unwrap(), "print('mine')\n");
}

#[test]
fn commits_of_their_own_are_kept_as_well() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
    fs::write(bench.code().join("train.py"), "print('mine')\n").unwrap();
    git(&bench.code(), "commit -q -a -m mine");
    let mine = bench.head();
    let refused = bench.start_here("", &TRAIN).finish();
    assert_eq!((refused.code, bench.head()), (Some(112), mine.clone()), "{}", refused.err);
    assert!(refused.err.contains(&format!("{} is checked out", &mine[..12])), "{}", refused.err);
}

#[test]
fn files_that_the_repository_does_not_know_stay() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
    fs::write(bench.code().join("notes"), "mine").unwrap();
    bench.publish("train.py", "print('newer')\n");
    assert_eq!(bench.start_here("", &TRAIN).finish().out, "newer\n");
    bench.publish("notes", "theirs");
    let refused = bench.start_here("", &TRAIN).finish();
    assert_eq!(refused.code, Some(112), "{}", refused.err);
    assert!(refused.err.contains("files that are not committed are in the way"), "{}", refused.err);
    assert_eq!(fs::read_to_string(bench.code().join("notes")).unwrap(), "mine");
    // Once the file is out of the way, nothing else keeps the start.
    fs::remove_file(bench.code().join("notes")).unwrap();
    assert_eq!(bench.start_here("", &TRAIN).finish().code, Some(0));
}
