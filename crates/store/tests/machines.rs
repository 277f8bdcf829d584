//! Starts on "machines" of their own share one store: each in namespaces of its own, with its own name, process ids and clock. Builders
//! are killed without a warning; at no time do two build.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use store::archive::ArchiveManifest;
use store::{StoreAnswer, StoreEntry};

/// The variable that names the directory of a machine's start.
const AT: &str = "TRAINIT_TEST_MACHINE";

/// The time after which a lease counts as dead here.
const STALE: Duration = Duration::from_secs(2);

/// Not a test of its own: the start on one machine.
#[test]
fn one_machine() {
    if let Some(at) = std::env::var_os(AT) {
        start(Path::new(&at));
    }
}

fn start(at: &Path) {
    let mut entry = StoreEntry::of(&at.join("store"), "0123456789abcdef".into(), u64::MAX, None).unwrap();
    entry.work.stale = STALE;
    loop {
        match entry.get(Some(Instant::now() + Duration::from_secs(60)), &mut |_| {}) {
            StoreAnswer::Packed(_) => return,
            StoreAnswer::Build(mut lease) => {
                // One that builds marks it, and finds the mark of another one that builds as well.
                let mark = at.join("building");
                if File::options().write(true).create_new(true).open(&mark).is_err() {
                    fs::write(at.join("two"), "").unwrap();
                }
                let builds = note(at);
                sleep(Duration::from_millis(200));
                match builds {
                    // The mark of a builder that dies is removed by whoever kills it.
                    1 | 2 => sleep(Duration::from_secs(600)),
                    3 | 4 => {}
                    _ => drop(entry.publish(&mut lease, at, &["file".into()], manifest(&entry)).unwrap()),
                }
                fs::remove_file(&mark).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn manifest(entry: &StoreEntry) -> ArchiveManifest {
    ArchiveManifest { key: entry.key.clone(), ..ArchiveManifest::default() }
}

/// Writes down that this machine builds, and returns how many builds there were.
fn note(at: &Path) -> usize {
    let mine = at.join(format!("build-{}", std::env::var("TRAINIT_TEST_NUMBER").unwrap()));
    let earlier = builders(at).len();
    fs::write(mine.with_extension(earlier.to_string()), "").unwrap();
    earlier + 1
}

/// The numbers of the machines that built, and how many builds there were before.
fn builders(at: &Path) -> Vec<(usize, usize)> {
    let names = fs::read_dir(at).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let number = |name: String| {
        let (number, earlier) = name.strip_prefix("build-")?.split_once('.')?;
        Some((number.parse().ok()?, earlier.parse().ok()?))
    };
    names.filter_map(number).collect()
}

fn machine(at: &Path, number: usize) -> Child {
    let words = ["--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--time"];
    let mut command = Command::new("unshare");
    command.args(words).args(["--monotonic", &(number * 5000).to_string(), "--boottime", &(number * 7000).to_string()]);
    command.args(["sh", "-c", "hostname \"machine-$TRAINIT_TEST_NUMBER\"; exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe().unwrap()).args(["one_machine", "--exact", "--test-threads=1"]);
    command.env(AT, at).env("TRAINIT_TEST_NUMBER", number.to_string());
    command.arg("--nocapture").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn able() -> bool {
    let words = ["--uts", "--pid", "--fork", "--mount-proc", "--time", "--boottime", "1", "true"];
    Command::new("unshare").args(words).output().is_ok_and(|output| output.status.success())
}

#[test]
fn of_machines_with_clocks_of_their_own_at_most_one_builds_whoever_dies() {
    if !able() {
        return println!("SKIPPED: namespaces for time and processes cannot be made here (unshare --time)");
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("file"), "made").unwrap();
    let mut machines: Vec<_> = (0..8).map(|number| Some(machine(at, number))).collect();
    let until = Instant::now() + Duration::from_secs(90);
    for death in 0..2 {
        let builder = loop {
            assert!(Instant::now() < until, "nobody builds after {death} deaths: {:?}", names(at));
            match builders(at).into_iter().find(|(_, earlier)| *earlier == death) {
                Some((number, _)) => break number,
                None => sleep(Duration::from_millis(20)),
            }
        };
        let mut child = machines[builder].take().unwrap();
        fs::remove_file(at.join("building")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for mut child in machines.into_iter().flatten() {
        assert!(child.wait().unwrap().success());
    }
    assert!(!at.join("two").exists(), "two built at once: {:?}", names(at));
    assert_eq!(builders(at).len(), 5, "{:?}", names(at));
    let left: Vec<_> = fs::read_dir(at.join("store")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|file| !file.to_string_lossy().contains("stale") && !ends_with(file, "lease")), "{left:?}");
}

fn ends_with(file: &Path, end: &str) -> bool {
    file.extension().is_some_and(|found| found == end)
}

fn names(at: &Path) -> Vec<PathBuf> {
    fs::read_dir(at).unwrap().flatten().map(|entry| entry.path()).collect()
}
