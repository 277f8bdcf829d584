//! One connection: the bytes that came, up to a message, and the messages that go out.

use crate::message::{FrameEnd, MESSAGE_MAX, Unreadable, frame};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// Most messages of one connection; no honest process has more to say.
const MESSAGES_MAX: usize = 16;

/// Seconds until the kernel asks a silent connection whether it is alive, between two questions, and how many it asks.
const KEEPALIVE: (u32, u32, u32) = (10, 5, 3);

/// What reading a connection gave.
pub(super) enum ReadEnd {
    /// Nothing more for now.
    Pending,
    /// The connection is over, for this reason; `None` where the other side has closed it.
    Over(Option<String>),
}

/// A connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    received: Vec<u8>,
    messages: usize,
}

impl Connection {
    /// Takes a stream, which must not block.
    pub(super) fn new(stream: TcpStream) -> Self {
        // A machine that is lost without a word must not be waited for.
        let (idle, interval, count) = KEEPALIVE;
        let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
        let _ = setsockopt(&stream, sockopt::TcpKeepIdle, &idle);
        let _ = setsockopt(&stream, sockopt::TcpKeepInterval, &interval);
        let _ = setsockopt(&stream, sockopt::TcpKeepCount, &count);
        let _ = stream.set_nodelay(true);
        Connection { stream, received: Vec::new(), messages: 0 }
    }

    /// Sends one message. It is short, so it fits what the kernel takes, or the other side does not read.
    pub(super) fn send(&mut self, message: &[u8]) -> bool {
        loop {
            match self.stream.write(message) {
                Ok(length) => return length == message.len(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Reads what is there and gives each whole message to `take`.
    pub(super) fn receive<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<T, Unreadable>,
        mut take: impl FnMut(T),
    ) -> ReadEnd {
        let mut bytes = [0; 4096];
        let end = match self.stream.read(&mut bytes) {
            Ok(0) => ReadEnd::Over(None),
            Ok(length) => {
                self.received.extend_from_slice(bytes.get(..length).unwrap_or_default());
                ReadEnd::Pending
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => ReadEnd::Pending,
            Err(error) => ReadEnd::Over(Some(error.to_string())),
        };
        loop {
            match frame(&self.received) {
                FrameEnd::Partial => return end,
                FrameEnd::Never => return ReadEnd::Over(Some(Unreadable::Foreign.to_string())),
                FrameEnd::Whole(length) => {
                    let message: Vec<u8> = self.received.drain(..length.min(self.received.len())).collect();
                    self.messages += 1;
                    match read(&message) {
                        Ok(message) if self.messages <= MESSAGES_MAX => take(message),
                        Ok(_) => return ReadEnd::Over(Some("it says too much".into())),
                        Err(error) => return ReadEnd::Over(Some(error.to_string())),
                    }
                }
            }
        }
    }

    /// Closes the connection at once, so that the kernel keeps nothing of it (no TIME_WAIT on the workload's port).
    pub(super) fn abort(self) {
        let now = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(&self.stream, sockopt::Linger, &now);
    }
}

const _: () = assert!(MESSAGE_MAX <= 64 << 10, "a message fits a socket's buffer");
