//! The handover from prepare to PID 1: a close-on-exec pipe of small frames, and the plain structs that go over the pipe.
//!
//! A frame is a length and a body. One write of one or more frames stays below PIPE_BUF and therefore arrives whole.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Longest frame: PIPE_BUF of Linux, so that a write is atomic (pipe(7)).
pub const FRAME_MAX: usize = 4096;

/// Usual length of a frame, for which room is reserved; few frames are longer.
const FRAME_USUAL: usize = 256;

/// Number of attempts to write.
const ATTEMPTS: u32 = 4;

/// Bytes of the length that a frame begins with.
const HEAD: usize = size_of::<u16>();

/// A message from prepare or a helper to PID 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// How to supervise; sent first, as soon as the configuration is known.
    Policy(Box<Policy>),
    /// The phase that prepare is in now.
    Phase(Phase),
    /// The reason why prepare gives up, in a few lines, for the termination log; the exit code follows when prepare ends.
    Refused(String),
    /// prepare is about to exec this command line (shortened to fit).
    Launching(String),
    /// The exec failed.
    Failed {
        /// The error number of execve(2).
        errno: i32,
        /// The program that could not be run.
        name: String,
    },
    /// A helper found the newest complete checkpoint.
    Saved(SavedCheckpoint),
    /// A helper answers a question.
    Answer(bool),
    /// A helper looked for signs of life of the workload.
    Pulse(Heartbeat),
    /// A helper has a line for the log.
    Note(String),
    /// A helper has logged all stacks.
    Dumped,
    /// A helper looked whether the container is used.
    Use(UsageState),
}

/// A complete checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCheckpoint {
    /// Path of the checkpoint.
    pub path: String,
    /// How many other files belong to it, where it is a set of files.
    #[serde(default)]
    pub others: u64,
    /// The training step, where the name or the content of the checkpoint gives one.
    pub step: Option<u64>,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since 1970 when the last byte was written.
    pub modified: f64,
    /// The checkpoint was completed while a helper watched, and was not there before.
    pub fresh: bool,
}

/// Signs of life of the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Bytes that the workload's processes have written since they started, as the kernel counts them; `None` where the kernel does not
    /// say.
    pub written: Option<u64>,
    /// Seconds since 1970 when the heartbeat file was last touched.
    pub heartbeat: f64,
}

/// The result of a look at the container's use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageState {
    /// The sign of use that was seen, in a few words; `None` if nothing was seen.
    pub sign: Option<String>,
    /// Milliseconds of processor time that the workload's processes have had; `None` if that is not known or was not asked for.
    pub processor: Option<u64>,
}

/// When an unused container is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The container is stopped when it was not used for this time.
    pub after: Duration,
    /// TCP ports to which an open connection counts as use.
    pub ports: Vec<u16>,
    /// The signs that count as use.
    pub signs: Vec<UsageSign>,
}

/// A sign that a container is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageSign {
    /// A client is connected to a port of the workload.
    Connections,
    /// A Jupyter kernel computes.
    Kernels,
    /// A person types at a terminal.
    Terminal,
    /// A GPU computes.
    Gpu,
    /// The workload's processes take processor time.
    Cpu,
}

impl UsageSign {
    /// All signs of use.
    pub const ALL: [UsageSign; 5] =
        [UsageSign::Connections, UsageSign::Terminal, UsageSign::Kernels, UsageSign::Gpu, UsageSign::Cpu];
}

/// A task for a child of PID 1, because the task is rich, may block, or needs the workload's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperTask {
    /// Watch the checkpoint directory until PID 1 closes the pipe, then look once more.
    Watch,
    /// Answer whether `stop.done_file` is there.
    DoneFile,
    /// Touch `checkpoint.request_file`.
    RequestSave,
    /// Look for signs of life of the workload, leaving out these processes.
    Pulse(Vec<i32>),
    /// Log what these processes are doing, as far as it can be seen.
    Dump(Vec<i32>),
    /// Look whether the container is used.
    LookForUse {
        /// Typing counts as use for this long.
        within: Duration,
    },
    /// Write this line to every terminal in the container.
    TellTerminals(String),
    /// Run the hooks of `hooks.after_stop`.
    AfterStop {
        /// Time for all hooks together.
        time: Duration,
        /// Exit code that the container is going to end with.
        code: u8,
    },
    /// Write the JSON report of a preparation that was killed and could not write it.
    Report {
        /// How the preparation ended, in words.
        how: String,
        /// Exit code of the container.
        code: u8,
    },
}

/// The phase of a container between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading the configuration, and deciding on the mode and the user.
    #[default]
    Configuring,
    /// Running the hooks of a start.
    Hooks,
    /// Running checks.
    Checking,
    /// Installing dependencies.
    Installing,
    /// About to become the workload.
    Starting,
    /// The workload runs.
    Running,
    /// The workload was asked for a checkpoint and goes on afterwards.
    Checkpointing,
    /// A stop was asked for; the workload may be saving.
    Stopping,
    /// A failed container is kept open for a person.
    Holding,
    /// Ended.
    Ended,
}

impl Phase {
    /// Returns the phase as a word.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Configuring => "configuring",
            Phase::Hooks => "hooks",
            Phase::Checking => "checking",
            Phase::Installing => "installing",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Checkpointing => "checkpointing",
            Phase::Stopping => "stopping",
            Phase::Holding => "holding",
            Phase::Ended => "ended",
        }
    }

    /// Returns what prepare does in this phase, to end a sentence with: `killed while installing dependencies`.
    pub const fn activity(self) -> &'static str {
        match self {
            Phase::Configuring => "reading the configuration",
            Phase::Hooks => "running hooks",
            Phase::Checking => "running checks",
            Phase::Installing => "installing dependencies",
            Phase::Starting => "starting the workload",
            Phase::Running | Phase::Checkpointing | Phase::Stopping | Phase::Holding | Phase::Ended => "running",
        }
    }
}

/// The two kinds of workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadKind {
    /// Unattended: a training has an end, and may be interrupted and resumed.
    #[default]
    Train,
    /// Interactive: a person waits for it.
    Build,
}

/// Which signal asks the workload to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// The signal that arrived if it is TERM or INT, else TERM.
    #[default]
    Same,
    /// Always the signal with this number.
    Number(i32),
}

/// The processes that a stop or checkpoint signal is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The trainer behind shell wrappers if there are any, else the main process.
    #[default]
    Auto,
    /// The main process.
    Main,
    /// The main process's process group.
    Group,
    /// Every descendant.
    Tree,
}

/// The meaning of a signal to PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalMeaning {
    /// Stop the workload.
    Stop,
    /// Ask for a checkpoint and go on.
    Checkpoint,
    /// Pass the signal to the workload.
    Forward,
    /// Do nothing.
    Ignore,
}

/// How PID 1 supervises: every setting that PID 1 needs, already parsed.
///
/// Each part of the supervisor gets its own part of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The kind of workload.
    pub kind: WorkloadKind,
    /// The mode's name, for status and the last line.
    pub mode: String,
    /// The service that the workload offers; `None` if none is known.
    pub service: Option<Service>,
    /// The state directory; `None` if no state is kept.
    pub run_dir: Option<String>,
    /// The state directory exists already.
    pub run_dir_made: bool,
    /// Deadline for all of prepare.
    pub prepare_timeout: Option<Duration>,
    /// The workload's user; `None` if that is PID 1's user.
    pub user: Option<TargetUser>,
    /// Names of the modes that run as sidecars.
    pub sidecars: Vec<String>,
    /// The meaning and the targets of signals.
    pub signals: SignalPolicy,
    /// How a stop works, and what follows an end.
    pub stop: StopPolicy,
    /// How the container's exit code is made.
    pub exit: ExitPolicy,
    /// How checkpoints are asked for and seen.
    pub checkpoint: CheckpointPolicy,
    /// When the workload is started again in the same container.
    pub restart: Restart,
    /// When the workload counts as hanging.
    pub watchdog: Watchdog,
    /// When an unused or old container is stopped.
    pub idle: IdlePolicy,
    /// The log and the report.
    pub report: ReportPolicy,
    /// How a failed container is kept open for a person; `None` if it is not.
    pub hold: Option<HoldPolicy>,
}

/// The meaning and the targets of signals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalPolicy {
    /// The processes that a stop signal, a checkpoint request and a forwarded signal go to.
    pub scope: Scope,
    /// Meanings of single signals that differ from the built-in table.
    pub on: Vec<(i32, SignalMeaning)>,
    /// Signals that are replaced before their meaning is looked up; 0 drops the signal.
    pub rewrite: Vec<(i32, i32)>,
}

/// How a workload is stopped, and what follows its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPolicy {
    /// The whole budget from the stop signal to the last SIGKILL; `None` means that trainit never kills.
    pub grace: Option<Duration>,
    /// Where the grace was set, in a few words.
    pub grace_from: String,
    /// Time between TERM and KILL for leftover processes after a natural end.
    pub drain: Duration,
    /// The signal that stops the workload.
    pub signal: StopSignal,
    /// A file whose presence says that training was complete.
    pub done_file: Option<String>,
    /// Hooks that run when the workload has ended for good.
    pub after_stop: Option<AfterStop>,
}

/// How the exit code of the container follows from the workload's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitPolicy {
    /// The exit code of a workload that ended because of a stop; `None` means the workload's own.
    pub stop_code: Option<u8>,
    /// Codes with which this trainer ends after an orderly stop (torchrun: 1).
    pub trainer_codes: Vec<u8>,
    /// Pairs of a code and its replacement, applied last.
    pub map: Vec<(u8, u8)>,
}

/// How checkpoints are asked for and seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPolicy {
    /// Where checkpoints appear, and what a complete one looks like; `None` if nothing is watched.
    pub watched: Option<Checkpoints>,
    /// The signal that makes the trainer save and continue.
    pub signal: Option<i32>,
    /// The file that makes the trainer save and continue.
    pub request_file: Option<String>,
}

/// When PID 1 stops the workload by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdlePolicy {
    /// When an unused container is stopped; `None` means never.
    pub unused: Option<Idle>,
    /// How long the container may live; `None` means without a limit.
    pub lifetime: Option<Duration>,
}

/// The log and the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPolicy {
    /// Path of the JSON report, which may not be written yet.
    pub file: Option<String>,
    /// Log lines are JSON objects.
    pub json: bool,
    /// The lowest level that is logged.
    pub level: Level,
    /// Each reaped orphan is logged.
    pub tell_orphans: bool,
}

/// A service of the workload, and how trainit sees that it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The TCP port that the service listens on.
    pub port: u16,
    /// The address that the service answers at, seen from inside the container.
    pub address: String,
    /// HTTP path that answers a GET with a status below 500 when the service is ready; `None` if a TCP connection is enough.
    pub path: Option<String>,
}

impl Service {
    /// Returns a service on this port of the loopback device that is ready when it accepts a connection.
    pub fn on(port: u16) -> Self {
        Service { port, address: "127.0.0.1".to_owned(), path: None }
    }
}

/// A user other than PID 1's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetUser {
    /// The user's number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The line is for information.
    #[default]
    Info,
    /// The line reports possible harm later.
    Warn,
    /// The line reports harm now.
    Error,
}

/// Where checkpoints appear, and what they look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// The directory that is watched.
    pub dir: String,
    /// The trainer's family, as configured.
    pub family: String,
    /// The pattern of a checkpoint's name, as configured.
    pub pattern: Option<String>,
}

/// Hooks that run when the workload has ended for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterStop {
    /// Directories, or single files.
    pub paths: Vec<String>,
    /// Time limit of each hook.
    pub timeout: Option<Duration>,
    /// The locked variables whose values differ from those that the container was started with; `None` for a value that stands in a file
    /// and cannot be known here.
    pub locked: Vec<(String, Option<String>)>,
}

/// How a failed container is kept open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPolicy {
    /// How long the container is kept open.
    pub time: Duration,
    /// Lines that tell a person what to type to look inside.
    pub look: String,
}

/// When the workload is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Most restarts in a row; 0 means none.
    pub max: u32,
    /// Exit codes that lead to a restart; empty means any but 0.
    pub codes: Vec<u8>,
    /// The first pause, which doubles from one restart to the next up to `pause_max`.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// A run that lasted this long was healthy, and restarts are counted from 0 again.
    pub healthy: Duration,
}

/// How long a workload may show no progress, and what happens then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    /// Longest time in which no process of the workload writes a byte.
    pub output: Option<Duration>,
    /// Longest time in which the heartbeat file is not touched.
    pub heartbeat: Option<Duration>,
    /// Longest time without a new complete checkpoint.
    pub checkpoint: Option<Duration>,
    /// The consequence for a workload that hangs.
    pub action: OnHang,
    /// The signal that makes the trainer print its stacks.
    pub stack_signal: Option<i32>,
}

impl Watchdog {
    /// Returns the shortest of the limits; `None` if nothing is watched.
    pub fn shortest(&self) -> Option<Duration> {
        [self.output, self.heartbeat, self.checkpoint].into_iter().flatten().min()
    }
}

/// The consequence for a workload that hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHang {
    /// The hang is logged, with stacks.
    #[default]
    Log,
    /// The workload is killed, and started again as `restart` says.
    Restart,
    /// The workload is killed and not started again.
    Abort,
}

/// The writing end of the handover, which drops every message where no supervisor listens.
#[derive(Debug)]
pub struct HandoverWriter {
    fd: Option<OwnedFd>,
    /// Frames that are sent together with the next message.
    kept: RefCell<Vec<u8>>,
}

impl HandoverWriter {
    /// Returns a writer to PID 1.
    pub fn to(fd: OwnedFd) -> Self {
        HandoverWriter { fd: Some(fd), kept: RefCell::default() }
    }

    /// Returns a writer that drops everything, for a start without a supervisor.
    pub fn none() -> Self {
        HandoverWriter { fd: None, kept: RefCell::default() }
    }

    /// Returns whether a supervisor listens.
    pub fn supervised(&self) -> bool {
        self.fd.is_some()
    }

    /// Returns the descriptor, which a fork without exec must close.
    pub fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.fd.as_ref().map(std::os::fd::AsFd::as_fd)
    }

    /// Sends one message.
    ///
    /// A supervisor that is gone, or a message that does not fit, must not stop prepare, so both are ignored.
    pub fn send(&self, message: &Message) {
        self.keep(message);
        self.send_kept();
    }

    /// Keeps a message for the next one that is sent, so that PID 1 wakes only once for both; returns whether it fits.
    pub fn keep(&self, message: &Message) -> bool {
        if !self.supervised() {
            return true;
        }
        let Some(frame) = frame(message) else { return false };
        if self.kept.borrow().len() + frame.len() > FRAME_MAX {
            self.send_kept();
        }
        self.kept.borrow_mut().extend(frame);
        true
    }

    /// Sends the kept messages.
    pub fn send_kept(&self) {
        let kept = self.kept.take();
        if let Some(fd) = self.fd.as_ref().filter(|_| !kept.is_empty()) {
            // A message that is lost to an interruption would never be sent again.
            let _ = (0..ATTEMPTS).any(|_| nix::unistd::write(fd, &kept).is_ok());
        }
    }

    /// Closes this end; every fork that does not exec calls this first.
    pub fn close(&mut self) {
        self.fd = None;
    }
}

/// Encodes a message as a frame; `None` if the message does not fit.
fn frame(message: &Message) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(FRAME_USUAL);
    frame.extend([0; HEAD]);
    let mut frame = postcard::to_extend(message, frame).ok().filter(|frame| frame.len() <= FRAME_MAX)?;
    let length = u16::try_from(frame.len() - HEAD).ok()?;
    frame.first_chunk_mut::<HEAD>()?.copy_from_slice(&length.to_le_bytes());
    Some(frame)
}

/// Splits the first whole frame off `bytes`; returns the message, if it can be decoded, and the length to drop.
pub fn split(bytes: &[u8]) -> Option<(Option<Message>, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_le_bytes(*head));
    let body = rest.get(..length)?;
    Some((postcard::from_bytes(body).ok(), length + HEAD))
}
