//! The output of a rehearsed job: passes it on as it comes, and notes the steps that are named in it. It reads without waiting, so
//! that the rehearsal stays one thread: other parts of it fork.

use super::named_steps::NamedSteps;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::Child;

/// Beginnings of the lines that trainit itself writes to stderr: the supervisor's, and the rows of a start (src/report/style.rs).
const OWN: [&str; 9] =
    ["trainit: ", "trainit ", "  ok  ", "  warn  ", "  fail  ", "  start ", "  debug ", "        ", "{"];

/// The longest line that is kept before its end has come.
const LINE: usize = 4096;

/// The two streams of a job, and the steps named so far.
pub(super) struct JobOutput {
    streams: Vec<OutputStream>,
    /// The steps that were named.
    pub named: NamedSteps,
}

struct OutputStream {
    from: File,
    /// Whether the stream is stderr, which trainit writes to as well.
    is_stderr: bool,
    line: Vec<u8>,
}

impl JobOutput {
    /// Takes the pipes of a child.
    pub(super) fn of(child: &mut Child) -> Self {
        let stdout = child.stdout.take().map(|pipe| (OwnedFd::from(pipe), false));
        let stderr = child.stderr.take().map(|pipe| (OwnedFd::from(pipe), true));
        let streams = stdout.into_iter().chain(stderr).map(|(pipe, is_stderr)| OutputStream::of(pipe, is_stderr));
        JobOutput { streams: streams.collect(), named: NamedSteps::default() }
    }

    /// Passes on what has come.
    pub(super) fn pass_on(&mut self) {
        let named = &mut self.named;
        self.streams.retain_mut(|stream| stream.pass_on(named));
    }
}

impl OutputStream {
    fn of(pipe: OwnedFd, is_stderr: bool) -> Self {
        // A pipe that stays blocking would only stop the rehearsal until the job writes again.
        let _ = fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        OutputStream { from: File::from(pipe), is_stderr, line: Vec::new() }
    }

    /// Passes on what has come, and returns whether more may come.
    fn pass_on(&mut self, named: &mut NamedSteps) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.from.read(&mut buffer) {
                Ok(0) => {
                    self.end_line(named);
                    return false;
                }
                Ok(length) => self.take(buffer.get(..length).unwrap_or_default(), named),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], named: &mut NamedSteps) {
        // A closed stdout of the rehearsal is no reason to end the job.
        let _ = if self.is_stderr { std::io::stderr().write_all(bytes) } else { write_out(bytes) };
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(named),
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self, named: &mut NamedSteps) {
        if !(self.is_stderr && is_own(&self.line)) {
            named.read(&self.line);
        }
        self.line.clear();
    }
}

fn write_out(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Returns whether trainit wrote a line of stderr.
fn is_own(line: &[u8]) -> bool {
    let begins = |begin: &&&str| line.starts_with(begin.as_bytes());
    match OWN.iter().find(begins) {
        // A JSON line of trainit names it; another one is the job's.
        Some(&"{") => line.windows(10).any(|part| part == b"\"trainit\":"),
        own => own.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_trainit_are_told_from_those_of_the_job() {
        let own = [
            "trainit: checkpoint /ck/ckpt-7 (step 7) is complete",
            "        resume: from /ck/a (step 7, 1 B)",
            "{\"event\":\"line\",\"trainit\":\"prepare\"}",
            "  ok    gpu     step 7",
            "trainit 0.1.0 · train · python",
        ];
        own.iter().for_each(|line| assert!(is_own(line.as_bytes()), "{line}"));
        let jobs = ["step 7", "{\"step\": 7}", "INFO step 7", "   step 7", ""];
        jobs.iter().for_each(|line| assert!(!is_own(line.as_bytes()), "{line}"));
    }
}
