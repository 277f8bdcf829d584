//! The handover from prepare to PID 1: a close-on-exec pipe of small frames. What goes over it as plain structs has files of its own, and is
//! named here for those who use it.
//!
//! A frame is a length and a body. One write of one or more frames stays below PIPE_BUF and therefore arrives whole.

pub use crate::attempt::{AttemptEnd, HistoryPolicy, SavedCheckpoint};
pub use crate::helper_task::HelperTask;
pub use crate::mirror::{MirrorPolicy, MirrorState, Mirrored, Upload};
pub use crate::notice::{Cloud, Notice, NoticeKind, Preempt, RequeuePolicy};
pub use crate::phase::{Phase, StagedBytes};
pub use crate::policy::{
    AfterStop, CheckpointPolicy, Checkpoints, ExitPolicy, HoldPolicy, IdlePolicy, Level, OnHang, Policy, ReportPolicy,
    Restart, Scope, Service, SignalMeaning, SignalPolicy, StopPolicy, StopSignal, TargetUser, Watchdog, WorkloadKind,
};
pub use crate::usage::{Heartbeat, Idle, UsageSign, UsageState};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::OwnedFd;

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
    /// This start is going to end with this code, and is still telling the other nodes of the job. Such a node may be ended for that
    /// (`srun --kill-on-bad-exit`), which is no stop that starts the job again.
    Failing(u8),
    /// Requirements that this start did not install, or another Python that has none, in a few words, for the end of a job that may have
    /// missed a module.
    LeftAlone(String),
    /// So much of the data that is being brought is there.
    Staged(StagedBytes),
    /// What a person opens or types to reach the server that is about to start, without a secret.
    ServesAt(String),
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
    /// The server answers; or the time for that is over, and this is the reason why it does not answer.
    Answers(Result<(), String>),
    /// Lines of the history that wait, because `checkpoint.dir` is empty so far.
    HistoryWaits(String),
    /// The history cannot be written, which has been logged.
    HistoryFailed,
    /// A helper has a notice of the cloud that this machine ends.
    Notice(Notice),
    /// What of the checkpoints is in the mirror.
    Mirror(MirrorState),
}

/// The writing end of the handover, which drops every message where no supervisor listens.
#[derive(Debug)]
pub struct HandoverWriter {
    fd: Option<OwnedFd>,
    /// Frames that are sent together with the next message.
    kept: RefCell<Vec<u8>>,
}

/// Tells whether a message fits one frame.
pub fn fits(message: &Message) -> bool {
    frame(message).is_some()
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
