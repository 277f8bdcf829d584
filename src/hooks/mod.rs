//! Hooks: files of the image's author that run before the checks, before the workload, and after it.
//!
//! The module knows which files count, how each kind runs, and how variables are kept. The callers know when hooks run and what a failure
//! means.

mod listing;
mod shell;

pub use shell::variables;

use crate::error::{Error, ErrorKind, Result};
use crate::program::{self, ProgramEnd, ProgramEvent, Streams};
use listing::{HookFile, HookKind};
use protocol::errno::{self, ErrnoCause};
use protocol::exit_code::FailureFamily;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::{Root, Signal, cgroup};

/// Exit code of a hook that wants to be repeated (EX_TEMPFAIL of sysexits.h).
const TRY_AGAIN: i32 = 75;

/// Longest logged line of a hook, in characters.
const LINE_MAX: usize = 1000;

/// Longest part of a line that is read, because it is masked before it is cut.
const READ_MAX: usize = 64 << 10;

/// The hooks to run, and the way to run them.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Directories, or single files.
    pub paths: Vec<PathBuf>,
    /// Time limit of each hook.
    pub timeout: Option<Duration>,
    /// The first failure ends the sequence.
    pub strict: bool,
    /// The workload's command line, as `"$@"` of a hook.
    pub words: Vec<OsString>,
}

/// An event while hooks run.
#[derive(Debug)]
pub enum HookEvent<'a> {
    /// A line that a hook printed.
    Line(&'a str),
    /// A hook has succeeded, after this time.
    Done(&'a Path, Duration),
    /// A path does not exist, or is no hook.
    Skipped(&'a Error),
    /// A hook has failed, after this time.
    Failed(&'a Path, Duration, &'a Error),
}

/// Returns why hooks of these paths may not run, and which paths hold none; nothing is run.
pub fn obstacles<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> (Vec<Error>, Vec<Error>) {
    let (mut refused, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let found = listing::hooks(path, &mut |error| skipped.push(error));
        refused.extend(found.iter().filter_map(|hook| listing::run_by_root(hook).err()));
    }
    (refused, skipped)
}

impl Hooks {
    /// Runs the hooks in order; exported variables are in `environment` afterwards.
    ///
    /// # Errors
    /// The first failure, if `strict` is set.
    pub fn run(&self, environment: &mut Environment, tell: &mut dyn FnMut(HookEvent<'_>)) -> Result<()> {
        for path in &self.paths {
            for hook in listing::hooks(path, &mut |error| tell(HookEvent::Skipped(&error))) {
                let began = Instant::now();
                match self.one(&hook, environment, &mut |line| tell(HookEvent::Line(line))) {
                    Ok(()) => tell(HookEvent::Done(&hook.path, began.elapsed())),
                    Err(error) => {
                        tell(HookEvent::Failed(&hook.path, began.elapsed(), &error));
                        if self.strict {
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn one(&self, hook: &HookFile, environment: &mut Environment, tell: &mut dyn FnMut(&str)) -> Result<()> {
        listing::run_by_root(hook)?;
        match hook.kind {
            HookKind::Text => text(&hook.path, tell),
            HookKind::Program => self.end(Command::new(&hook.path).args(&self.words), &hook.path, environment, tell),
            HookKind::Script => {
                let exported = shell::Exported::new().map_err(|error| cannot(&hook.path, error))?;
                let mut command = exported.command(&hook.path, &self.words, environment)?;
                let ended = self.end(&mut command, &hook.path, environment, tell);
                // Other start scripts source such files, so the exports of a failed one count there, too.
                exported.apply(environment);
                ended
            }
        }
    }

    /// Runs a program until it ends.
    fn end(
        &self,
        command: &mut Command,
        path: &Path,
        environment: &Environment,
        tell: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let mut command = std::mem::replace(command, Command::new(path));
        program::with_environment(&mut command, environment);
        let mut lines = Lines::default();
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let memory_kills = || cgroup::memory_kills(&Root::real()).unwrap_or(0);
        let kills_before = memory_kills();
        let end = program::run(command, Streams::Both, deadline, &mut |event| {
            if let ProgramEvent::Output(bytes) = event {
                lines.take(bytes, tell);
            }
        });
        lines.end(tell);
        match end.map_err(|error| cannot(path, error))? {
            ProgramEnd::Exited(status) if status.success() => Ok(()),
            ProgramEnd::Exited(_) if memory_kills() > kills_before => Err(out_of_memory(path)),
            ProgramEnd::Exited(status) => Err(ended(path, status)),
            ProgramEnd::TimedOut => Err(late(path, self.timeout.unwrap_or_default())),
        }
    }
}

fn text(path: &Path, tell: &mut dyn FnMut(&str)) -> Result<()> {
    let bytes = crate::config::read_file(path).map_err(|error| cannot(path, error))?;
    String::from_utf8_lossy(&bytes).lines().for_each(tell);
    Ok(())
}

fn failure(transient: bool, what: String) -> Error {
    let kind = if transient { ErrorKind::Transient } else { ErrorKind::Permanent };
    Error::new(kind(FailureFamily::Hook), what)
}

fn cannot(path: &Path, error: std::io::Error) -> Error {
    let shown = text::path(path);
    let what = format!("hook {shown} cannot be run");
    if let Some(ErrnoCause { because, advice }) = errno::cause_of(&error) {
        return failure(true, what).caused_by(error).because(because).hint(advice);
    }
    failure(false, what).caused_by(error).hint(
        "a program needs the right to be executed and its interpreter; a shell's lines need a name that ends with .sh",
    )
}

fn ended(path: &Path, status: std::process::ExitStatus) -> Error {
    use std::os::unix::process::ExitStatusExt;
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
    };
    // A hook that another process killed did not fail by itself.
    let killed = [Signal::KILL, Signal::TERM].map(Some).contains(&status.signal().and_then(Signal::new));
    failure(killed || status.code() == Some(TRY_AGAIN), format!("hook {} {how}", text::path(path)))
        .hint("hooks.on_error: warn goes on without it")
}

/// Returns the error of a hook that the kernel's out-of-memory killer ended, itself or by a child.
fn out_of_memory(path: &Path) -> Error {
    failure(true, format!("hook {} ran out of memory", text::path(path)))
        .because("meanwhile the kernel killed a process of this container for want of memory")
        .hint("raise the container's limit of memory")
}

fn late(path: &Path, timeout: Duration) -> Error {
    let took = text::time(timeout);
    failure(true, format!("hook {} took longer than hooks.timeout ({took})", text::path(path)))
        .hint("hooks.timeout: 10m gives each more time; off takes the limit away")
}

/// A buffer that splits bytes into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(tell),
                byte if self.0.len() < READ_MAX => self.0.push(*byte),
                _ => {}
            }
        }
    }

    fn end(&mut self, tell: &mut dyn FnMut(&str)) {
        let line = std::mem::take(&mut self.0);
        if !line.is_empty() {
            let line: String = text::masked(String::from_utf8_lossy(&line).trim_end()).chars().take(LINE_MAX).collect();
            tell(&line);
        }
    }
}

#[cfg(test)]
mod tests;
