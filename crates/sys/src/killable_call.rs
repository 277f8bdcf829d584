//! Work that may wait for a dead file system for ever, done in a process that can be given up. It answers over a pipe, in frames of
//! a length and a body. One that is overdue is killed and left to PID 1: a process that waits for such a file system may not even
//! die.

use super::fork_detached::{DetachedChild, fork_detached};
use super::proc::{self, WaitState};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longest body that is taken; what is longer counts as no answer.
pub const BODY_MAX: usize = 2 << 20;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The deadline is over.
    Overdue,
    /// The process ended first.
    Died,
    /// No process could be started, and what the kernel said.
    NotStarted(Errno),
}

/// A process that works, and what came from it so far.
pub struct KillableCall {
    process: DetachedChild,
    pipe: OwnedFd,
    received: Vec<u8>,
}

/// The process' way to answer.
pub struct AnswerPipe(File);

impl AnswerPipe {
    /// Sends one body; false when nobody listens, or it is too long for a frame.
    pub fn say(&mut self, body: &[u8]) -> bool {
        let Ok(length) = u32::try_from(body.len()) else { return false };
        // In one piece: who listens wakes up once.
        self.0.write_all(&[&length.to_le_bytes(), body].concat()).is_ok()
    }
}

impl KillableCall {
    /// Starts a process that does this work.
    ///
    /// # Errors
    /// EAGAIN (a limit of processes), ENOMEM, EMFILE.
    pub fn start(work: impl FnOnce(AnswerPipe) -> bool) -> nix::Result<Self> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let process = fork_detached(move || {
            silence();
            i32::from(!work(AnswerPipe(File::from(theirs))))
        })?;
        Ok(KillableCall { process, pipe: ours, received: Vec::new() })
    }

    /// Readable when something came, or when the process ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads what is there; false at the end, or when more comes than a frame may have.
    pub fn receive(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match read(&self.pipe, &mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend_from_slice(bytes.get(..length).unwrap_or_default());
                self.received.len() <= BODY_MAX + 4
            }
            Err(errno) => matches!(errno, Errno::EINTR | Errno::EAGAIN),
        }
    }

    /// Takes one whole body off what was read.
    pub fn body(&mut self) -> Option<Vec<u8>> {
        let (head, rest) = self.received.split_first_chunk::<4>()?;
        let length = Some(u32::from_le_bytes(*head) as usize).filter(|length| *length <= BODY_MAX)?;
        let body = rest.get(..length)?.to_vec();
        self.received.drain(..length + 4);
        Some(body)
    }

    /// What it is at, as far as the kernel tells.
    pub fn waits(&self) -> Option<WaitState> {
        proc::waits(self.process.pid())
    }

    /// Gives it up.
    pub fn kill(&self) {
        self.process.kill();
    }
}

/// Has one question answered aside.
///
/// # Errors
/// That no answer came, and why.
pub fn ask(patience: Duration, work: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
    let deadline = Instant::now() + patience;
    let mut away = KillableCall::start(move |mut log| log.say(&work())).map_err(NoAnswer::NotStarted)?;
    loop {
        let ready = wait(&[away.fd()], deadline);
        let open = !ready.contains(&true) || away.receive();
        if let Some(answer) = away.body() {
            return Ok(answer);
        }
        if !open {
            return Err(NoAnswer::Died);
        }
        if Instant::now() >= deadline {
            away.kill();
            return Err(NoAnswer::Overdue);
        }
    }
}

/// Waits until one of these can be read or the time has come, and says which can be read.
pub fn wait(fds: &[BorrowedFd<'_>], until: Instant) -> Vec<bool> {
    let mut fds: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    // One millisecond more than is left: never awake too early, to find that nothing is due.
    let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
    let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect()
}

/// A process that can never end must not hold the workload's output open: who reads it would wait for ever. What it has to say
/// comes over the pipe; a panic is told by its silence.
fn silence() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(&null);
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_however_long_a_frame_allows() {
        assert_eq!(ask(Duration::from_secs(60), || b"yes".to_vec()), Ok(b"yes".to_vec()));
        assert_eq!(ask(Duration::from_secs(60), || vec![7; BODY_MAX]).map(|answer| answer.len()), Ok(BODY_MAX));
        assert_eq!(ask(Duration::from_secs(60), || vec![7; BODY_MAX + 1]), Err(NoAnswer::Died));
    }

    #[test]
    fn who_gives_no_answer_is_told_apart() {
        let hang = || loop {
            std::thread::sleep(Duration::from_secs(60));
        };
        assert_eq!(ask(Duration::from_millis(100), hang), Err(NoAnswer::Overdue));
        assert_eq!(ask(Duration::from_secs(60), || crate::process::exit_now(0)), Err(NoAnswer::Died));
    }
}
