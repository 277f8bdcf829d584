//! Asks the cloud's metadata service for notices until PID 1 closes the pipe, and sends the first notice to PID 1.
//!
//! What is asked and what an answer means is decided in `preempt`. Between two questions this process sleeps.

use crate::preempt::{self, Dialog, DialogStep, NoAnswer, Question, Reply};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::handover::{Message, Notice};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};
use supervisor::HelperArgs;

/// Time limit for a connection: the service is on the same host.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Watches until there is a notice, until no service is left to ask, or until PID 1 closes the pipe.
pub(super) fn watch(task: &HelperArgs<'_>) {
    let Some(preempt) = &task.policy.preempt else { return };
    let Ok(address) = preempt.address.as_deref().unwrap_or(preempt::ADDRESS).parse::<SocketAddr>() else { return };
    let mut talks: Vec<Talk> = preempt::dialogs(preempt.cloud).into_iter().map(Talk::begin).collect();
    let mut told = String::new();
    while !talks.is_empty() {
        let (notices, notes): (Vec<_>, Vec<_>) = talks.iter_mut().map(|talk| talk.turn(address)).unzip();
        for note in notes.into_iter().flatten().filter(|note| *note != std::mem::replace(&mut told, note.clone())) {
            task.handover.send(&Message::Note(note));
        }
        if let Some(notice) = notices.into_iter().flatten().next() {
            return task.handover.send(&Message::Notice(notice));
        }
        talks.retain(|talk| !talk.is_over);
        if sleep(&talks, task) {
            return;
        }
    }
}

/// Sleeps until an answer or the next deadline; returns whether PID 1 has closed the pipe.
fn sleep(talks: &[Talk], task: &HelperArgs<'_>) -> bool {
    let wake = talks.iter().map(|talk| talk.wake).min().unwrap_or_else(Instant::now);
    // Rounded up, so that the deadline has passed afterwards.
    let pause = wake.saturating_duration_since(Instant::now()).saturating_add(Duration::from_millis(1));
    let open = talks.iter().filter_map(|talk| talk.open.as_ref()).map(|open| open.stream.as_fd());
    let fds = [task.finish.as_fd()].into_iter().chain(open);
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let _ = poll(&mut fds, PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX));
    fds.first().and_then(PollFd::any).unwrap_or(false)
}

/// A dialog that is carried out.
struct Talk {
    dialog: Box<dyn Dialog>,
    open: Option<OpenQuestion>,
    /// When the pause or the question's limit is over.
    wake: Instant,
    is_over: bool,
}

impl Talk {
    fn begin(dialog: Box<dyn Dialog>) -> Self {
        Talk { dialog, open: None, wake: Instant::now(), is_over: false }
    }

    /// Goes on with the dialog as far as that needs no waiting; returns a notice, and a line for the log.
    fn turn(&mut self, address: SocketAddr) -> (Option<Notice>, Option<String>) {
        loop {
            let step = match &mut self.open {
                None if Instant::now() < self.wake => return (None, None),
                None => self.dialog.next(Reply::Begin, SystemTime::now()),
                Some(open) => {
                    let Some(heard) = open.hear(self.wake) else { return (None, None) };
                    let took = open.began.elapsed();
                    self.open = None;
                    match &heard {
                        Ok(answer) => self.dialog.next(Reply::Answer(answer, took), SystemTime::now()),
                        Err(failure) => self.dialog.next(Reply::Failed(failure), SystemTime::now()),
                    }
                }
            };
            match self.take(step, address) {
                (None, None) if !self.is_over => {}
                told => return told,
            }
        }
    }

    fn take(&mut self, step: DialogStep, address: SocketAddr) -> (Option<Notice>, Option<String>) {
        match step {
            DialogStep::Ask(question) => {
                self.wake = Instant::now() + question.limit;
                match OpenQuestion::ask(&question, address) {
                    Ok(open) => self.open = Some(open),
                    Err(failure) => {
                        let step = self.dialog.next(Reply::Failed(&failure), SystemTime::now());
                        return self.rest(step);
                    }
                }
                (None, None)
            }
            step => self.rest(step),
        }
    }

    /// Takes a step that sends nothing; a question in answer to a failed one would be asked without a pause.
    fn rest(&mut self, step: DialogStep) -> (Option<Notice>, Option<String>) {
        match step {
            DialogStep::Ask(_) => (None, None),
            DialogStep::Pause(pause, note) => {
                self.wake = Instant::now() + pause;
                (None, note)
            }
            DialogStep::Notice(notice) => (Some(notice), None),
            DialogStep::GiveUp(why) => {
                self.is_over = true;
                (None, Some(why))
            }
        }
    }
}

/// A question that was sent, and what has come of its answer.
struct OpenQuestion {
    stream: TcpStream,
    bytes: Vec<u8>,
    began: Instant,
}

impl OpenQuestion {
    fn ask(question: &Question, address: SocketAddr) -> Result<Self, NoAnswer> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => NoAnswer::Silent,
            _ => NoAnswer::Broken(protocol::errno::words_of(&error)),
        };
        let began = Instant::now();
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map_err(failed)?;
        // A question is far smaller than the socket's buffer, so it is taken at once.
        stream.set_nonblocking(true).map_err(failed)?;
        stream.write_all(&preempt::request(question, &address.ip().to_string())).map_err(failed)?;
        Ok(OpenQuestion { stream, bytes: Vec::new(), began })
    }

    /// Reads what is there; `None` means that more may come before the deadline.
    fn hear(&mut self, until: Instant) -> Option<Result<preempt::Answer, NoAnswer>> {
        let ended = match self.read() {
            Ok(ended) => ended,
            Err(error) => return Some(Err(NoAnswer::Broken(protocol::errno::words_of(&error)))),
        };
        match preempt::parse_answer(&self.bytes, ended) {
            Ok(Some(answer)) => Some(Ok(answer)),
            Ok(None) => (Instant::now() >= until).then_some(Err(NoAnswer::Silent)),
            Err(wrong) => Some(Err(NoAnswer::Broken(wrong.to_owned()))),
        }
    }

    /// Reads what is there, up to a bit more than the longest answer; returns whether the connection has ended.
    fn read(&mut self) -> std::io::Result<bool> {
        let mut part = [0; 4096];
        while self.bytes.len() <= preempt::ANSWER_MAX {
            match self.stream.read(&mut part) {
                Ok(0) => return Ok(true),
                Ok(count) => self.bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
