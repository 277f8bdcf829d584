//! The rehearsal itself: starts trainit as an engine would, watches its state, stops it, and notes what happened and when. Judges
//! nothing.

use super::seconds_of;
use crate::config::ConfigOptions;
use crate::error::{Error, Result};
use crate::program;
use checkpoint::Checkpoint;
use protocol::exit_code::Exit;
use protocol::handover::Phase;
use protocol::state_file::StateRecord;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::ffi::{OsStr, OsString, c_int};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use supervisor::state_dir;
use sys::{proc, process, signal};
use tracing::debug;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// A supervisor keeps its state somewhere within this time, or nowhere.
const STATE: Duration = Duration::from_secs(20);
/// What trainit has beyond the grace to kill and to tell how it ended.
const BEYOND: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// How long it took until the workload ran; none: it never did.
    pub prepared: Option<Duration>,
    /// How long it ran until the stop or its own end.
    pub ran: Duration,
    /// The stop; none: it had ended before.
    pub stop: Option<TrialStop>,
    /// What the whole ended with.
    pub code: u8,
    /// Somebody broke it off.
    pub broken_off: bool,
}

/// The stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialStop {
    /// Seconds since 1970.
    pub at: f64,
    /// How long it took.
    pub took: Duration,
    /// Somebody in the workload had a handler for SIGTERM.
    pub handled: bool,
    /// The newest checkpoint that was there by then.
    pub saved: Option<RehearsedCheckpoint>,
}

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RehearsedCheckpoint {
    /// The file or directory.
    pub path: PathBuf,
    /// The training step, where its name says it.
    pub step: Option<u64>,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: f64,
}

impl RehearsedCheckpoint {
    /// Takes over what a rehearsal has to know of a checkpoint.
    pub fn of(found: &Checkpoint) -> Self {
        let modified = seconds_of(found.modified);
        RehearsedCheckpoint { path: found.path.clone(), step: found.step, size: found.size, modified }
    }

    /// Names it for a message.
    pub fn words(&self) -> String {
        let step = self.step.map_or(String::new(), |step| format!("step {step}, "));
        format!("{} ({step}{})", text::path(&self.path), text::size(self.size))
    }
}

/// Runs it. `newest` looks for the newest checkpoint, right before the stop.
///
/// # Errors
/// It cannot be started or watched.
pub fn run(
    options: &ConfigOptions,
    words: &[OsString],
    after: Duration,
    grace: Duration,
    newest: &dyn Fn() -> Option<RehearsedCheckpoint>,
) -> Result<Trial> {
    let break_off = listen().map_err(|error| internal("no signals can be heard", &error.to_string()))?;
    let mut job = TrialJob::start(options, words)?;
    let mut trial = Trial::default();
    let begun = Instant::now();
    if job.wait_until(&break_off, |job| job.runs())? {
        trial.prepared = Some(begun.elapsed());
        let running = Instant::now();
        job.wait_until(&break_off, |_| running.elapsed() >= after)?;
        trial.ran = running.elapsed();
    }
    trial.broken_off = break_off.load(Ordering::Relaxed);
    if job.ended.is_none() {
        let saved = newest();
        trial.stop = Some(TrialStop { saved, ..job.stop(grace) });
    }
    trial.code = job.code();
    Ok(trial)
}

/// A Ctrl-C breaks the rehearsal off, and with it the job in good order; a second one ends us at once, and the job with us.
fn listen() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&flag))?;
        signal_hook::flag::register(number, Arc::clone(&flag))?;
    }
    Ok(flag)
}

struct TrialJob {
    child: Child,
    begun: Instant,
    directory: Option<PathBuf>,
    ended: Option<ExitStatus>,
}

impl TrialJob {
    /// As an engine starts it: nobody at the terminal.
    fn start(options: &ConfigOptions, words: &[OsString]) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| internal("trainit's own file", &error.to_string()))?;
        let mut command = Command::new(program);
        command.args(["run", "--mode", "train"]);
        command.args(options.config.iter().flat_map(|file| [OsStr::new("--config"), file.as_os_str()]));
        command.args(options.set.iter().flat_map(|set| ["--set", set]));
        command.arg("--").args(words).stdin(Stdio::null()).process_group(0);
        process::die_with_parent(&mut command);
        debug!(target: "program", "{}", text::command(&program::line_of(&command)));
        let child = command.spawn().map_err(|error| internal("trainit cannot be started", &error.to_string()))?;
        Ok(TrialJob { child, begun: Instant::now(), directory: None, ended: None })
    }

    /// Until it holds, it has ended, or somebody breaks it off. Says whether it holds.
    fn wait_until(&mut self, break_off: &AtomicBool, mut holds: impl FnMut(&mut Self) -> bool) -> Result<bool> {
        while !self.has_ended() && !break_off.load(Ordering::Relaxed) {
            if holds(self) {
                return Ok(true);
            }
            if self.directory.is_none() && self.begun.elapsed() > STATE {
                self.stop(Duration::ZERO);
                return Err(internal("the rehearsal cannot be watched", "there is no state directory")
                    .hint("state_dir: a directory that can be written, on a local file system"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(false)
    }

    fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }

    fn pid(&self) -> c_int {
        self.child.id() as c_int
    }

    fn state(&mut self) -> Option<StateRecord> {
        if self.directory.is_none() {
            // The supervisor is a child of the process that was started here (supervise/guardian.rs).
            let supervisors = proc::children(self.pid()).into_iter().chain([self.pid()]);
            self.directory =
                supervisors.into_iter().find_map(|pid| state_dir::directory_of(pid, &super::super::bases()));
        }
        let state = state_dir::read(self.directory.as_ref()?).ok();
        if state.is_none() {
            // It is kept elsewhere once the configuration is known.
            self.directory = None;
        }
        state
    }

    fn runs(&mut self) -> bool {
        self.state().is_some_and(|state| matches!(state.phase, Phase::Running | Phase::Checkpointing))
    }

    /// Anybody of the workload.
    fn handles_term(&mut self) -> bool {
        let all = self.state().map_or(Vec::new(), |state| [vec![state.main], proc::descendants(state.main)].concat());
        let catches =
            |pid: c_int| proc::status(pid).is_some_and(|status| signal::contains(status.caught, libc::SIGTERM));
        all.into_iter().any(catches)
    }

    /// As an engine does it. trainit ends it when the grace is over; only if trainit itself does not end, it is killed.
    fn stop(&mut self, grace: Duration) -> TrialStop {
        let handled = self.handles_term();
        let (at, begun) = (seconds_of(SystemTime::now()), Instant::now());
        let _ = signal::send(self.pid(), libc::SIGTERM);
        while !self.has_ended() && begun.elapsed() < grace + BEYOND {
            std::thread::sleep(LOOK);
        }
        if self.ended.is_none() {
            // What is below it would live on without it.
            let all = [vec![self.pid()], proc::descendants(self.pid())].concat();
            for pid in all {
                let _ = signal::send(pid, libc::SIGKILL);
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

fn internal(what: &str, because: &str) -> Error {
    Error::new(Exit::Internal, what).because(because)
}
