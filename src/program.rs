//! Runs a program to its end and passes on its output. The program is a direct child without input. It dies with this process, and its
//! whole process group is ended at the time limit.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use sys::environment::Environment;
use sys::{Pid, child_group, process, window};
use tracing::{Level, debug, enabled};

/// Interval at which the child's exit and the time limit are checked.
const TICK: Duration = Duration::from_millis(200);

/// Time between SIGTERM and SIGKILL for an installer.
const GRACE: Duration = Duration::from_secs(5);

/// Largest number of reads after a program's exit; the pipe holds at most 64 KiB.
const LEFT_OVER: usize = 64;

/// An event while a program runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProgramEvent<'a> {
    /// Output on either stream.
    Output(&'a [u8]),
    /// This process has been silent for this long.
    Silence(Duration, Pid),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgramEnd {
    /// The program exited.
    Exited(ExitStatus),
    /// The time limit was reached.
    TimedOut,
}

/// The output of a short program.
#[derive(Clone, Debug)]
pub(crate) struct ProgramOutput {
    end: ProgramEnd,
    /// The text of the streams that were read.
    pub output: String,
}

impl ProgramOutput {
    /// Returns whether the program exited with 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.code() == Some(0)
    }

    /// Returns the exit code; `None` if the program was killed or took too long.
    pub(crate) fn code(&self) -> Option<i32> {
        match self.end {
            ProgramEnd::Exited(status) => status.code(),
            ProgramEnd::TimedOut => None,
        }
    }
}

/// Where a program's two streams lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Both are read.
    Both,
    /// The output is read, and stderr is dropped.
    Output,
    /// Both are read through a pseudo-terminal of the program's own, so that it shows its progress as if it ran alone.
    Terminal,
}

/// Gives a command exactly this environment.
pub(crate) fn with_environment(command: &mut Command, environment: &Environment) {
    command.env_clear().envs(environment.iter());
}

/// Runs a program with a short output, and reads both of its streams.
///
/// # Errors
/// A program that could not be started.
pub(crate) fn capture(command: Command, deadline: Option<Instant>) -> io::Result<ProgramOutput> {
    read_all(command, Streams::Both, deadline)
}

/// Runs a program with a short output, and drops its stderr.
///
/// # Errors
/// A program that could not be started.
pub(crate) fn output(command: Command, deadline: Option<Instant>) -> io::Result<ProgramOutput> {
    read_all(command, Streams::Output, deadline)
}

fn read_all(command: Command, streams: Streams, deadline: Option<Instant>) -> io::Result<ProgramOutput> {
    let mut output = Vec::new();
    let mut keep = |event: ProgramEvent<'_>| {
        if let ProgramEvent::Output(bytes) = event {
            output.extend_from_slice(bytes);
        }
    };
    let end = run(command, streams, deadline, &mut keep)?;
    Ok(ProgramOutput { end, output: String::from_utf8_lossy(&output).into_owned() })
}

/// Runs a program.
///
/// # Errors
/// A program that could not be started.
pub(crate) fn run(
    mut command: Command,
    streams: Streams,
    deadline: Option<Instant>,
    tell: &mut dyn FnMut(ProgramEvent<'_>),
) -> io::Result<ProgramEnd> {
    let (ours, theirs) = if streams == Streams::Terminal { pseudo_terminal()? } else { pipe()? };
    let errors = if streams == Streams::Output { Stdio::null() } else { theirs.try_clone()?.into() };
    command.stdin(Stdio::null()).stdout(theirs).stderr(errors).process_group(0);
    process::die_with_parent(&mut command);
    let trace = ProgramTrace::begin(|| line_of(&command));
    let spawned = command.spawn();
    // The command holds the other end open, so without this there would be no end of file.
    drop(command);
    let end = spawned
        .and_then(|child| ProgramWatch { child, output: Some(ours), heard: Instant::now() }.until_end(deadline, tell));
    trace.end(&how(&end));
    end
}

fn how(end: &io::Result<ProgramEnd>) -> String {
    match end {
        Ok(ProgramEnd::Exited(status)) => status.to_string(),
        Ok(ProgramEnd::TimedOut) => "the time was over".to_owned(),
        Err(error) => protocol::errno::words_of(error),
    }
}

/// Returns the words of a command line for display.
pub(crate) fn line_of(command: &Command) -> Vec<OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_owned).collect()
}

/// Reports at `log.level: debug` which program ran, how it ended and how long it took.
#[must_use]
pub(crate) struct ProgramTrace {
    /// The masked command line; `None` without a subscriber.
    line: Option<String>,
    begun: Instant,
}

impl ProgramTrace {
    /// Reports the start of a program; `words` is called only if there is a subscriber.
    pub(crate) fn begin(words: impl FnOnce() -> Vec<OsString>) -> Self {
        let line = enabled!(target: "program", Level::DEBUG).then(|| text::command(&words()));
        ProgramTrace { line, begun: Instant::now() }
    }

    /// Reports the end of the program.
    pub(crate) fn end(self, how: &dyn Display) {
        if let Some(line) = self.line {
            let took_us = self.begun.elapsed().as_micros() as u64;
            debug!(target: "program", end = %how, took_us, "{line}");
        }
    }
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (ours, theirs) = io::pipe()?;
    Ok((File::from(OwnedFd::from(ours)), theirs.into()))
}

/// Opens a pseudo-terminal in raw mode, so that output arrives unchanged.
fn pseudo_terminal() -> io::Result<(File, OwnedFd)> {
    let size = window::window_size(io::stderr().as_fd());
    let pair = nix::pty::openpty(size.as_ref(), None)?;
    for fd in [&pair.master, &pair.slave] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let mut mode = tcgetattr(&pair.slave)?;
    cfmakeraw(&mut mode);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &mode)?;
    Ok((File::from(pair.master), pair.slave))
}

struct ProgramWatch {
    child: Child,
    /// `None` after the end of file.
    output: Option<File>,
    heard: Instant,
}

impl ProgramWatch {
    fn until_end(
        mut self,
        deadline: Option<Instant>,
        tell: &mut dyn FnMut(ProgramEvent<'_>),
    ) -> io::Result<ProgramEnd> {
        loop {
            let heard = self.listen(TICK, tell);
            if let Some(status) = self.child.try_wait()? {
                // A surviving descendant may hold the pipe open: only output that is already there belongs to the program.
                (0..LEFT_OVER).take_while(|_| self.listen(Duration::ZERO, tell)).for_each(drop);
                return Ok(ProgramEnd::Exited(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // Compilers that an installer started end with it.
                child_group::end(&mut self.child, GRACE)?;
                return Ok(ProgramEnd::TimedOut);
            }
            if !heard {
                tell(ProgramEvent::Silence(self.heard.elapsed(), Pid::of(&self.child)));
            }
        }
    }

    /// Waits for output; returns whether some came.
    fn listen(&mut self, wait: Duration, tell: &mut dyn FnMut(ProgramEvent<'_>)) -> bool {
        let Some(output) = &mut self.output else {
            std::thread::sleep(wait.min(Duration::from_millis(10)));
            return false;
        };
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        if !matches!(poll(&mut fds, timeout), Ok(ready) if ready > 0) {
            return false;
        }
        let mut bytes = [0; 16 << 10];
        let count = output.read(&mut bytes).unwrap_or(0); // a pseudo-terminal without an open slave reads as EIO
        let Some(bytes) = bytes.get(..count).filter(|bytes| !bytes.is_empty()) else {
            self.output = None;
            return false;
        };
        self.heard = Instant::now();
        tell(ProgramEvent::Output(bytes));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_heard_and_the_code_is_known() {
        let answer = capture(shell("echo one; echo two >&2; exit 3"), None).unwrap();
        assert_eq!(answer.output, "one\ntwo\n");
        assert!(!answer.succeeded());
        assert!(capture(shell("read x || true"), None).unwrap().succeeded());
        assert_eq!(output(shell("echo one; echo two >&2"), None).unwrap().output, "one\n");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("sleep 600 & echo $! >{0}; echo $$ >>{0}; wait", pids.display());
        let started = Instant::now();
        let answer = capture(shell(&script), Some(started + Duration::from_millis(500))).unwrap();
        assert_eq!(answer.end, ProgramEnd::TimedOut);
        assert!(started.elapsed() < GRACE);
        let deadline = Instant::now() + Duration::from_secs(20);
        for pid in std::fs::read_to_string(pids).unwrap().lines() {
            let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            while !stat().is_empty() && !stat().contains(") Z ") {
                assert!(Instant::now() < deadline, "{pid} still runs");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn what_outlives_the_program_does_not_hold_us_up() {
        let started = Instant::now();
        let answer = capture(shell("echo done; sleep 5 &"), None).unwrap();
        assert_eq!(answer.output, "done\n");
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn on_a_terminal_the_program_has_one_and_its_bytes_arrive_as_they_are() {
        let mut said = Vec::new();
        let mut keep = |event: ProgramEvent<'_>| {
            if let ProgramEvent::Output(bytes) = event {
                said.extend_from_slice(bytes);
            }
        };
        run(shell("test -t 1 && test -t 2 && printf 'a\\r\\033[Kb\\n'"), Streams::Terminal, None, &mut keep).unwrap();
        assert_eq!(said, b"a\r\x1b[Kb\n");
    }
}
