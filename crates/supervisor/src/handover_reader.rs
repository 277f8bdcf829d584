//! The reading end of the handover: turns bytes into whole messages, never blocks, and never trusts a length.

use super::clock::Clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::handover::{self, FRAME_MAX, Message};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::retry::retry;

/// Size of the buffer: the longest frame and the beginning of the next.
const ROOM: usize = 2 * FRAME_MAX;

/// Bytes of one read, on the stack of PID 1, which keeps every page that it touched once.
const PIECE: usize = 512;

/// Time after a start in which the child's messages do not wake PID 1.
///
/// Waking beside a child on its way to the workload's first instructions would cost a start a tenth (docs/performance.md). When PID 1
/// wakes for another reason, it reads the messages first.
const QUIET: Duration = Duration::from_millis(5);

/// Number of failed reads in a row that count as the end.
const FAILURES: u32 = 100;

/// The reading end.
pub(crate) struct HandoverReader {
    fd: OwnedFd,
    bytes: Vec<u8>,
    /// Number of bytes that are decoded already.
    used: usize,
    open: bool,
    /// Number of failed reads in a row.
    failures: u32,
    quiet_until: Clock,
}

impl HandoverReader {
    /// Returns a reader of this pipe.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        HandoverReader { fd, bytes: Vec::new(), used: 0, open: true, failures: 0, quiet_until: Clock::ZERO }
    }

    /// Returns a reader for a child that was just started.
    pub(crate) fn of_start(fd: OwnedFd, now: Clock) -> Self {
        HandoverReader { quiet_until: now + QUIET, ..HandoverReader::new(fd) }
    }

    /// Returns when the child's messages begin to wake PID 1, unless they do so already.
    pub(crate) fn quiet_until(&self, now: Clock) -> Option<Clock> {
        Some(self.quiet_until).filter(|until| now < *until)
    }

    /// Returns the descriptor to poll.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Returns whether the other end may still write.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Returns whether there is something to read now.
    pub(crate) fn is_readable(&self) -> bool {
        let mut fd = [PollFd::new(self.fd(), PollFlags::POLLIN)];
        retry(|| poll(&mut fd, PollTimeout::ZERO)) == Ok(1)
    }

    /// Returns all messages that can be read without waiting.
    pub(crate) fn hear_all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.open && self.is_readable() {
            self.hear();
            messages.extend(self.by_ref());
        }
        messages
    }

    /// Reads the waiting bytes, for `next` to decode; the caller makes sure that the descriptor is readable.
    pub(crate) fn hear(&mut self) {
        let mut room = [0; PIECE];
        let count = match nix::unistd::read(&self.fd, &mut room) {
            Ok(count) => count,
            // A failed read is no end of file, which would be taken for the workload's start or for prepare's death.
            Err(_) if self.failures < FAILURES => return self.failures += 1,
            Err(_) => 0,
        };
        self.failures = 0;
        self.bytes.drain(..std::mem::take(&mut self.used));
        self.bytes.extend_from_slice(room.get(..count).unwrap_or_default());
        self.open &= count > 0 && self.bytes.len() <= ROOM;
    }
}

/// Yields whole messages in order, and skips those that cannot be decoded.
impl Iterator for HandoverReader {
    type Item = Message;
    fn next(&mut self) -> Option<Message> {
        loop {
            let (message, length) = self.bytes.get(self.used..).and_then(handover::split)?;
            self.used += length;
            if message.is_some() {
                return message;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::handover::{HandoverWriter, Phase};

    #[test]
    fn messages_arrive_whole_and_in_order_and_then_the_end() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let (mut handover, mut listener) = (HandoverWriter::to(writer), HandoverReader::new(reader));
        let sent = [Message::Phase(Phase::Installing), Message::Launching("python train.py".into())];
        sent.iter().for_each(|message| handover.send(message));
        listener.hear();
        assert_eq!((listener.by_ref().collect::<Vec<_>>(), listener.is_open()), (sent.to_vec(), true));
        handover.close();
        listener.hear();
        assert_eq!((listener.next(), listener.is_open()), (None, false));
    }

    #[test]
    fn garbage_neither_blocks_nor_panics() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let mut listener = HandoverReader::new(reader);
        nix::unistd::write(&writer, &[3, 0, 255, 255, 255, 9, 0]).unwrap();
        listener.hear();
        assert_eq!((listener.next(), listener.is_open()), (None, true));
        drop(writer);
        listener.hear();
        assert_eq!((listener.next(), listener.is_open()), (None, false));
    }
}
