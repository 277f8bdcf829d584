//! Staging at its limits, for scripts/nightly: a million objects in little memory, and kills at any moment. The server makes its objects
//! up, so that it needs no disk.

use crate::support::look::until_true;
use crate::support::object_stores::transfer;
use crate::support::{TRAINIT, copy_program};
use server::{Bucket, Objects, made_up_byte, made_up_key};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

#[path = "../../benches/stage/server.rs"]
mod server;

/// What a million objects may cost, of all processes together (issue 19).
const MEMORY: u64 = 64 << 20;

/// The length of a range.
const RANGE: u64 = 16 << 20;

/// How many ranges are fetched at a time, and may be lost by a kill.
const OPEN: u64 = 16;

/// A bucket, and programs in a directory of their own, by which their processes are known.
struct Scale {
    bucket: Arc<Bucket>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Scale {
    fn start(count: u64, size: fn(u64) -> u64) -> Option<Self> {
        let transfer = transfer()?;
        let directory = tempfile::Builder::new().prefix("trainit-scale-").tempdir().unwrap();
        copy_program(transfer, directory.path().join("trainit-transfer"));
        copy_program(TRAINIT, directory.path().join("trainit"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (bucket, port) = (Bucket::new(Objects::MadeUp(count, size)), listener.local_addr().unwrap().port());
        let served = Arc::clone(&bucket);
        std::thread::spawn(move || served.serve(&listener));
        Some(Scale { bucket, port, directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spawn(&self, words: &[&str]) -> Child {
        let mut command = Command::new(self.path("trainit"));
        command.args(words).current_dir("/").stdin(Stdio::null()).stderr(Stdio::piped());
        command.env("TRAINIT_DATA", format!("{}:from=s3://bench/set/", self.path("data").display()));
        command.env("TRAINIT_STAGE_STORE", self.path("store"));
        command.env("TRAINIT_STAGE_ENDPOINT", format!("http://127.0.0.1:{}", self.port)).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
        command.spawn().unwrap()
    }

    /// The processes of the programs in the directory, whoever their parents are.
    fn processes(&self) -> Vec<i32> {
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_own = |pid: &i32| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(self.directory.path()))
        };
        all.filter(is_own).collect()
    }

    /// The bytes that the processes have for themselves now.
    fn memory(&self) -> u64 {
        let of = |pid: i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
        };
        self.processes().into_iter().filter_map(of).sum()
    }

    /// Waits for a start, and returns the most memory that was seen.
    fn watched(&self, mut child: Child) -> (Output, u64) {
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = most.max(self.memory());
            std::thread::sleep(Duration::from_millis(20));
        }
        (child.wait_with_output().unwrap(), most)
    }

    /// The ranges that the journal of the unfinished directory has.
    fn noted(&self) -> u64 {
        let entries = fs::read_dir(self.path("store")).into_iter().flatten().flatten();
        let journals = entries.filter_map(|entry| fs::read(entry.path().join("journal")).ok());
        let ranges = journals.map(|bytes| {
            let records = bytes.iter().position(|byte| *byte == b'\n').map_or(&[][..], |at| &bytes[at + 1..]);
            let (mut ranges, mut wholes) = (BTreeSet::new(), BTreeSet::new());
            for record in records.as_chunks::<16>().0 {
                let (object, range) = (&record[..8], u32::from_le_bytes(record[8..12].try_into().unwrap()));
                let object = u64::from_le_bytes(object.try_into().unwrap());
                match range {
                    _ if object == u64::MAX => false,
                    u32::MAX => wholes.insert(object),
                    range => ranges.insert((object, range)),
                };
            }
            // A journal that was written anew has no ranges of what is whole.
            let of_whole = wholes.iter().map(|object| size(*object).div_ceil(RANGE)).sum::<u64>();
            of_whole + ranges.iter().filter(|(object, _)| !wholes.contains(object)).count() as u64
        });
        ranges.max().unwrap_or_default()
    }

    /// Fails unless the data is not there, or is what the server has.
    fn assert_whole_or_absent(&self, count: u64) -> bool {
        let data = self.path("data");
        if fs::symlink_metadata(&data).is_err() {
            return false;
        }
        for number in 0..count {
            let path = data.join(made_up_key(number).strip_prefix("set/").unwrap());
            let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found.len() as u64, size(number), "{}", path.display());
            let wrong = (0..).zip(&found).find(|(at, byte)| made_up_byte(number, *at) != **byte);
            assert!(wrong.is_none(), "{}: wrong at {wrong:?}", path.display());
        }
        true
    }
}

fn told(output: &Output) -> String {
    format!("{:?} {}", output.status, String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "a set of scripts/nightly: minutes"]
fn a_million_objects_are_listed_planned_and_published_in_64_mib() {
    let count = std::env::var("OBJECTS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let Some(scale) = Scale::start(count, |_| 0) else { return };
    for words in [&["stage", "--dry-run"][..], &["stage"]] {
        let (output, most) = scale.watched(scale.spawn(words));
        println!("{words:?}: {most} bytes at most, {} pages", scale.bucket.pages.load(Ordering::Relaxed));
        assert!(output.status.success(), "{}", told(&output));
        assert!(most < MEMORY, "{words:?} had {most} bytes");
    }
    assert!(scale.path("data").join(made_up_key(count - 1).strip_prefix("set/").unwrap()).is_file());
    assert_eq!(scale.bucket.gets.load(Ordering::Relaxed), 0, "an object without bytes is not asked for");
}

/// Mostly small objects, and a few of two ranges.
fn size(number: u64) -> u64 {
    if number.is_multiple_of(100) { RANGE + number + 1 } else { number * 977 % 60_000 }
}

/// The next of numbers that look like chance.
fn chance(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
#[ignore = "a set of scripts/nightly: minutes"]
fn kills_at_any_moment_leave_the_source_or_nothing_and_cost_sixteen_ranges() {
    const COUNT: u64 = 200;
    let rounds = std::env::var("KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut state = std::env::var("STAGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now) | 1;
    println!("STAGE_SEED={state}");
    let Some(scale) = Scale::start(COUNT, size) else { return };
    let all: u64 = (0..COUNT).map(|number| size(number).div_ceil(RANGE)).sum();
    let began = Instant::now();
    let output = scale.spawn(&["stage"]).wait_with_output().unwrap();
    assert!(output.status.success() && scale.assert_whole_or_absent(COUNT), "{}", told(&output));
    let whole = began.elapsed();
    let (mut killed, mut ended) = (0, 0);
    forget(&scale);
    while killed < rounds {
        let (noted, before) = (scale.noted(), scale.bucket.gets.load(Ordering::Relaxed));
        let mut child = scale.spawn(&["stage"]);
        std::thread::sleep(whole.mul_f64((chance(&mut state) % 1000) as f64 / 800.0));
        // One process of it, or all.
        let processes = scale.processes();
        let chosen = chance(&mut state) as usize % (processes.len() + 1);
        let victims = processes.get(chosen).map_or(&processes[..], std::slice::from_ref);
        victims.iter().for_each(|pid| {
            _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL)
        });
        killed += u64::from(!processes.is_empty());
        let status = child.wait().unwrap();
        until_true("the others end by themselves", || scale.processes().is_empty());
        let fetched = scale.bucket.gets.load(Ordering::Relaxed) - before;
        assert!(fetched <= all - noted + OPEN, "{fetched} ranges, and {noted} of {all} were there");
        if scale.assert_whole_or_absent(COUNT) {
            ended += 1;
            forget(&scale);
        } else {
            assert!(!status.success(), "a start that ended well brought nothing");
        }
    }
    println!("{killed} kills, {ended} times it was whole in the end");
    let (noted, before) = (scale.noted(), scale.bucket.gets.load(Ordering::Relaxed));
    let output = scale.spawn(&["stage"]).wait_with_output().unwrap();
    assert!(output.status.success() && scale.assert_whole_or_absent(COUNT), "{}", told(&output));
    assert!(scale.bucket.gets.load(Ordering::Relaxed) - before <= all - noted + OPEN);
    assert!(
        fs::read_dir(scale.path("store")).unwrap().flatten().all(|entry| !is_part(&entry.path())),
        "a part is left"
    );
}

fn is_part(path: &Path) -> bool {
    path.to_string_lossy().contains(".part-")
}

/// Removes what was brought, as a new node would have nothing.
fn forget(scale: &Scale) {
    let _ = fs::remove_file(scale.path("data"));
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(scale.path("store")).status();
    fs::remove_dir_all(scale.path("store")).unwrap();
}
