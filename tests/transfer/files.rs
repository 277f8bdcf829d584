//! The local end: disks that are full, files that are not there; and the end of the process.

use super::support::look::until_true;
use super::support::object_stores::transfer;
use super::{FailureKind, Start, Task, kind, noise};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn a_disk_that_is_full_is_told_as_that() {
    let Some(mut program) = Start::default().run() else { return };
    let source = program.home.path().join("source");
    std::fs::write(&source, noise(1000)).unwrap();
    let url = format!("file://{}", source.display());
    let failed = program.fetch(&url, None, 0..1000, std::path::Path::new("/dev/full")).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Full, "{failed:?}");
    let nowhere = program.fetch(&url, None, 0..1000, std::path::Path::new("/no/such/file"));
    assert_eq!(kind(nowhere), Some(FailureKind::Bad));
    let put = Task::Put { url, path: "none".into(), offset: 0, length: 1, only_new: false };
    assert_eq!(kind(program.call(put)), Some(FailureKind::Bad));
}

#[test]
fn a_file_that_changes_is_another_version() {
    let Some(mut program) = Start::default().run() else { return };
    let source = program.home.path().join("source");
    let url = format!("file://{}", source.display());
    std::fs::write(&source, "one").unwrap();
    let tag = program.head(&url).unwrap().tag;
    std::fs::write(&source, "three").unwrap();
    assert_eq!(kind(program.get(&url, Some(&tag), 0..3)), Some(FailureKind::Changed));
}

#[test]
fn it_ends_when_nobody_asks_and_when_nobody_listens() {
    let Some(program) = transfer() else { return };
    let start = || Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = start();
    writeln!(child.stdin.take().unwrap(), r#"{{"id":1,"do":"who","url":"file:///tmp"}}"#).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stdout.starts_with(br#"{"id":1,"done""#));
    let mut child = start();
    drop(child.stdout.take());
    let mut requests = child.stdin.take().unwrap();
    let _ = writeln!(requests, r#"{{"id":1,"do":"who","url":"file:///tmp"}}"#);
    until_true("the end of the program", || child.try_wait().unwrap().is_some());
}

#[test]
fn an_option_that_cannot_be_used_ends_it_with_words() {
    let Some(program) = transfer() else { return };
    for (words, expected) in [(["--parallel", "0"], "--parallel"), (["--ca", "/no/such.pem"], "/no/such.pem")] {
        let ended = Command::new(&program).args(words).stdin(Stdio::null()).output().unwrap();
        assert!(!ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains(expected), "{ended:?}");
    }
}
