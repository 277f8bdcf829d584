//! trainit's end of the pipes: one process of trainit-transfer, to which requests go and from which answers come in any order. The
//! process dies with this one, and is killed when the `Carrier` is dropped.

use crate::{Answer, CarrierOptions, Done, Failure, Fault, LineReader, Reply, Request, Task, decode_answer, encode};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the program may say nothing while it has something to do. It tells progress far more often, also while it repeats a try.
pub const STALL: Duration = Duration::from_secs(60);

/// How much of the program's stderr is kept.
const WORDS_KEPT: usize = 2048;

/// Why the program is of no more use. All requests that are open are lost.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The program could not be started, or a pipe to it broke.
    #[error("{doing}: {}", sys_words(.source))]
    Io {
        /// What was done.
        doing: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// The program ended while requests were open.
    #[error("trainit-transfer ended{words}")]
    Ended {
        /// Its last words, masked, with what stands before them; empty if it said nothing.
        words: String,
    },
    /// The program said nothing for `STALL`.
    #[error("trainit-transfer has said nothing for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The program says what is not of this protocol, or the request is too long for it.
    #[error("trainit-transfer: {0}")]
    Line(#[from] Fault),
}

fn sys_words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> CarrierError {
    move |source| CarrierError::Io { doing, source }
}

/// A running program.
#[derive(Debug)]
pub struct Carrier {
    child: Child,
    /// `None` once no more requests come.
    requests: Option<ChildStdin>,
    unsent: VecDeque<u8>,
    answers: ChildStdout,
    reader: LineReader,
    words: ChildStderr,
    last_words: Vec<u8>,
    /// Whether each open request is a listing.
    open: HashMap<u64, bool>,
    next_id: u64,
    heard: Instant,
    stall: Duration,
}

impl Carrier {
    /// Starts the program. `prepare` sets what the caller wants of the process: its environment, its working directory.
    ///
    /// # Errors
    /// A program that could not be started.
    pub fn start(
        program: &Path,
        options: &CarrierOptions,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, CarrierError> {
        let mut command = Command::new(program);
        prepare(&mut command);
        command.args(options.words()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::process::die_with_parent(&mut command);
        let mut child = command.spawn().map_err(io_error("trainit-transfer cannot be started"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(requests), Some(answers), Some(words)) = pipes else {
            return Err(CarrierError::Ended { words: String::new() });
        };
        for pipe in [requests.as_fd(), answers.as_fd(), words.as_fd()] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| io_error("a pipe")(errno.into()))?;
        }
        Ok(Carrier {
            child,
            requests: Some(requests),
            unsent: VecDeque::new(),
            answers,
            reader: LineReader::default(),
            words,
            last_words: Vec::new(),
            open: HashMap::new(),
            next_id: 1,
            heard: Instant::now(),
            stall: STALL,
        })
    }

    /// Replaces the time after which a silent program is given up.
    #[must_use]
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Sends a request, and returns its number, which each of its answers bears. Nothing waits: what the pipe does not take goes out in
    /// `next`, so a caller keeps the number of open requests small.
    ///
    /// # Errors
    /// A request that is longer than a line.
    pub fn send(&mut self, task: Task) -> Result<u64, CarrierError> {
        let id = self.next_id;
        let listing = matches!(task, Task::List { .. });
        let line = encode(&Request { id, task })?;
        self.next_id += 1;
        if self.open.is_empty() {
            self.heard = Instant::now();
        }
        self.open.insert(id, listing);
        self.unsent.extend(line);
        self.write();
        Ok(id)
    }

    /// Returns how many requests still have answers to come.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Returns the descriptor that becomes readable when there may be an answer, for callers that poll other things, too. They call
    /// `next` without a wait, until it returns `None`, and at least once a second.
    pub fn answers_fd(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }

    /// Waits for the next answer of any request, at most for `wait`; `None` if there was none, or if nothing is open.
    ///
    /// # Errors
    /// A program that ended, stalls, or talks nonsense.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Answer>, CarrierError> {
        let until = Instant::now() + wait;
        loop {
            if let Some(answer) = self.take()? {
                return Ok(Some(answer));
            }
            let silent_since = self.heard + self.stall;
            let now = Instant::now();
            match () {
                () if self.open.is_empty() => return Ok(None),
                () if now >= silent_since => return Err(CarrierError::Stalled(self.stall)),
                () => self.exchange(until.min(silent_since).saturating_duration_since(now))?,
            }
            if now >= until {
                return self.take();
            }
        }
    }

    /// Sends one request and waits for its end, with `hear` for the answers before it. It is for callers that have no other open request.
    ///
    /// # Errors
    /// What `next` returns. A failure of the task is an answer, and is in the inner result; an object of `Head` goes to `hear`.
    pub fn call(&mut self, task: Task, hear: &mut dyn FnMut(Reply)) -> Result<Result<Done, Failure>, CarrierError> {
        let id = self.send(task)?;
        while self.open.contains_key(&id) {
            let Some(answer) = self.next(Duration::from_secs(1))? else { continue };
            match answer.reply {
                _ if answer.id != id => {}
                Reply::Done(done) => return Ok(Ok(done)),
                Reply::Failed(failure) => return Ok(Err(failure)),
                reply => hear(reply),
            }
        }
        Ok(Ok(Done::default()))
    }

    /// Takes an answer that is already here.
    fn take(&mut self) -> Result<Option<Answer>, CarrierError> {
        while let Some(line) = self.reader.next_line() {
            let answer = decode_answer(&line?)?;
            let Some(listing) = self.open.get(&answer.id) else { continue };
            if answer.reply.is_last(*listing) {
                self.open.remove(&answer.id);
            }
            return Ok(Some(answer));
        }
        Ok(None)
    }

    /// Waits until one of the pipes moves, and moves what can be moved.
    fn exchange(&mut self, wait: Duration) -> Result<(), CarrierError> {
        let mut fds = vec![
            PollFd::new(self.answers.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.words.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(requests) = self.requests.as_ref().filter(|_| !self.unsent.is_empty()) {
            fds.push(PollFd::new(requests.as_fd(), PollFlags::POLLOUT));
        }
        // Rounded up, or the last millisecond would be spun through.
        let wait = PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, wait) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(io_error("poll")(errno.into())),
        }
        self.hear_words();
        self.write();
        self.read()
    }

    fn write(&mut self) {
        let Some(requests) = &mut self.requests else { return };
        while !self.unsent.is_empty() {
            match requests.write(self.unsent.as_slices().0) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A program that reads no more also closes its output, which says why.
                Err(_) => return,
            }
        }
    }

    fn read(&mut self) -> Result<(), CarrierError> {
        let mut bytes = [0; 16 << 10];
        match self.answers.read(&mut bytes) {
            Ok(0) => Err(self.ended()),
            Ok(count) => {
                self.heard = Instant::now();
                self.reader.push(bytes.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(io_error("the answers of trainit-transfer")(error)),
        }
    }

    /// Keeps the end of what the program says to people.
    fn hear_words(&mut self) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = self.words.read(&mut bytes) {
            self.last_words.extend_from_slice(bytes.get(..count).unwrap_or_default());
            let surplus = self.last_words.len().saturating_sub(WORDS_KEPT);
            self.last_words.drain(..surplus);
        }
    }

    fn ended(&mut self) -> CarrierError {
        let _ = self.child.kill(); // it has closed its output: what it still does is of no use
        let status = self.child.wait();
        self.hear_words();
        let said = text::masked(String::from_utf8_lossy(&self.last_words).trim());
        let words = match (said.lines().last(), status) {
            (Some(line), _) => format!(": {}", text::line(line)),
            (None, Ok(status)) => format!(" ({status})"),
            (None, Err(_)) => String::new(),
        };
        CarrierError::Ended { words }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    /// Starts a shell script in the program's place.
    fn script(text: &str) -> Carrier {
        let set = |command: &mut Command| {
            command.args(["-c", text, "sh"]);
        };
        Carrier::start(Path::new("/bin/sh"), &CarrierOptions::default(), set).unwrap()
    }

    fn who() -> Task {
        Task::Who { url: "s3://b/".into() }
    }

    #[test]
    fn answers_come_in_any_order_and_bear_the_number_of_their_request() {
        let mut carrier = script(
            r#"read a; read b; echo '{"id":2,"progress":1}'; echo '{"id":9,"end":1}'; echo '{"id":2,"end":0}'; echo '{"id":1,"done":{}}'; cat >/dev/null"#,
        );
        assert_eq!((carrier.send(who()).unwrap(), carrier.send(who()).unwrap(), carrier.open()), (1, 2, 2));
        let mut heard = Vec::new();
        while carrier.open() > 0 {
            heard.extend(carrier.next(Duration::from_secs(30)).unwrap().map(|answer| answer.id));
        }
        assert_eq!(heard, [2, 2, 1]);
        assert!(carrier.next(Duration::from_secs(30)).unwrap().is_none(), "nothing is open, so nothing is waited for");
    }

    #[test]
    fn a_call_returns_the_failure_of_its_task() {
        let mut carrier =
            script(r#"read a; echo '{"id":1,"progress":3}'; echo '{"id":1,"failed":{"kind":"gone","text":"no"}}'"#);
        let mut heard = Vec::new();
        let failure = carrier.call(who(), &mut |reply| heard.push(reply)).unwrap().unwrap_err();
        assert_eq!((failure.kind, heard), (FailureKind::Gone, vec![Reply::Progress(3)]));
    }

    #[test]
    fn a_program_that_ends_leaves_its_last_words_without_secrets() {
        let mut carrier = script("read a; echo first >&2; echo 'https://u:hunter2-secret@h/ no' >&2");
        let error = carrier.call(who(), &mut drop).unwrap_err().to_string();
        assert!(error.starts_with("trainit-transfer ended: ") && !error.contains("hunter2"), "{error}");
        let error = script("exit 3").call(who(), &mut drop).unwrap_err().to_string();
        assert_eq!(error, "trainit-transfer ended (exit status: 3)");
    }

    #[test]
    fn a_program_that_says_nothing_is_given_up_and_dies_with_its_carrier() {
        let mut carrier = script("exec sleep 600").with_stall(Duration::from_millis(50));
        let pid = carrier.child.id();
        assert!(matches!(carrier.call(who(), &mut drop), Err(CarrierError::Stalled(_))));
        drop(carrier);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn requests_that_the_pipe_does_not_take_at_once_go_out_later() {
        let mut carrier = script(r#"head -c 400000 >/dev/null; echo '{"id":1,"done":{"bytes":7}}'; cat >/dev/null"#);
        for _ in 0..10 {
            carrier.send(Task::PutText { url: "s3://b/k".into(), text: "x".repeat(50_000), only_new: false }).unwrap();
        }
        let answer = carrier.next(Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(answer.reply, Reply::Done(Done { bytes: 7, ..Done::default() }));
    }

    #[test]
    fn nonsense_is_an_error_and_no_answer() {
        let mut carrier = script("echo hello; cat >/dev/null");
        assert!(matches!(carrier.call(who(), &mut drop), Err(CarrierError::Line(_))));
    }
}
