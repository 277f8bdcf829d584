//! Containers for tests: started with a name of their own, waited for with a deadline, removed whatever happens. Knows
//! Docker's command line; nothing of trainit.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Long enough for anything that is not stuck, on a machine that does other things too.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Whether there is a daemon to talk to; if not, says so, so that nobody takes the test for passed.
pub fn docker_is_here() -> bool {
    static HERE: OnceLock<Result<(), String>> = OnceLock::new();
    match HERE.get_or_init(look_for_docker) {
        Ok(()) => true,
        Err(why) => {
            skipped(why);
            false
        }
    }
}

fn look_for_docker() -> Result<(), String> {
    let output = docker(["info", "--format", "{{.ServerVersion}}"]);
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("no Docker daemon: {}", told.lines().next().unwrap_or("`docker info` failed")))
}

/// Prints why a test cannot run here. Not by `println!`: the test runner would swallow it.
pub fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED: {name}: {why}").expect("stderr is open");
}

/// Runs docker with these words, for at most ten minutes (an image may have to be built).
pub fn docker<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> Output {
    let command = Command::new("timeout").args(["600", "docker"]).args(words).stdin(Stdio::null()).output();
    command.expect("coreutils' timeout is here")
}

/// Runs docker, which has to succeed, and gives what it printed.
pub fn docker_says<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    let output = docker(words);
    assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until `found` gives something; panics with `what` and `state` when that takes too long.
#[track_caller]
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>, state: impl Fn() -> String) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "no {what} within {DEADLINE:?}:\n{}", state());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A name for a container that no other test and no other run has.
pub fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("trainit-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What `docker run` is going to be told.
pub struct Run {
    options: Vec<String>,
    image: String,
    command: Vec<String>,
}

impl Run {
    /// A container of this image.
    pub fn of(image: &str) -> Self {
        Run { options: Vec::new(), image: image.to_owned(), command: Vec::new() }
    }

    /// Options of `docker run`, separated by blanks.
    pub fn with(mut self, options: &str) -> Self {
        self.options.extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// The words after the image's name.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// All words after `docker`, for a container of this name.
    pub fn words(&self, name: &str, how: &str) -> Vec<String> {
        let mut words: Vec<String> = ["run", how, "--label", "trainit.test", "--name", name].map(str::to_owned).into();
        words.extend(self.options.iter().chain([&self.image]).chain(&self.command).cloned());
        words
    }

    /// Starts it in the background.
    pub fn start(self) -> Container {
        let container = Container { name: unique_name() };
        docker_says(self.words(&container.name, "-d"));
        container
    }

    /// Starts it and waits for its end.
    pub fn finish(self) -> Ended {
        self.start().ended()
    }
}

/// How a container ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// All it printed: stdout, then stderr.
    pub text: String,
}

impl Ended {
    /// Panics with the text unless the code is this one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the container printed:\n{}", self.text);
        self
    }

    /// Panics with the text unless each of these is in it.
    #[track_caller]
    pub fn expect_text(self, wanted: &[&str]) -> Self {
        for wanted in wanted {
            assert!(self.text.contains(wanted), "no {wanted:?} in:\n{}", self.text);
        }
        self
    }
}

/// A container that is removed when the test lets go of it, also by a panic.
pub struct Container {
    /// Docker's name for it.
    pub name: String,
}

impl Container {
    /// All it has printed so far: stdout, then stderr.
    pub fn text(&self) -> String {
        let output = docker(["logs", &self.name]);
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }

    /// Waits until it has printed this; an end before that is a failure at once.
    #[track_caller]
    pub fn wait_for_text(&self, wanted: &str) {
        let found = || {
            let over = self.field(".State.Status") == "exited";
            let found = self.text().contains(wanted);
            assert!(found || !over, "ended without {wanted:?}:\n{}", self.text());
            found.then_some(())
        };
        wait_for(wanted, found, || self.text());
    }

    /// Waits until `docker inspect` gives this for a field.
    #[track_caller]
    pub fn wait_for_field(&self, field: &str, wanted: &str) {
        wait_for(wanted, || (self.field(field) == wanted).then_some(()), || self.text());
    }

    /// A field of `docker inspect`, as a Go template without its braces.
    pub fn field(&self, field: &str) -> String {
        docker_says(["inspect", "--format", &format!("{{{{{field}}}}}"), &self.name])
    }

    /// `docker stop` with this many seconds before SIGKILL; gives how long it took.
    pub fn stop(&self, seconds: u32) -> Duration {
        let start = Instant::now();
        docker_says(["stop", "-t", &seconds.to_string(), &self.name]);
        start.elapsed()
    }

    /// Starts it again after its end.
    pub fn start_again(&self) {
        docker_says(["start", &self.name]);
    }

    /// Runs a command in it.
    pub fn exec(&self, words: &[&str]) -> Output {
        docker(["exec", &self.name].iter().chain(words))
    }

    /// Waits for its end.
    pub fn ended(&self) -> Ended {
        self.wait_for_field(".State.Status", "exited");
        let code = self.field(".State.ExitCode").parse().expect("a number");
        Ended { code, text: self.text() }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(["rm", "-f", "-v", &self.name]);
    }
}

/// The project's directory.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
