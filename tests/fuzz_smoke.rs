//! Drives every fuzz target with its seeds and with damaged copies of them for a moment each, without libFuzzer: no panic, no
//! hang, on any toolchain. `FUZZ_SECONDS=60 cargo test --test fuzz_smoke` looks longer; scripts/fuzz looks deeper.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "fuzz/damage.rs"]
mod damage;
#[path = "../fuzz/targets.rs"]
mod targets;

use damage::Damage;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use targets::TARGETS;

/// An input that takes longer than this hangs, however slow the machine is.
const HANG: Duration = Duration::from_secs(20);

fn fuzz(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

fn names_in(directory: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fuzz(directory)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(fuzz("seeds").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn budget() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(3.0))
}

#[test]
fn every_target_has_a_binary_a_file_and_seeds() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "a name is used twice");
    assert_eq!(names, names_in("fuzz_targets"), "targets.rs (left) and fuzz_targets/ (right)");
    assert_eq!(names, names_in("seeds"), "targets.rs (left) and seeds/ (right)");
    let manifest = std::fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let binaries = manifest.split("[[bin]]\nname = \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    assert_eq!(names, binaries.collect(), "targets.rs (left) and Cargo.toml (right)");
    for name in names {
        let file = std::fs::read_to_string(fuzz(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(file.contains(&format!("run(\"{name}\"")), "fuzz_targets/{name}.rs runs another target");
        assert!(!seeds(&name).is_empty(), "seeds/{name} is empty");
    }
}

#[test]
fn the_script_for_oss_fuzz_puts_every_target_and_its_seeds_where_they_are_looked_for() {
    let place = tempfile::tempdir().unwrap();
    let (tree, out) = (place.path().join("trainit"), place.path().join("out"));
    let binaries = tree.join("fuzz/target/x86_64-unknown-linux-gnu/release");
    for directory in [&binaries, &out, &place.path().join("bin")] {
        std::fs::create_dir_all(directory).unwrap();
    }
    for name in ["fuzz_targets", "seeds"] {
        std::os::unix::fs::symlink(fuzz(name), tree.join("fuzz").join(name)).unwrap();
    }
    std::fs::write(tree.join("Cargo.lock"), "").unwrap();
    // In place of a compiler with sanitizers: a cargo that leaves a file where each program would be.
    let cargo = place.path().join("bin/cargo");
    let stub = "#!/bin/sh\n[ \"$1 $2\" = 'fuzz build' ] || exit 9\n\
                for file in fuzz/fuzz_targets/*.rs; do n=${file##*/}; echo >\"$BINARIES/${n%.rs}\"; done\n";
    std::fs::write(&cargo, stub).unwrap();
    std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path().join("bin").display(), std::env::var("PATH").unwrap());
    let variables = [("SRC", place.path()), ("OUT", &out), ("BINARIES", &binaries)];
    let mut script = std::process::Command::new(fuzz("oss-fuzz/build.sh"));
    let ended = script.env("PATH", path).envs(variables).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    for target in TARGETS {
        assert!(out.join(target.name).is_file(), "{}", target.name);
        let seeds = std::fs::metadata(out.join(format!("{}_seed_corpus.zip", target.name))).unwrap();
        assert!(seeds.len() > 100, "{}", target.name);
    }
}

#[test]
fn no_bytes_make_a_parser_panic_or_hang() {
    let workers: Vec<_> = TARGETS.iter().map(|target| (target.name, drive(target.name, target.run))).collect();
    for (name, tried) in workers {
        println!("{name}: {} inputs", judge(name, &tried));
    }
}

/// Runs one target in a thread of its own and tells each input before it is tried.
fn drive(name: &'static str, run: fn(&[u8])) -> Receiver<Vec<u8>> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let until = Instant::now() + budget();
        let mut damage = Damage::new(name, seeds(name));
        while let Some(input) = damage.next().filter(|_| damage.has_seeds_left() || Instant::now() < until) {
            let Ok(()) = tell.send(input.clone()) else { return };
            run(&input);
        }
        // An empty last word: this thread ended well, it did not unwind.
        let _ = tell.send(END.to_vec());
    });
    told
}

const END: &[u8] = b"\0the end of the inputs\0";

fn judge(name: &str, tried: &Receiver<Vec<u8>>) -> usize {
    let (mut last, mut count) = (Vec::new(), 0);
    loop {
        match tried.recv_timeout(HANG) {
            Ok(input) if input == END => return count,
            Ok(input) => (last, count) = (input, count + 1),
            Err(RecvTimeoutError::Timeout) => panic!("{name} hangs on b\"{}\"", last.escape_ascii()),
            Err(RecvTimeoutError::Disconnected) => panic!("{name} panics on b\"{}\"", last.escape_ascii()),
        }
    }
}
