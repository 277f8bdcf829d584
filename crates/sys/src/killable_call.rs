//! A call in a process that can be killed, for work that may wait for a dead file system for ever. The process answers over a pipe,
//! in frames of a length and a body. A process that is overdue is killed and left to PID 1, since a process that waits for such a
//! file system may not even end when it is killed.

use super::fork_detached::{DetachedChild, fork_detached};
use super::proc::{self, WaitState};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Most bytes of a body; a longer body counts as no answer.
pub const BODY_MAX: usize = 2 << 20;

/// The reason why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The deadline has passed.
    Overdue,
    /// The process ended before it answered.
    Died,
    /// No process could be started, for this reason.
    NotStarted(Errno),
}

/// A process that works, and the bytes that came from it so far.
pub struct KillableCall {
    process: DetachedChild,
    pipe: OwnedFd,
    received: Vec<u8>,
}

/// The process's end of the pipe.
pub struct AnswerPipe(File);

impl AnswerPipe {
    /// Sends one body, and tells whether it was sent: not where the reader is gone, or where the body is too long for a frame.
    pub fn say(&mut self, body: &[u8]) -> bool {
        let Ok(length) = u32::try_from(body.len()) else { return false };
        // One write, so that the reader wakes up once.
        self.0.write_all(&[&length.to_le_bytes(), body].concat()).is_ok()
    }

    /// Returns whether a body of at most 4 kB would be taken at once (pipe(7), PIPE_BUF). A reader that has other things to do
    /// need not hold the work up.
    pub fn has_room(&self) -> bool {
        self.events().contains(PollFlags::POLLOUT)
    }

    /// Returns whether the reader is gone: nothing waits for the answer any more.
    pub fn is_unread(&self) -> bool {
        self.events().contains(PollFlags::POLLERR)
    }

    fn events(&self) -> PollFlags {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(_) => fds.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty()),
            Err(_) => PollFlags::empty(),
        }
    }
}

impl KillableCall {
    /// Starts a process that does this work. The work returns whether it succeeded.
    ///
    /// # Errors
    /// EAGAIN (a limit of processes), ENOMEM, EMFILE.
    pub fn start(work: impl FnOnce(AnswerPipe) -> bool) -> nix::Result<Self> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let read_end = ours.as_raw_fd();
        let process = fork_detached(move || {
            silence();
            // The process's own copy, with which it would never see that the reader is gone.
            let _ = nix::unistd::close(read_end);
            u8::from(!work(AnswerPipe(File::from(theirs))))
        })?;
        Ok(KillableCall { process, pipe: ours, received: Vec::new() })
    }

    /// Returns the descriptor to poll: readable when bytes came, or when the process ended.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads the bytes that are there; `false` at the end, or when more bytes came than a frame may have.
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

    /// Takes one whole body off the received bytes.
    pub fn body(&mut self) -> Option<Vec<u8>> {
        let (head, rest) = self.received.split_first_chunk::<4>()?;
        let length = Some(u32::from_le_bytes(*head) as usize).filter(|length| *length <= BODY_MAX)?;
        let body = rest.get(..length)?.to_vec();
        self.received.drain(..length + 4);
        Some(body)
    }

    /// Returns the state of the process, as far as the kernel tells.
    pub fn waits(&self) -> Option<WaitState> {
        proc::waits(self.process.pid())
    }

    /// Kills the process, without waiting for its end.
    pub fn kill(&self) {
        self.process.kill();
    }
}

/// Runs the work in a killable process and returns its answer.
///
/// # Errors
/// The reason why no answer came.
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

/// Waits until one of the descriptors can be read, or until the time `until`, and returns which can be read.
pub fn wait(fds: &[BorrowedFd<'_>], until: Instant) -> Vec<bool> {
    let mut fds: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    // One millisecond more than is left, so that the caller does not wake up before anything is due.
    let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
    let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect()
}

/// Closes the standard descriptors. A process that can never end must not hold the workload's output open, because a reader would
/// wait for ever. The process answers over the pipe, and a panic shows as a missing answer.
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
    fn a_reader_that_is_busy_or_gone_is_known_before_anything_is_said() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let mut pipe = AnswerPipe(File::from(write));
        assert!(pipe.has_room() && !pipe.is_unread());
        while pipe.has_room() {
            assert!(pipe.say(&[7; 4000]));
        }
        assert!(!pipe.is_unread());
        drop(read);
        // A process that another test begins just now may hold a copy for a moment.
        let until = Instant::now() + Duration::from_secs(60);
        while !pipe.is_unread() {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn work_hears_that_its_reader_is_gone() {
        let call = KillableCall::start(|pipe| {
            while !pipe.is_unread() {
                std::thread::sleep(Duration::from_millis(5));
            }
            true
        });
        let KillableCall { process, pipe, .. } = call.unwrap();
        drop(pipe);
        let until = Instant::now() + Duration::from_secs(60);
        while proc::waits(process.pid()).is_some_and(|(state, _)| state != 'Z') {
            if Instant::now() > until {
                process.kill();
                panic!("it still works");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
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
