//! Runs probe processes in parallel until they exit or reach a deadline. After the deadline they are ended step by step, and one that
//! cannot be killed is abandoned and reported.

use super::super::facts::{ProbeOutcome, ProbeStop, ProbeWait};
use super::transcript::{self, Transcript};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use sys::Signal;
use sys::embedded_program::{self, EmbeddedChild, EmbeddedProgram, Ended, Executable};
use sys::environment::Environment;

/// Time after SIGTERM. GPUs have frozen after a client of the driver was killed in the middle of an operation.
const TERM: Duration = Duration::from_secs(2);
/// Time after SIGKILL.
const KILL: Duration = Duration::from_secs(1);
/// Longest duration of ending a process.
pub(super) const END: Duration = TERM.saturating_add(KILL);

/// The task of a probe process.
pub(super) struct ProbeJob {
    /// The arguments without the program's name.
    pub words: Vec<String>,
    /// The environment.
    pub environment: Environment,
}

/// The result of a probe process.
#[derive(Default)]
pub(super) struct ProbeResult {
    /// The transcript.
    pub transcript: Transcript,
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What the process wrote to standard error.
    pub stderr: Option<String>,
    /// How long the process ran.
    pub took: Duration,
}

/// Runs all jobs at the same time, and returns their results in the same order.
///
/// # Errors
/// The error of executing the program; then no job runs.
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
        // Each process is examined in every round: the poll would return at once for an exit that was not handled.
        watched.iter_mut().for_each(|one| _ = one.is_over());
        let running: Vec<&WatchedProbe> = watched.iter().filter(|one| one.over.is_none()).collect();
        let Some(until) = running.iter().map(|one| one.due).min() else { break };
        embedded_program::wait(&running.iter().map(|one| &one.child).collect::<Vec<_>>(), until);
    }
    Ok(watched.into_iter().map(WatchedProbe::ran).collect())
}

/// A running program and its deadline.
pub(super) struct WatchedProbe {
    child: EmbeddedChild,
    began: Instant,
    /// The time of the next step towards its end.
    due: Instant,
    stage: ProbeStage,
    /// The state of the process at the deadline, or when SIGKILL failed to end it.
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
    /// Starts the program.
    ///
    /// # Errors
    /// The error of executing it.
    pub(super) fn start(program: &EmbeddedProgram<'_>, timeout: Duration) -> nix::Result<Self> {
        let (child, began) = (EmbeddedChild::start(program)?, Instant::now());
        Ok(WatchedProbe { child, began, due: began + timeout, stage: ProbeStage::Running, waits: None, over: None })
    }

    /// Ends the process early, because another one could not be started.
    fn abandon(&self) {
        self.child.signal(Signal::TERM);
    }

    /// Waits until the process is over.
    pub(super) fn finish(&mut self) {
        while !self.is_over() {
            embedded_program::wait(&[&self.child], self.due);
        }
    }

    /// Examines the process, and takes the step that is due.
    fn is_over(&mut self) -> bool {
        if self.over.is_none() {
            let ended = self.child.ended().map(|ended| self.stop(ended));
            let overdue = Instant::now() >= self.due;
            let stop = ended.or_else(|| overdue.then(|| self.step()).flatten());
            self.over = stop.map(|stop| (stop, self.began.elapsed()));
        }
        self.over.is_some()
    }

    /// Returns how the process ended; after a request to end it counts as overdue, whatever it does.
    fn stop(&self, ended: Ended) -> ProbeStop {
        match (self.stage, ended) {
            (ProbeStage::Running, Ended::Exited(code)) => ProbeStop::Exited(code),
            (ProbeStage::Running, Ended::Killed(signal)) => ProbeStop::Killed(signal.number().into()),
            _ => ProbeStop::Overdue,
        }
    }

    /// Takes the next step towards the end of the process.
    fn step(&mut self) -> Option<ProbeStop> {
        if self.stage != ProbeStage::Asked {
            self.waits = self.child.waits().map(|(state, function)| ProbeWait { state, function });
        }
        let (stage, number, time) = match self.stage {
            ProbeStage::Running => (ProbeStage::Asked, Signal::TERM, TERM),
            ProbeStage::Asked => (ProbeStage::Killed, Signal::KILL, KILL),
            ProbeStage::Killed => return Some(ProbeStop::Unkillable),
        };
        self.child.signal(number);
        (self.stage, self.due) = (stage, Instant::now() + time);
        None
    }

    /// Returns the process's report.
    pub(super) fn said(&self) -> &[u8] {
        self.child.said()
    }

    /// Returns what the process wrote to standard error.
    pub(super) fn complained(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.child.complained()).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Returns the state of the process when it was abandoned or asked to end.
    pub(super) fn waits(&self) -> Option<ProbeWait> {
        self.waits.clone()
    }

    /// Returns how the process ended and how long it ran; valid once it is over.
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
