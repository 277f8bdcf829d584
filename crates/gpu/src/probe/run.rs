//! Runs helpers side by side, to their end or to a deadline; then they are ended step by step, and one that does not even die is
//! given up and named.

use super::super::facts::{ProbeOutcome, ProbeStop, ProbeWait};
use super::transcript::{self, Transcript};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use sys::embedded_program::{self, EmbeddedChild, EmbeddedProgram, Ended, Executable};
use sys::environment::Environment;

/// After SIGTERM. A client of the driver that is killed in the middle of something has frozen GPUs before.
const TERM: Duration = Duration::from_secs(2);
/// After SIGKILL.
const KILL: Duration = Duration::from_secs(1);
/// How long ending takes at most.
pub(super) const END: Duration = TERM.saturating_add(KILL);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// What a helper is to do.
pub(super) struct ProbeJob {
    /// Its words, without its name.
    pub words: Vec<String>,
    /// Its environment.
    pub environment: Environment,
}

/// What became of it.
#[derive(Default)]
pub(super) struct ProbeResult {
    /// What it said.
    pub transcript: Transcript,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// What was written to its standard error.
    pub stderr: Option<String>,
    /// How long it ran.
    pub took: Duration,
}

/// Runs all jobs at the same time, and gives what became of them in the same order.
///
/// # Errors
/// What executing the helper says; then none of them runs.
pub(super) fn all(image: &OwnedFd, jobs: &[ProbeJob], timeout: Duration) -> nix::Result<Vec<ProbeResult>> {
    let mut watched = Vec::new();
    for job in jobs {
        let words = std::iter::once("gpu-helper").chain(job.words.iter().map(String::as_str));
        let argv = words.filter_map(|word| CString::new(word).ok()).collect();
        let program = EmbeddedProgram {
            file: Executable::Open(image),
            argv,
            environment: job.environment.to_envp(),
            to_stdout: false,
        };
        watched.push(
            WatchedProbe::start(&program, timeout).inspect_err(|_| watched.iter().for_each(WatchedProbe::abandon))?,
        );
    }
    loop {
        // Each is looked at every time: one that has ended and is not seen to would be waited for again and again.
        watched.iter_mut().for_each(|one| _ = one.is_over());
        let running: Vec<&WatchedProbe> = watched.iter().filter(|one| one.over.is_none()).collect();
        let Some(until) = running.iter().map(|one| one.due).min() else { break };
        embedded_program::wait(&running.iter().map(|one| &one.child).collect::<Vec<_>>(), until);
    }
    Ok(watched.into_iter().map(WatchedProbe::ran).collect())
}

/// A program that runs, and is seen to its end.
pub(super) struct WatchedProbe {
    child: EmbeddedChild,
    began: Instant,
    /// When the next step towards its end is due.
    due: Instant,
    stage: ProbeStage,
    /// What it was at when the deadline came, or when not even SIGKILL ended it.
    waits: Option<ProbeWait>,
    over: Option<(ProbeStop, Duration)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProbeStage {
    Running,
    Asked,
    Killed,
}

impl WatchedProbe {
    /// Starts it.
    ///
    /// # Errors
    /// What executing it says.
    pub(super) fn start(program: &EmbeddedProgram<'_>, timeout: Duration) -> nix::Result<Self> {
        let (child, began) = (EmbeddedChild::start(program)?, Instant::now());
        Ok(WatchedProbe { child, began, due: began + timeout, stage: ProbeStage::Running, waits: None, over: None })
    }

    /// Another could not be started: this one is not needed.
    fn abandon(&self) {
        self.child.signal(SIGTERM);
    }

    /// Waits until it is over.
    pub(super) fn finish(&mut self) {
        while !self.is_over() {
            embedded_program::wait(&[&self.child], self.due);
        }
    }

    /// Looks at it, and takes the step that is due.
    fn is_over(&mut self) -> bool {
        if self.over.is_none() {
            let ended = self.child.ended().map(|ended| self.stop(ended));
            let overdue = Instant::now() >= self.due;
            let stop = ended.or_else(|| overdue.then(|| self.step()).flatten());
            self.over = stop.map(|stop| (stop, self.began.elapsed()));
        }
        self.over.is_some()
    }

    /// How it ended; whatever it does after it was asked to end, it was overdue.
    fn stop(&self, ended: Ended) -> ProbeStop {
        match (self.stage, ended) {
            (ProbeStage::Running, Ended::Exited(code)) => ProbeStop::Exited(code),
            (ProbeStage::Running, Ended::Killed(number)) => ProbeStop::Killed(number),
            _ => ProbeStop::Overdue,
        }
    }

    /// The next step towards its end.
    fn step(&mut self) -> Option<ProbeStop> {
        if self.stage != ProbeStage::Asked {
            self.waits = self.child.waits().map(|(state, function)| ProbeWait { state, function });
        }
        let (stage, number, time) = match self.stage {
            ProbeStage::Running => (ProbeStage::Asked, SIGTERM, TERM),
            ProbeStage::Asked => (ProbeStage::Killed, SIGKILL, KILL),
            ProbeStage::Killed => return Some(ProbeStop::Unkillable),
        };
        self.child.signal(number);
        (self.stage, self.due) = (stage, Instant::now() + time);
        None
    }

    /// What it said.
    pub(super) fn said(&self) -> &[u8] {
        self.child.said()
    }

    /// What was written to its standard error.
    pub(super) fn complained(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.child.complained()).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// What it was at when it was given up, or asked to end.
    pub(super) fn waits(&self) -> Option<ProbeWait> {
        self.waits.clone()
    }

    /// How it ended, and how long it ran; once it is over.
    pub(super) fn end(&self) -> (ProbeStop, Duration) {
        self.over.unwrap_or((ProbeStop::Overdue, self.began.elapsed()))
    }

    fn ran(self) -> ProbeResult {
        let (stop, took) = self.end();
        let transcript = transcript::parse(self.said());
        let outcome = transcript.outcome(stop, self.waits());
        ProbeResult { outcome, stderr: self.complained(), transcript, took }
    }
}
