//! One start of trainit as PID 1 under strace, with or without a fault, and what became of it.

use crate::scenario::{Scenario, Stop};
use crate::trace::{self, Who};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where the programs are.
pub struct Tools {
    /// The binary under test, which needs no dynamic linker: what is tried is trainit, not the C library's loader.
    pub trainit: PathBuf,
    /// The launcher, which is the workload, too.
    pub launcher: PathBuf,
}

/// A call that fails once.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The process that makes it.
    pub who: Who,
    /// Its name.
    pub call: String,
    /// The how manieth it is.
    pub nth: usize,
    /// What it answers.
    pub errno: &'static str,
}

/// The number that strace has to be given for a fault: calls of the launcher before PID 1 was PID 1 count for PID 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Padding {
    /// How many calls that do nothing the launcher makes in PID 1's place.
    pub times: usize,
    /// The number of the call.
    pub number: i64,
    /// The fault's number among all calls of that name.
    pub when: usize,
}

/// What a run left.
#[derive(Debug, Default)]
pub struct Ended {
    /// Its code; none when it hung.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub errors: String,
    /// What strace wrote.
    pub trace: String,
    /// PID 1, as seen from outside.
    pub first: i32,
}

/// Starts a scenario and waits for its end.
pub fn run(tools: &Tools, scenario: &Scenario, fault: Option<(&Fault, Padding)>) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let mut strace = command(tools, scenario, fault, directory.path()).spawn().unwrap();
    let output = Output::of(&mut strace);
    let ended = watch(&mut strace, scenario, &output, &trace);
    Ended {
        code: ended,
        errors: output.errors.lock().unwrap().clone(),
        trace: String::from_utf8_lossy(&begin_of(&trace)).into_owned(),
        first: output.first(),
    }
}

fn command(tools: &Tools, scenario: &Scenario, fault: Option<(&Fault, Padding)>, directory: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(directory.join("trace"));
    let mut padding = Padding::default();
    if let Some((fault, how)) = fault {
        let (call, errno, when) = (&fault.call, fault.errno, how.when);
        command.args([
            "-e",
            &format!("trace={call},execve"),
            "-e",
            &format!("inject={call}:error={errno}:when={when}"),
        ]);
        padding = how;
    }
    command.arg(&tools.launcher).arg("launch").args([padding.times.to_string(), padding.number.to_string()]);
    command.arg(&tools.trainit).args(["run", "--"]).arg(&tools.launcher).arg(scenario.workload);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", directory).current_dir("/");
    prepare_directory(directory);
    let place = directory.to_str().unwrap();
    command.envs(scenario.settings.iter().map(|(key, value)| (format!("TRAINIT_{key}"), value.replace('@', place))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    end_with_this_test(&mut command);
    command
}

/// A test that is killed leaves nothing behind: the launcher ends with strace, and PID 1 with the launcher.
#[allow(unsafe_code, reason = "std has no safe way to say it")]
fn end_with_this_test(command: &mut Command) {
    // SAFETY: prctl(2) and setpgid(2) with numbers, between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::setpgid(0, 0);
            Ok(())
        });
    }
}

fn prepare_directory(directory: &Path) {
    for name in ["data", "output"] {
        std::fs::create_dir(directory.join(name)).unwrap();
    }
    std::fs::write(directory.join("data/one"), "1").unwrap();
    std::fs::write(directory.join("requirements.txt"), "little==1.0\n").unwrap();
    crate::wheel::Wheel::new("little", "1.0").write(&directory.join("wheels"));
}

/// What a run has written so far. The readers end with the last holder of the pipes.
struct Output {
    lines: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
}

impl Output {
    fn of(child: &mut Child) -> Self {
        Output { lines: gather(child.stdout.take().unwrap()), errors: gather(child.stderr.take().unwrap()) }
    }

    fn has(&self, text: &str) -> bool {
        self.lines.lock().unwrap().contains(text) || self.errors.lock().unwrap().contains(text)
    }

    /// The pid that the launcher printed; 0 before.
    fn first(&self) -> i32 {
        let lines = self.lines.lock().unwrap();
        lines.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok()).unwrap_or(0)
    }
}

fn gather(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&all);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            *into.lock().unwrap() += &(String::from_utf8_lossy(&line) + "\n");
        }
    });
    all
}

/// Until it ends, crashes or hangs. What strace keeps from dying of its crash is killed with its whole namespace.
fn watch(strace: &mut Child, scenario: &Scenario, output: &Output, trace: &Path) -> Option<i32> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        if let Some(status) = strace.try_wait().unwrap() {
            std::thread::sleep(Duration::from_millis(5)); // the readers, which a leftover may keep from ending
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(scenario.patience) || loops(trace) {
            kill(strace, output.first());
            return None;
        }
        if let (false, Stop::At(text)) = (told, scenario.stop) {
            told = output.has(text);
            if told {
                signal(output.first(), nix::sys::signal::Signal::SIGTERM);
            }
        }
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// A traced PID 1 cannot die of a signal of its own: it meets the same fault for ever.
fn loops(trace: &Path) -> bool {
    std::fs::metadata(trace).is_ok_and(|file| file.len() > 4 << 20)
}

fn signal(first: i32, signal: nix::sys::signal::Signal) {
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
    // Never a PID 1 of this machine, nor one that is gone.
    if first > 1 && std::fs::read_link(format!("/proc/{first}/ns/pid")).is_ok_and(|theirs| theirs != own) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), signal);
    }
}

fn kill(strace: &mut Child, first: i32) {
    signal(first, nix::sys::signal::Signal::SIGKILL);
    let begun = Instant::now();
    while strace.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = strace.kill();
    let _ = strace.wait();
}

/// A crash that repeats itself writes without end.
fn begin_of(trace: &Path) -> Vec<u8> {
    let mut begin = Vec::new();
    let _ = std::fs::File::open(trace).unwrap().take(8 << 20).read_to_end(&mut begin);
    begin
}

/// How a run with a fault ended, beside the one without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The code of the undisturbed run.
    Kept,
    /// Another code, and a line says why.
    Told(i32),
    /// What must never be.
    Wrong(&'static str),
}

/// Codes that tell a caller not to try again.
const PERMANENT: &[i32] = &[64, 78, 110, 111, 112, 113, 114, 115, 116, 117, 119, 126, 127];
/// Errors that pass by themselves.
const PASSING: &[&str] = &["EIO", "ENOMEM", "EINTR"];

/// Judges a run.
pub fn judge(fault: &Fault, ended: &Ended, plain: &Ended, code: i32) -> Class {
    let is_first = |pid| pid == ended.first;
    if trace::crashed(&ended.trace, is_first) {
        return Class::Wrong("PID 1 crashed");
    }
    if ended.errors.contains("panicked at") || ended.errors.contains("internal error at") {
        return Class::Wrong("panicked");
    }
    match ended.code {
        None => Class::Wrong("hung"),
        Some(same) if same == code => Class::Kept,
        Some(_) if !says_more(&ended.errors, &plain.errors) => Class::Wrong("silent"),
        Some(other) if PASSING.contains(&fault.errno) && PERMANENT.contains(&other) => Class::Wrong("permanent"),
        Some(other) => Class::Told(other),
    }
}

/// Whether there is a line that the undisturbed run has not; numbers apart.
fn says_more(errors: &str, plain: &str) -> bool {
    let bare = |line: &str| line.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let known: Vec<String> = plain.lines().map(bare).collect();
    errors.lines().map(bare).any(|line| !line.is_empty() && !known.contains(&line))
}
