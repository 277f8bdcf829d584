//! The program of `stage.command`, for sources that nothing else knows: its words with `{from}` and `{into}` filled in.

use super::error::{Result, StageError};
use super::request::StageRequest;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use sys::{Pgid, Pid, Signal, process, signal};

/// How often it is looked after.
const TICK: Duration = Duration::from_millis(100);

/// How much of its last words is kept.
const WORDS: u64 = 4096;

/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Fills in the words. Pure.
pub(crate) fn words(template: &[String], from: &str, into: &str) -> Vec<String> {
    template.iter().map(|word| word.replace("{from}", from).replace("{into}", into)).collect()
}

/// Runs the program to its end; `beat` is called often, and returns whether it may go on.
///
/// # Errors
/// No program, one that fails, or the end of the time.
pub(crate) fn run(request: &StageRequest, from: &str, into: &Path, beat: &mut dyn FnMut() -> bool) -> Result<()> {
    let into = into.to_string_lossy();
    let words = words(&request.command, from, &into);
    let Some((program, rest)) = words.split_first() else { return Err(StageError::NoMeans(from.to_owned())) };
    let line = text::command(&words);
    let failed = |how: String, said: String, is_there| StageError::Command { line: line.clone(), how, said, is_there };
    let mut said = temporary::unnamed(&std::env::temp_dir(), "trainit-").map_err(StageError::io("making", "/tmp"))?;
    let out = |file: &File| file.try_clone().map(Stdio::from).map_err(StageError::io("making", "/tmp"));
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(out(&said)?).stderr(out(&said)?).process_group(0);
    command.env_clear().envs(request.environment.iter().map(|(name, value)| (name, value)));
    process::die_with_parent(&mut command);
    let mut child = command.spawn().map_err(|error| {
        failed("cannot be started".into(), protocol::errno::words_of(&error), error.kind() != io::ErrorKind::NotFound)
    })?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(StageError::io("waiting for", program))? {
            return if status.success() {
                Ok(())
            } else {
                Err(failed(format!("ended with {status}"), last(&mut said), true))
            };
        }
        let is_late = request.deadline().is_some_and(|deadline| Instant::now() >= deadline);
        if is_late || !beat() {
            end(&mut child);
            let limit = request.timeout.unwrap_or_default();
            let late = StageError::Late { limit, bytes: [0, 0], brought: 0, worked: began.elapsed() };
            return Err(if is_late { late } else { StageError::Stopped });
        }
        std::thread::sleep(TICK);
    }
}

/// Ends the whole process group.
fn end(child: &mut std::process::Child) {
    let group = Pgid::led_by(Pid::of(child));
    let _ = signal::send(group, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = signal::send(group, Signal::KILL);
    let _ = child.wait();
}

/// Returns the last lines that a program wrote.
fn last(said: &mut File) -> String {
    let length = said.metadata().map_or(0, |found| found.len());
    let mut text = Vec::new();
    let read = said
        .seek(SeekFrom::Start(length.saturating_sub(WORDS)))
        .and_then(|_| Read::take(said, WORDS).read_to_end(&mut text));
    let text = read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_filled_in_wherever_they_are() {
        let template = ["rsync", "-a", "{from}/", "{into}", "--log=x{into}y"].map(str::to_owned);
        assert_eq!(words(&template, "nas:a b", "/d"), ["rsync", "-a", "nas:a b/", "/d", "--log=x/dy"]);
    }
}
