//! One start of a rehearsal: starts trainit as an engine would, reads its state, stops it, and records events and times. It judges
//! nothing.

use super::job_output::JobOutput;
use super::named_steps::NamedSteps;
use super::seconds_of;
use crate::config::ConfigOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::program;
use checkpoint::Checkpoint;
use protocol::exit_code::{Exit, FailureFamily};
use protocol::state_file::StateRecord;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use supervisor::state_dir;
use sys::{Pid, Signal, proc, process, signal};
use tracing::debug;

/// Interval between two reads of the state.
const LOOK: Duration = Duration::from_millis(20);
/// Time in which a supervisor writes its first state, if it keeps one.
const STATE: Duration = Duration::from_secs(20);
/// Time beyond the grace in which trainit kills the workload and reports the end.
const BEYOND: Duration = Duration::from_secs(30);

/// The plan of a start.
pub(super) struct TrialPlan<'a> {
    /// The options of the command line.
    pub options: &'a ConfigOptions,
    /// The command of the job.
    pub words: &'a [OsString],
    /// The time budget of the stop.
    pub grace: Duration,
    /// How long the preparation may take; `None` for the limit of the configuration.
    pub prepare: Option<Duration>,
    /// When the stop comes.
    pub stop: StopRule,
}

/// When a start is stopped, in times since its workload ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StopRule {
    /// The stop does not come sooner.
    pub least: Duration,
    /// The stop does not come later.
    pub most: Duration,
    /// Until then, the stop waits for the output to name a step.
    pub named: Duration,
}

impl StopRule {
    /// Returns whether the stop is due. Before `most` it waits until the workload handles SIGTERM.
    fn is_due(self, ran: Duration, named: bool, handles: impl FnOnce() -> bool) -> bool {
        ran >= self.most || ran >= self.least && (named || ran >= self.named) && handles()
    }
}

/// The record of a start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trial {
    /// Time until the workload ran; `None` if it never did.
    pub prepared: Option<Duration>,
    /// Time from there to the stop or the workload's own end.
    pub ran: Duration,
    /// The stop; `None` if the workload had ended before.
    pub stop: Option<TrialStop>,
    /// The exit code.
    pub code: u8,
    /// Whether the user interrupted the rehearsal.
    pub broken_off: bool,
    /// The steps that the job's output named.
    pub named: NamedSteps,
}

impl Trial {
    /// Returns the exit code by which trainit refuses a start, where the start ended with such a code.
    pub(super) fn refusal(&self) -> Option<Exit> {
        let of_a_start =
            [Exit::Usage, Exit::Internal, Exit::Config, Exit::PrepareTimeout, Exit::NotExecutable, Exit::NotFound];
        let of_a_check =
            FailureFamily::ALL.into_iter().flat_map(|family| [Exit::Permanent(family), Exit::Transient(family)]);
        of_a_start.into_iter().chain(of_a_check).find(|exit| exit.code() == self.code)
    }
}

/// The stop of a rehearsal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TrialStop {
    /// Seconds since 1970.
    pub at: f64,
    /// Duration of the stop.
    pub took: Duration,
    /// Whether a process of the workload had a handler for SIGTERM.
    pub handled: bool,
    /// The newest checkpoint at the time of the stop.
    pub saved: Option<RehearsedCheckpoint>,
}

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RehearsedCheckpoint {
    /// The path of the file or directory.
    pub path: PathBuf,
    /// How many other files belong to it, where it is a set of files.
    pub others: u64,
    /// The training step, if the name contains it.
    pub step: Option<u64>,
    /// The size in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: f64,
}

impl RehearsedCheckpoint {
    /// Makes the record of a checkpoint.
    pub(super) fn of(found: &Checkpoint) -> Self {
        let modified = seconds_of(found.modified);
        let others = found.others.len() as u64;
        RehearsedCheckpoint { path: found.path.clone(), others, step: found.step, size: found.size, modified }
    }

    /// Formats the checkpoint for a message.
    pub(super) fn words(&self) -> String {
        let step = self.step.map_or(String::new(), |step| format!("step {step}, "));
        let others = match self.others {
            0 => String::new(),
            others => format!(" and {}", protocol::units::count(others, "other file")),
        };
        format!("{}{others} ({step}{})", text::path(&self.path), text::size(self.size))
    }
}

/// Runs one start. `newest` returns the newest checkpoint right before the stop.
///
/// # Errors
/// A start that fails, or that cannot be observed.
pub(super) fn run(
    plan: &TrialPlan<'_>,
    break_off: &AtomicBool,
    newest: &dyn Fn() -> Option<RehearsedCheckpoint>,
) -> Result<Trial> {
    let mut job = TrialJob::start(plan.options, plan.words)?;
    let mut trial = Trial::default();
    let begun = Instant::now();
    let overdue = || plan.prepare.is_some_and(|limit| begun.elapsed() >= limit);
    job.wait_until(break_off, |job| job.runs() || overdue())?;
    if job.runs() {
        trial.prepared = Some(begun.elapsed());
        let running = Instant::now();
        job.wait_until(break_off, |job| {
            let named = !job.output.named.is_empty();
            plan.stop.is_due(running.elapsed(), named, || job.handles_term())
        })?;
        trial.ran = running.elapsed();
    }
    trial.broken_off = break_off.load(Ordering::Relaxed);
    if !job.has_ended() {
        let saved = newest();
        trial.stop = Some(TrialStop { saved, ..job.stop(plan.grace) });
    }
    job.output.pass_on();
    trial.code = job.code();
    trial.named = job.output.named;
    Ok(trial)
}

/// Handles Ctrl-C: the first one interrupts the rehearsal and stops the job normally. A second one ends this process and the job at once.
///
/// # Errors
/// A handler that cannot be installed.
pub(super) fn listen() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let listen = |signal: Signal| {
        let number = i32::from(signal.number());
        signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&flag))?;
        signal_hook::flag::register(number, Arc::clone(&flag)).map(drop)
    };
    let listened: std::io::Result<()> = [Signal::INT, Signal::TERM, Signal::HUP]
        .into_iter()
        .filter(|signal| !signal::is_ignored(*signal))
        .try_for_each(listen);
    listened.map_err(|error| internal("no signals can be heard").caused_by(error))?;
    Ok(flag)
}

struct TrialJob {
    child: Child,
    begun: Instant,
    directory: Option<PathBuf>,
    ended: Option<ExitStatus>,
    output: JobOutput,
}

impl TrialJob {
    /// Starts trainit as an engine does, without a terminal.
    fn start(options: &ConfigOptions, words: &[OsString]) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| internal("trainit's own file").caused_by(error))?;
        let mut command = Command::new(program);
        command.args(["run", "--mode", "train"]);
        command.args(options.config.iter().flat_map(|file| [OsStr::new("--config"), file.as_os_str()]));
        command.args(options.set.iter().flat_map(|set| ["--set", set]));
        command.arg("--").args(words).stdin(Stdio::null()).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        process::die_with_parent(&mut command);
        debug!(target: "program", "{}", text::command(&program::line_of(&command)));
        let mut child = command.spawn().map_err(|error| internal("trainit cannot be started").caused_by(error))?;
        let output = JobOutput::of(&mut child);
        Ok(TrialJob { child, begun: Instant::now(), directory: None, ended: None, output })
    }

    /// Waits until the condition holds, the process has ended, or the user interrupts; returns whether the condition holds.
    fn wait_until(&mut self, break_off: &AtomicBool, mut holds: impl FnMut(&mut Self) -> bool) -> Result<bool> {
        while !self.has_ended() && !break_off.load(Ordering::Relaxed) {
            if holds(self) {
                return Ok(true);
            }
            if self.directory.is_none() && self.begun.elapsed() > STATE {
                self.stop(Duration::ZERO);
                return Err(internal("the rehearsal cannot be watched")
                    .because("there is no state directory")
                    .hint("state_dir: a directory that can be written, on a local file system"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(false)
    }

    /// Returns whether the process has ended, and passes on its output.
    fn has_ended(&mut self) -> bool {
        self.output.pass_on();
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }

    fn pid(&self) -> Pid {
        Pid::of(&self.child)
    }

    fn state(&mut self) -> Option<StateRecord> {
        if self.directory.is_none() {
            // The supervisor is a child of the process that was started here (the guardian in crates/supervisor).
            let supervisors = proc::children(self.pid()).into_iter().chain([self.pid()]);
            self.directory =
                supervisors.into_iter().find_map(|pid| state_dir::directory_of(pid, &super::super::bases()));
        }
        let state = state_dir::read(self.directory.as_ref()?).ok();
        if state.is_none() {
            // The directory changes once the configuration is known.
            self.directory = None;
        }
        state
    }

    fn runs(&mut self) -> bool {
        self.state().is_some_and(|state| state.phase.is_up())
    }

    /// Returns whether a process of the workload handles SIGTERM.
    fn handles_term(&mut self) -> bool {
        let main = self.state().and_then(|state| Pid::new(state.main));
        let all = main.map_or(Vec::new(), |main| [vec![main], proc::descendants(main)].concat());
        let catches = |pid: Pid| proc::status(pid).is_some_and(|status| Signal::TERM.is_in(status.caught));
        all.into_iter().any(catches)
    }

    /// Stops trainit as an engine does. trainit ends the workload after the grace; if trainit itself does not end, it is killed.
    fn stop(&mut self, grace: Duration) -> TrialStop {
        let handled = self.handles_term();
        let (at, begun) = (seconds_of(SystemTime::now()), Instant::now());
        let _ = signal::send(self.pid(), Signal::TERM);
        while !self.has_ended() && begun.elapsed() < grace + BEYOND {
            std::thread::sleep(LOOK);
        }
        if self.ended.is_none() {
            // The descendants would survive trainit's death.
            let all = [vec![self.pid()], proc::descendants(self.pid())].concat();
            for pid in all {
                let _ = signal::send(pid, Signal::KILL);
            }
            self.ended = self.child.wait().ok();
        }
        TrialStop { at, took: begun.elapsed(), handled, saved: None }
    }

    fn code(&self) -> u8 {
        let ended = self.ended.unwrap_or_default();
        let code = ended.code().or_else(|| Some(128 + ended.signal()?)).unwrap_or_default();
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

fn internal(what: &str) -> Error {
    Error::new(ErrorKind::Internal, what)
}
