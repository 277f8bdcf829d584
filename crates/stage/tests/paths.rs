//! Data from paths, as several starts want it: brought once, whole or not at all, and never over what others made.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test may")]

use stage::{
    How, Only, Part, Progress, Refresh, Source, StageError, StageEvent, StageRequest, Staged, TransferChoice, stage,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn request(source: &Path, target: &Path, store: Option<&Path>) -> StageRequest {
    StageRequest {
        target: target.to_owned(),
        source: Source::Path(source.to_owned()),
        part: None,
        only: Only::default(),
        store: store.map(Path::to_owned),
        store_size: None,
        refresh: Refresh::Never,
        read_only: true,
        parallel: 4,
        limit: None,
        timeout: Some(Duration::from_secs(300)),
        began: Instant::now(),
        transfer: TransferChoice::default(),
        command: Vec::new(),
        environment: std::env::vars_os().collect(),
        shared_room: None,
    }
}

fn run(request: &StageRequest) -> Result<Staged, StageError> {
    stage(request, &mut |_| true)
}

/// Makes a source with files, a link, an empty directory, a program and a file of several pieces.
fn source(directory: &Path) -> PathBuf {
    let source = directory.join("source");
    fs::create_dir_all(source.join("train/empty")).unwrap();
    (0..40).for_each(|n| fs::write(source.join(format!("train/{n}.jpg")), vec![n as u8; 1000 + n]).unwrap());
    let big: Vec<u8> = (0..40u32 << 20).map(|n| (n ^ (n >> 8)) as u8).collect();
    fs::write(source.join("big.bin"), big).unwrap();
    fs::write(source.join("zero"), "").unwrap();
    fs::write(source.join("tool.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(source.join("tool.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("train/1.jpg", source.join("link")).unwrap();
    source
}

/// Every path below a directory with its bytes, or with its link; trainit's own files apart.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut all, mut open) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(directory).unwrap().to_owned();
            if name.to_string_lossy().starts_with(".trainit-") {
                continue;
            }
            if kind.is_dir() {
                all.insert(name, b"directory".to_vec());
                open.push(path);
            } else if kind.is_symlink() {
                all.insert(name, fs::read_link(path).unwrap().into_os_string().into_encoded_bytes());
            } else {
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_volume_is_filled_sealed_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (source(dir.path()), dir.path().join("data"));
    fs::create_dir_all(target.join("lost+found")).unwrap();
    assert_eq!(run(&request(&source, &target, None)).unwrap().how, How::Brought);
    fs::remove_dir(target.join("lost+found")).unwrap();
    assert!(contents(&target) == contents(&source));
    let modes = ["zero", "tool.sh", "train", "train/empty"].map(|name| mode(&target.join(name)));
    assert_eq!(modes, [0o444, 0o555, 0o555, 0o555]);
    let time = |path: &Path| fs::metadata(path).unwrap().mtime_nsec();
    assert_eq!(time(&target.join("big.bin")), time(&source.join("big.bin")));
    // Nothing but two files stays beside the data: a trainer takes every directory there for a class.
    let own = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap());
    let own: Vec<_> = own.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(own.len() == 2 && own.iter().all(|entry| entry.file_type().unwrap().is_file()), "{own:?}");
    fs::remove_dir_all(&source).unwrap();
    assert_eq!(run(&request(&source, &target, None)).unwrap().how, How::Unchanged);
}

#[test]
fn a_store_holds_one_copy_for_many_paths() {
    let dir = tempfile::tempdir().unwrap();
    let (source, store) = (source(dir.path()), dir.path().join("store"));
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::create_dir(&two).unwrap();
    assert_eq!(run(&request(&source, &one, Some(&store))).unwrap().how, How::Brought);
    assert_eq!(run(&request(&source, &two, Some(&store))).unwrap().how, How::Unchanged);
    assert_eq!(fs::read_link(&one).unwrap(), fs::read_link(&two).unwrap());
    assert!(contents(&fs::canonicalize(&one).unwrap()) == contents(&source));
    assert_eq!(mode(&fs::canonicalize(&one).unwrap()), 0o555);
}

#[test]
fn many_starts_at_once_bring_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let (source, store) = (source(dir.path()), dir.path().join("store"));
    let hows: Vec<How> = std::thread::scope(|scope| {
        let start = |n: usize| {
            let (source, store, target) = (&source, &store, dir.path().join(format!("data{n}")));
            scope.spawn(move || run(&request(source, &target, Some(store))).unwrap().how)
        };
        let starts: Vec<_> = (0..16).map(start).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(hows.iter().filter(|how| **how == How::Brought).count(), 1, "{hows:?}");
    (0..16).for_each(|n| assert!(dir.path().join(format!("data{n}/big.bin")).is_file()));
}

#[test]
fn a_start_that_is_stopped_anywhere_leaves_nothing_to_read_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    for store in [None, Some(dir.path().join("store"))] {
        let target = dir.path().join(format!("data-{}", store.is_some()));
        let request = request(&source, &target, store.as_deref());
        let mut tries = Vec::new();
        for stop_after in 1.. {
            let (mut events, mut last) = (0, Progress::default());
            let done = stage(&request, &mut |event| {
                events += u32::from(matches!(event, StageEvent::Progress(_)));
                if let StageEvent::Progress(progress) = event {
                    last = progress;
                }
                events < stop_after
            });
            tries.push(last.brought);
            match done {
                Ok(_) => break,
                Err(StageError::Stopped) => assert!(!target.join("big.bin").exists() && !target.join("zero").exists()),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(tries.len() > 3, "{tries:?}");
        assert!(contents(&fs::canonicalize(&target).unwrap()) == contents(&source));
        let left = fs::read_dir(store.as_ref().unwrap_or(&target)).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("part")), "{left:?}");
    }
}

#[test]
fn what_changed_is_fetched_and_the_rest_is_linked() {
    let dir = tempfile::tempdir().unwrap();
    let (source, store, target) = (source(dir.path()), dir.path().join("store"), dir.path().join("data"));
    let always = StageRequest { refresh: Refresh::Always, ..request(&source, &target, Some(&store)) };
    run(&always).unwrap();
    let (old, inode) = (fs::read_link(&target).unwrap(), |path: PathBuf| fs::metadata(path).unwrap().ino());
    let before = inode(target.join("big.bin"));
    assert_eq!(run(&always).unwrap().how, How::Same);
    fs::write(source.join("train/1.jpg"), vec![9; 1001]).unwrap(); // the same size as before
    fs::remove_file(source.join("zero")).unwrap();
    assert_eq!(run(&always).unwrap().how, How::Brought);
    assert!(contents(&fs::canonicalize(&target).unwrap()) == contents(&source));
    assert_eq!(inode(target.join("big.bin")), before);
    // Who reads the old data still does.
    assert_eq!(fs::read(old.join("train/1.jpg")).unwrap(), vec![1; 1001]);
    assert!(old.join("zero").exists());
}

#[test]
fn a_volume_is_refreshed_and_keeps_what_others_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (source(dir.path()), dir.path().join("data"));
    let always = StageRequest { refresh: Refresh::Always, ..request(&source, &target, None) };
    run(&always).unwrap();
    fs::write(target.join("notes.txt"), "mine").unwrap();
    fs::write(source.join("new"), "new").unwrap();
    fs::remove_file(source.join("zero")).unwrap();
    assert_eq!(run(&always).unwrap().how, How::Brought);
    assert_eq!(fs::read(target.join("notes.txt")).unwrap(), b"mine");
    fs::remove_file(target.join("notes.txt")).unwrap();
    assert!(contents(&target) == contents(&source));
}

#[test]
fn what_cannot_be_brought_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    let target = dir.path().join("data");
    let error = |request: &StageRequest| run(request).unwrap_err();
    fs::create_dir_all(dir.path().join("full/mine")).unwrap();
    assert!(matches!(error(&request(&source, &dir.path().join("full"), None)), StageError::NotOurs(_)));
    assert!(dir.path().join("full/mine").exists());
    let wrong = error(&request(&dir.path().join("sourc"), &target, None));
    assert!(matches!(&wrong, StageError::Missing { near, .. } if near.contains(&"source".to_owned())), "{wrong:?}");
    let none = Only::parse(&["*.png".to_owned()]).unwrap();
    let unwanted = error(&StageRequest { only: none, ..request(&source, &target, None) });
    assert!(matches!(unwanted, StageError::Empty { unwanted: true, .. }), "{unwanted:?}");
    assert!(matches!(error(&request(&source, &source.join("train/empty"), None)), StageError::Itself));
    let late = StageRequest { timeout: Some(Duration::ZERO), ..request(&source, &target, None) };
    assert!(error(&late).may_pass());
    fs::write(source.join(".trainit-x"), "").unwrap();
    assert!(matches!(error(&request(&source, &target, None)), StageError::Key { .. }));
}

#[test]
fn a_program_brings_what_nothing_else_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (source(dir.path()), dir.path().join("data"));
    let words = |script: &str| ["sh", "-c", script, "sh", "{from}", "{into}"].map(str::to_owned).to_vec();
    let with = |script: &str| StageRequest {
        source: Source::Other(format!("nas:{}", source.display())),
        command: words(script),
        ..request(&source, &target, None)
    };
    let failed = run(&with("echo no such host; exit 3")).unwrap_err();
    let message = failed.message(&target);
    assert!(failed.may_pass() && message.because.unwrap().contains("no such host"), "{}", message.what);
    assert!(matches!(run(&with("true")), Err(StageError::Empty { .. })));
    let missing = StageRequest { command: vec!["no-such-program".into()], ..with("") };
    assert!(!run(&missing).unwrap_err().may_pass());
    assert_eq!(run(&with(r#"cp -a "${1#nas:}/." "$2""#)).unwrap().how, How::Brought);
    assert!(contents(&target) == contents(&source));
}

#[test]
fn parts_hold_each_file_once_and_differ_by_one_file_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    (0..11).for_each(|n| fs::write(source.join(format!("{n}")), "x").unwrap());
    (0..3).for_each(|n| fs::write(source.join(format!("sub/{n}")), "x").unwrap());
    let mut seen = Vec::new();
    for index in 0..4 {
        let target = dir.path().join(format!("node{index}"));
        let part = Some(Part { index, of: 4 });
        let staged = stage(&StageRequest { part, ..request(&source, &target, None) }, &mut |_| true).unwrap();
        assert!((3..=4).contains(&staged.stamp.totals.files), "{:?}", staged.stamp.totals);
        let found = std::process::Command::new("find")
            .args([".", "-type", "f", "!", "-name", ".trainit*"])
            .current_dir(&target)
            .output();
        seen.extend(String::from_utf8(found.unwrap().stdout).unwrap().lines().map(str::to_owned));
    }
    seen.sort();
    let all = seen.len();
    seen.dedup();
    assert_eq!((all, seen.len()), (14, 14));
    let many =
        StageRequest { part: Some(Part { index: 20, of: 30 }), ..request(&source, &dir.path().join("none"), None) };
    let error = stage(&many, &mut |_| true).unwrap_err();
    assert!(!error.may_pass() && error.message(&source).what.contains("has 14 files for 30 nodes"), "{error:?}");
}
