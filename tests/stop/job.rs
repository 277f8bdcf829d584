//! A job of trainer.py below trainit, in a directory of its own. Knows what that script prints and how trainit is told of it; not
//! what a test expects.

use crate::support::look::{self, until};
use crate::support::{Launch, Place, Role, Running, TRAINIT, can_unshare, has};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How late things may happen on a busy machine.
pub const LATE: Duration = Duration::from_secs(8);

/// Both places: PID 1 of a namespace, where the kernel would clean up, and a subreaper, where only trainit does.
pub fn places() -> Vec<Place> {
    if can_unshare() { vec![Place::First, Place::Aside] } else { vec![Place::Aside] }
}

/// The interpreter behind `python3`: a shim would be a shell in between.
pub fn python() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    if !has("python3") {
        return None;
    }
    let ask = || {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    FOUND.get_or_init(ask).as_deref()
}

/// A directory for one job: its checkpoints, its state, whatever it writes.
pub struct Job {
    directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Job {
    pub fn new() -> Self {
        Job { directory: tempfile::tempdir().unwrap(), settings: Vec::new() }
    }

    /// Also sets this.
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.settings.push((format!("TRAINIT_{variable}"), value.to_owned()));
        self
    }

    /// Its checkpoints are watched.
    pub fn watched(self) -> Self {
        let directory = self.word().to_owned();
        self.with("CHECKPOINT_DIR", &directory).with("CHECKPOINT_PATTERN", "ckpt-{step}.npz")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory as a word of a command line; every process of the job has it there.
    pub fn word(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// The words that start trainer.py.
    pub fn trainer(&self, words: &[&str]) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stop/trainer.py");
        let start = [python().unwrap_or("python3"), "-S", script, self.word()];
        start.iter().chain(words).map(|word| (*word).to_owned()).collect()
    }

    /// The same for a shell's command line.
    pub fn trainer_line(&self, words: &[&str]) -> String {
        self.trainer(words).join(" ")
    }

    /// trainit with this command line.
    pub fn launch<S: AsRef<str>>(&self, place: Place, command: &[S]) -> Launch {
        let mut words = vec!["--mode", "train", "--"];
        words.extend(command.iter().map(AsRef::as_ref));
        self.launch_words(place, &words)
    }

    /// trainit with these words after `run`.
    pub fn launch_words(&self, place: Place, words: &[&str]) -> Launch {
        let launch = Launch::of(Role::Run, place, words).env("TRAINIT_STATE_DIR", self.word());
        self.settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// trainit with trainer.py, which is up.
    #[track_caller]
    pub fn start(&self, place: Place, words: &[&str]) -> Running {
        let running = self.launch(place, &self.trainer(words)).spawn();
        assert!(running.line().starts_with("up attempt 1"));
        running
    }

    /// The same as an ordinary process, for what does not depend on being PID 1.
    #[track_caller]
    pub fn start_aside(&self, words: &[&str]) -> Running {
        self.start(Place::Aside, words)
    }

    /// A shell's command line, with a trainer in it that is up.
    #[track_caller]
    pub fn start_in_shell(&self, shell: &str, line: &str) -> Running {
        let running = self.launch(Place::Aside, &[shell, "-c", line]).spawn();
        assert!(running.line().starts_with("up attempt 1"));
        running
    }

    /// The state directory of what runs now.
    #[track_caller]
    pub fn run_dir(&self) -> PathBuf {
        let home = || std::fs::read_dir(self.path()).ok()?.flatten().find(|entry| is_home(&entry.path()));
        let instance = || std::fs::read_dir(home()?.path()).ok()?.flatten().map(|entry| entry.path()).next();
        until("a state directory", instance)
    }

    /// Waits until state.json says this.
    #[track_caller]
    pub fn tells(&self, what: &str, says: impl Fn(&serde_json::Value) -> bool) {
        let file = self.run_dir().join("state.json");
        let now = || serde_json::from_slice(&std::fs::read(&file).ok()?).ok();
        look::until_true(what, || now().is_some_and(|state| says(&state)));
    }

    /// Waits until `status` would say this.
    #[track_caller]
    pub fn is_in_phase(&self, phase: &str) {
        self.tells(phase, |state| state["phase"] == phase);
    }

    /// A sub-command of trainit, where the job runs.
    pub fn ask(&self, words: &[&str]) -> Output {
        let mut command = self.asking(words);
        command.output().unwrap()
    }

    /// The same, not yet started.
    pub fn asking(&self, words: &[&str]) -> Command {
        let mut command = Command::new(TRAINIT);
        command.args(words).arg("--instance").arg(self.run_dir()).stdin(Stdio::null());
        command
    }

    /// Every process of the job has its directory on its command line.
    #[track_caller]
    pub fn assert_nobody_left(&self) {
        look::until_true("the job's last process to go", || look::with_word(self.word()).is_empty());
    }
}

fn is_home(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("trainit-"))
}

/// Sends a signal to any process.
pub fn kill(pid: c_int, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
}

/// How long something takes.
pub fn timed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = body();
    (result, begun.elapsed())
}

/// Fails unless a time lies between what was promised and that a little late.
#[track_caller]
pub fn assert_about(took: Duration, promised: f64) {
    let promised = Duration::from_secs_f64(promised);
    // Clocks of two processes, read one after the other.
    let early = Duration::from_millis(150);
    assert!(took + early >= promised && took < promised + LATE, "{took:?} instead of {promised:?}");
}

/// What a sub-command said, and its code.
pub fn said(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
