//! The only door between prepare and supervise: a close-on-exec pipe of small frames, and the plain structs that go over
//! it. Knows nobody. A frame is a length and a body; one write, of one frame or a few, stays below PIPE_BUF and arrives whole.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Longest frame: PIPE_BUF of Linux, so that a write is atomic (pipe(7)).
pub const FRAME_MAX: usize = 4096;

/// Few frames are longer.
const FRAME_USUAL: usize = 256;

/// Number of attempts to write.
const ATTEMPTS: u32 = 4;

/// A frame begins with the length of what follows, in so many bytes.
const HEAD: usize = size_of::<u16>();

/// What prepare tells PID 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// How to supervise; sent first, as soon as the configuration is known.
    Policy(Box<Policy>),
    /// What prepare is doing now.
    Phase(Phase),
    /// Why prepare gives up, in a few lines, for the termination log; the exit code follows with prepare's end.
    Refused(String),
    /// The next thing is exec of this command line (shortened to fit).
    Launching(String),
    /// exec failed: errno, and the name that could not be run.
    Failed {
        /// The error number of execve(2).
        errno: i32,
        /// The word that was looked up.
        name: String,
    },
    /// An errand found the newest complete checkpoint.
    Saved(SavedCheckpoint),
    /// An errand's answer to a question.
    Answer(bool),
    /// An errand looked for signs of life.
    Pulse(Heartbeat),
    /// An errand has a line for the person who reads the log.
    Note(String),
    /// All stacks have been told.
    Dumped,
    /// An errand looked whether the container is used.
    Use(UsageState),
}

/// A complete checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCheckpoint {
    /// Where it is.
    pub path: String,
    /// The training step, if its name or content tells.
    pub step: Option<u64>,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 when its last byte was written.
    pub modified: f64,
    /// It appeared while somebody watched, and was not there before.
    pub fresh: bool,
}

/// Signs of life of the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Bytes that its processes have written since they started, as the kernel counts them; none where it does not tell us.
    pub written: Option<u64>,
    /// Seconds since 1970 when the heartbeat file was last touched.
    pub heartbeat: f64,
}

/// Whether the container is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageState {
    /// By whom, in a few words; none: nothing was seen.
    pub sign: Option<String>,
    /// Milliseconds of processor time that its processes have had; none: not known, or not asked for.
    pub processor: Option<u64>,
}

/// When a container that nobody uses is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// It was not used for so long.
    pub after: Duration,
    /// TCP ports that a connection to is use.
    pub ports: Vec<u16>,
    /// What is taken for use.
    pub signs: Vec<UsageSign>,
}

/// What is taken for use of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageSign {
    /// Somebody is connected to what it serves.
    Connections,
    /// A Jupyter kernel computes.
    Kernels,
    /// Somebody types at a terminal.
    Terminal,
    /// A GPU computes.
    Gpu,
    /// Its processes take processor time.
    Cpu,
}

impl UsageSign {
    /// All of them.
    pub const ALL: [UsageSign; 5] =
        [UsageSign::Connections, UsageSign::Terminal, UsageSign::Kernels, UsageSign::Gpu, UsageSign::Cpu];
}

/// What PID 1 has done by a child of its own, because it is rich, may block, or needs the workload's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperTask {
    /// Watch the checkpoint directory until told to end; then look once more.
    Watch,
    /// Say whether `stop.done_file` is there.
    DoneFile,
    /// Touch `checkpoint.request_file`.
    RequestSave,
    /// Look for signs of life of the workload, which are not those of these processes.
    Pulse(Vec<i32>),
    /// Tell what these processes are doing, as far as it can be seen.
    Dump(Vec<i32>),
    /// Look whether the container is used.
    LookForUse {
        /// What was typed longer ago does not count.
        within: Duration,
    },
    /// Write this line to every terminal in the container.
    TellTerminals(String),
    /// Run the hooks of `hooks.after_stop`.
    AfterStop {
        /// All of them together may take so long.
        time: Duration,
        /// What the whole is going to end with.
        code: u8,
    },
    /// Write the JSON report of a preparation that was killed, and so could not.
    Report {
        /// How it ended, in words.
        how: String,
        /// What the container ends with.
        code: u8,
    },
}

/// Where a container is between start and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading the configuration, finding out the mode and the user.
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
    /// Over.
    Ended,
}

impl Phase {
    /// The phase as a word.
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

    /// What prepare does in this phase, for a sentence that ends with it: `killed while installing dependencies`.
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
    /// Unattended: has a finish, may be interrupted and resumed.
    #[default]
    Train,
    /// Interactive: a person waits.
    Build,
}

/// Which signal asks the workload to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// What arrived: TERM for TERM, INT for INT, else TERM.
    #[default]
    Same,
    /// Always this number.
    Number(i32),
}

/// Whom a stop or checkpoint signal is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The trainer behind shell wrappers, else the main process.
    #[default]
    Auto,
    /// The main process.
    Main,
    /// The main process's group.
    Group,
    /// Every descendant.
    Tree,
}

/// What a signal to PID 1 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalMeaning {
    /// Stop the workload.
    Stop,
    /// Ask for a checkpoint and go on.
    Checkpoint,
    /// Pass it to the workload.
    Forward,
    /// Do nothing.
    Ignore,
}

/// How PID 1 supervises. Everything a user decided that it must know, and nothing it would have to parse. Each part of the
/// supervisor gets its own part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Train or build.
    pub kind: WorkloadKind,
    /// The mode's name, for status and the last line.
    pub mode: String,
    /// What the workload serves; `None`: nothing that is known.
    pub service: Option<Service>,
    /// The state directory; `None`: no state is kept.
    pub run_dir: Option<String>,
    /// It is there already.
    pub run_dir_made: bool,
    /// Deadline for all of prepare.
    pub prepare_timeout: Option<Duration>,
    /// The workload's user, where it is another one than PID 1's.
    pub user: Option<TargetUser>,
    /// Modes that run beside the main one, by name.
    pub sidecars: Vec<String>,
    /// What signals mean, and where they go.
    pub signals: SignalPolicy,
    /// Stopping, and what follows an end.
    pub stop: StopPolicy,
    /// The exit code of the whole.
    pub exit: ExitPolicy,
    /// Asking for checkpoints, and seeing them.
    pub checkpoint: CheckpointPolicy,
    /// Starting again in the same container.
    pub restart: Restart,
    /// Noticing that nothing happens any more.
    pub watchdog: Watchdog,
    /// Stopping what is not used, or has lived long enough.
    pub idle: IdlePolicy,
    /// What is told, and how.
    pub report: ReportPolicy,
    /// A failed container is kept open for a person.
    pub hold: Option<HoldPolicy>,
}

/// What signals mean, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalPolicy {
    /// Whom a stop, a request for a checkpoint and a forwarded signal go to.
    pub scope: Scope,
    /// What single signals mean, where it differs from the built-in table.
    pub on: Vec<(i32, SignalMeaning)>,
    /// One signal becomes another before it means anything; 0: it is dropped.
    pub rewrite: Vec<(i32, i32)>,
}

/// How a workload is stopped, and what follows its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPolicy {
    /// The whole budget from the stop signal to the last SIGKILL; `None`: never kill.
    pub grace: Option<Duration>,
    /// Where the grace was set, in a few words.
    pub grace_from: String,
    /// After a natural end: from TERM to KILL for what is left.
    pub drain: Duration,
    /// Which signal stops.
    pub signal: StopSignal,
    /// A file that says that training was complete.
    pub done_file: Option<String>,
    /// Hooks for when the workload has ended for good.
    pub after_stop: Option<AfterStop>,
}

/// How the exit code of the whole follows from the workload's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitPolicy {
    /// The code of a workload that ended because it was asked to; `None`: its own.
    pub stop_code: Option<u8>,
    /// Codes with which this trainer ends when it was stopped in good order (torchrun: 1).
    pub trainer_codes: Vec<u8>,
    /// `FROM` → `TO`, applied last.
    pub map: Vec<(u8, u8)>,
}

/// How checkpoints are asked for and seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPolicy {
    /// Where checkpoints appear, and how a complete one looks; `None`: nothing is watched.
    pub watched: Option<Checkpoints>,
    /// The signal that makes the trainer save and go on.
    pub signal: Option<i32>,
    /// The file that makes it do so.
    pub request_file: Option<String>,
}

/// When PID 1 stops the workload by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdlePolicy {
    /// Stopping what is not used.
    pub unused: Option<Idle>,
    /// How long the container may live.
    pub lifetime: Option<Duration>,
}

/// What is told, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPolicy {
    /// Where the JSON report is, or is going to be.
    pub file: Option<String>,
    /// Lines as JSON objects.
    pub json: bool,
    /// The least that is told.
    pub level: Level,
    /// A line for each orphan that is reaped.
    pub tell_orphans: bool,
}

/// What the workload serves, and how it is seen whether it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The TCP port that it listens on.
    pub port: u16,
    /// The address at which it answers from inside of the container.
    pub address: String,
    /// It is ready when an HTTP GET of this path is answered with less than 500; none: when it takes a connection.
    pub path: Option<String>,
}

impl Service {
    /// Something on this port of the loopback device that is ready when it takes a connection.
    pub fn on(port: u16) -> Self {
        Service { port, address: "127.0.0.1".to_owned(), path: None }
    }
}

/// A user whom PID 1 is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetUser {
    /// Its number.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its other groups.
    pub groups: Vec<u32>,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    #[default]
    Info,
    /// May hurt later.
    Warn,
    /// It hurts.
    Error,
}

/// Where checkpoints appear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// The directory.
    pub dir: String,
    /// The trainer's family, as configured.
    pub family: String,
    /// How a checkpoint's name looks, as configured.
    pub pattern: Option<String>,
}

/// Hooks for when the workload has ended for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterStop {
    /// Directories, or single files.
    pub paths: Vec<String>,
    /// How long each may take.
    pub timeout: Option<Duration>,
    /// The locked variables that are other than what the container was started with, and their values; `None`: not to be known here,
    /// since it stands in a file.
    pub locked: Vec<(String, Option<String>)>,
}

/// How a failed container is kept open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPolicy {
    /// For so long.
    pub time: Duration,
    /// What a person types who wants to look, as lines.
    pub look: String,
}

/// When the workload is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// How often in a row; 0: never.
    pub max: u32,
    /// After which exit codes; empty: any but 0.
    pub codes: Vec<u8>,
    /// The first pause; it doubles from one time to the next …
    pub pause: Duration,
    /// … up to this.
    pub pause_max: Duration,
    /// A run that lasted so long was healthy: counting begins anew.
    pub healthy: Duration,
}

/// How long nothing may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    /// No process of the workload writes a byte.
    pub output: Option<Duration>,
    /// The heartbeat file is not touched.
    pub heartbeat: Option<Duration>,
    /// No new checkpoint is complete.
    pub checkpoint: Option<Duration>,
    /// What then happens.
    pub action: OnHang,
    /// The signal that makes the trainer tell its stacks.
    pub stack_signal: Option<i32>,
}

impl Watchdog {
    /// The shortest of the limits; none: nothing is watched.
    pub fn shortest(&self) -> Option<Duration> {
        [self.output, self.heartbeat, self.checkpoint].into_iter().flatten().min()
    }
}

/// What happens to a workload that hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHang {
    /// It is told, with stacks.
    #[default]
    Log,
    /// It is killed, and started again as `restart` says.
    Restart,
    /// It is killed, and that is the end.
    Abort,
}

/// The writing end. Cheap to have when nobody supervises: then every message is dropped.
#[derive(Debug)]
pub struct HandoverWriter {
    fd: Option<OwnedFd>,
    /// Frames that go with the next message.
    kept: RefCell<Vec<u8>>,
}

impl HandoverWriter {
    /// A door to PID 1.
    pub fn to(fd: OwnedFd) -> Self {
        HandoverWriter { fd: Some(fd), kept: RefCell::default() }
    }

    /// Nobody supervises.
    pub fn none() -> Self {
        HandoverWriter { fd: None, kept: RefCell::default() }
    }

    /// Whether a supervisor listens.
    pub fn supervised(&self) -> bool {
        self.fd.is_some()
    }

    /// The descriptor, which a fork without exec must close.
    pub fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.fd.as_ref().map(std::os::fd::AsFd::as_fd)
    }

    /// Sends one message. A supervisor that is gone, or a message that does not fit, is not prepare's problem.
    pub fn send(&self, message: &Message) {
        self.keep(message);
        self.send_kept();
    }

    /// Keeps a message for the next one that is sent: both wake PID 1 only once. Says whether it fits.
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

    /// Sends what was kept.
    pub fn send_kept(&self) {
        let kept = self.kept.take();
        if let Some(fd) = self.fd.as_ref().filter(|_| !kept.is_empty()) {
            // A message that was lost for an interruption would be missed for ever.
            let _ = (0..ATTEMPTS).any(|_| nix::unistd::write(fd, &kept).is_ok());
        }
    }

    /// Closes this end; every fork that does not exec does so first.
    pub fn close(&mut self) {
        self.fd = None;
    }
}

/// A message as a frame; none if it does not fit one.
fn frame(message: &Message) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(FRAME_USUAL);
    frame.extend([0; HEAD]);
    let mut frame = postcard::to_extend(message, frame).ok().filter(|frame| frame.len() <= FRAME_MAX)?;
    let length = u16::try_from(frame.len() - HEAD).ok()?;
    frame.first_chunk_mut::<HEAD>()?.copy_from_slice(&length.to_le_bytes());
    Some(frame)
}

/// Splits the first whole frame off `bytes`: the message, if it can be understood, and the length to drop.
pub fn split(bytes: &[u8]) -> Option<(Option<Message>, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_le_bytes(*head));
    let body = rest.get(..length)?;
    Some((postcard::from_bytes(body).ok(), length + HEAD))
}
