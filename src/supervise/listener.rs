//! The reading end of the handover: bytes in, whole messages out. Never blocks, never trusts a length.

use crate::handover::{self, FRAME_MAX, Message};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Room for the longest frame and a beginning of the next.
const ROOM: usize = 2 * FRAME_MAX;

/// What is read at once. On the stack, where whatever was touched once stays PID 1's for weeks.
const PIECE: usize = 512;

/// What was heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Whole messages, in order.
    pub messages: Vec<Message>,
    /// The other end is closed.
    pub closed: bool,
}

/// The reading end.
pub struct Listener {
    fd: OwnedFd,
    bytes: Vec<u8>,
    open: bool,
}

impl Listener {
    /// Listens on this pipe.
    pub fn new(fd: OwnedFd) -> Self {
        Listener { fd, bytes: Vec::new(), open: true }
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether the other end may still speak.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether there is something to hear now.
    pub fn is_readable(&self) -> bool {
        let mut fd = [PollFd::new(self.fd(), PollFlags::POLLIN)];
        poll(&mut fd, PollTimeout::ZERO) == Ok(1)
    }

    /// All that is there to hear without waiting.
    pub fn hear_all(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.open && self.is_readable() {
            messages.extend(self.hear().messages);
        }
        messages
    }

    /// Reads what is there; call only when the descriptor is readable.
    pub fn hear(&mut self) -> Heard {
        let mut room = [0; PIECE];
        let count = match nix::unistd::read(&self.fd, &mut room) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => return Heard::default(),
            Err(_) => 0,
        };
        if count == 0 {
            self.open = false;
            return Heard { messages: Vec::new(), closed: true };
        }
        self.bytes.extend_from_slice(room.get(..count).unwrap_or_default());
        let messages = self.take_messages();
        let closed = self.bytes.len() > ROOM;
        self.open &= !closed;
        Heard { messages, closed }
    }

    fn take_messages(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut used = 0;
        while let Some((message, length)) = self.bytes.get(used..).and_then(handover::split) {
            messages.extend(message);
            used += length;
        }
        self.bytes.drain(..used);
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::{Door, Phase};

    #[test]
    fn messages_arrive_whole_and_in_order_and_then_the_end() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let (mut door, mut listener) = (Door::to(writer), Listener::new(reader));
        let sent = [Message::Phase(Phase::Installing), Message::Launching("python train.py".into())];
        sent.iter().for_each(|message| door.send(message));
        let heard = listener.hear();
        assert_eq!((heard.messages.as_slice(), heard.closed), (sent.as_slice(), false));
        door.close();
        assert!(listener.hear().closed);
    }

    #[test]
    fn garbage_neither_blocks_nor_panics() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let mut listener = Listener::new(reader);
        nix::unistd::write(&writer, &[3, 0, 255, 255, 255, 9, 0]).unwrap();
        assert!(listener.hear().messages.is_empty());
        drop(writer);
        assert!(listener.hear().closed);
    }
}
