//! How PID 1 supervises: what the configuration decided, each part for the file that carries it out.

use crate::attempt::HistoryPolicy;
use crate::mirror::MirrorPolicy;
use crate::notice::{Preempt, RequeuePolicy};
use crate::usage::Idle;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// How long the service may take until a line tells that it does not answer; `None` if nobody is told.
    pub ready_timeout: Option<Duration>,
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
    /// Where notices that the machine ends come from; `None` if nothing is asked.
    pub preempt: Option<Preempt>,
    /// The Slurm job that starts again after a stop in good order; `None` if none does.
    pub requeue: Option<RequeuePolicy>,
    /// The history of the job; `None` if none is kept.
    pub history: Option<HistoryPolicy>,
    /// Where checkpoints are mirrored; `None` if they are not.
    pub mirror: Option<MirrorPolicy>,
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
    /// The name of this node in front of each line; empty where no other node writes into the same log.
    pub node: String,
    /// Another node tells what all of them would: only warnings, failures and the end are logged.
    pub quiet: bool,
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
