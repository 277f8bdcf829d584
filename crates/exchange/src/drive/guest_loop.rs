//! A guest's loop: looks the host's name up, connects, reads, asks the state machine, sends.

use super::connection::{Connection, ReadEnd};
use super::{clock, lookup};
use crate::guest::{ConnectFault, Guest, GuestAction, GuestEvent};
use crate::hello::Hello;
use crate::message::{Reply, Request};
use crate::outcome::{Outcome, Progress};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, socket, sockopt};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Longest time between two reports of the progress.
const REPORT: Duration = Duration::from_secs(1);

/// Where the host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name or address.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// Looks for a file beside the checkpoints by its name: whether it is there, `None` where that cannot be told.
pub type Look<'a> = &'a mut dyn FnMut(&str) -> Option<bool>;

/// Meets the host as a guest. `tell` is called at least once in a few seconds.
pub fn join(place: &Place, own: Hello, wait: Duration, look: Look<'_>, tell: &mut dyn FnMut(&Progress)) -> Outcome {
    let guest = Guest::new(own.clone(), words(place), wait, Duration::ZERO);
    let mut line = Line { socket: Socket::None, guest, own, begun: Instant::now() };
    line.run(place, look, tell)
}

/// Asks the host for its commit, for so long at most; `None` where it has none, or gives no answer.
pub fn ask_commit(place: &Place, own: Hello, wait: Duration, tell: &mut dyn FnMut(&Progress)) -> Option<String> {
    let guest = Guest::asking(own.clone(), words(place), wait, Duration::ZERO);
    let mut line = Line { socket: Socket::None, guest, own, begun: Instant::now() };
    line.run(place, &mut |_| None, tell);
    line.guest.commit().map(str::to_owned)
}

fn words(place: &Place) -> String {
    format!("{}:{}", text::line(&place.name), place.port)
}

enum Socket {
    None,
    /// The connection is being made.
    Made(OwnedFd),
    Open(Connection),
}

struct Line {
    socket: Socket,
    guest: Guest,
    own: Hello,
    begun: Instant,
}

impl Line {
    fn run(&mut self, place: &Place, look: Look<'_>, tell: &mut dyn FnMut(&Progress)) -> Outcome {
        let mut events = VecDeque::from([GuestEvent::Tick]);
        loop {
            while let Some(event) = events.pop_front() {
                for action in self.guest.step(event, self.begun.elapsed()) {
                    events.extend(self.act(action, place, look));
                }
            }
            if let Some(outcome) = self.guest.end() {
                return outcome.clone();
            }
            tell(&self.guest.progress());
            events.extend(self.wait());
            events.push_back(GuestEvent::Tick);
        }
    }

    fn act(&mut self, action: GuestAction, place: &Place, look: Look<'_>) -> Option<GuestEvent> {
        match action {
            GuestAction::Resolve => {
                let left = self.guest.next().saturating_sub(self.begun.elapsed());
                Some(GuestEvent::Resolved(lookup::addresses(&place.name, place.port, left)))
            }
            GuestAction::Connect(address) => match begin(&address) {
                Ok(fd) => {
                    self.socket = Socket::Made(fd);
                    None
                }
                Err(errno) => Some(GuestEvent::Unconnected(fault(errno))),
            },
            GuestAction::Greet => {
                let hello = Hello { clock: clock(), ..self.own.clone() };
                self.send(&Request::Hello(Box::new(hello)))
            }
            GuestAction::Send(request) => self.send(&request),
            GuestAction::Look(name) => Some(GuestEvent::Looked(look(&name))),
            GuestAction::Close => {
                self.socket = Socket::None;
                None
            }
        }
    }

    fn send(&mut self, request: &Request) -> Option<GuestEvent> {
        let sent = match &mut self.socket {
            Socket::Open(connection) => connection.send(&request.encode()),
            Socket::None | Socket::Made(_) => false,
        };
        (!sent).then_some(GuestEvent::Broken(None))
    }

    /// Waits until the socket has something to say, or until something is due.
    fn wait(&mut self) -> Vec<GuestEvent> {
        let left = self.guest.next().saturating_sub(self.begun.elapsed()).min(REPORT);
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let (fd, flags) = match &self.socket {
            Socket::None => {
                let _ = poll(&mut [], timeout);
                return Vec::new();
            }
            Socket::Made(fd) => (fd.as_fd(), PollFlags::POLLOUT),
            Socket::Open(connection) => (connection.stream.as_fd(), PollFlags::POLLIN),
        };
        let ready = poll(&mut [PollFd::new(fd, flags)], timeout).unwrap_or(0) > 0;
        if ready { self.heard() } else { Vec::new() }
    }

    fn heard(&mut self) -> Vec<GuestEvent> {
        match std::mem::replace(&mut self.socket, Socket::None) {
            Socket::None => Vec::new(),
            Socket::Made(fd) => match getsockopt(&fd, sockopt::SocketError).map_or(Errno::EIO, Errno::from_raw) {
                Errno::UnknownErrno => {
                    self.socket = Socket::Open(Connection::new(TcpStream::from(fd)));
                    vec![GuestEvent::Connected]
                }
                errno => vec![GuestEvent::Unconnected(fault(errno))],
            },
            Socket::Open(mut connection) => {
                let mut events = Vec::new();
                let end = connection.receive(Reply::read, |reply| events.push(GuestEvent::Received(reply)));
                match end {
                    ReadEnd::Pending => self.socket = Socket::Open(connection),
                    ReadEnd::Over(why) => events.push(GuestEvent::Broken(why)),
                }
                events
            }
        }
    }
}

fn begin(address: &SocketAddr) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(*address)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(fd),
        Err(errno) => Err(errno),
    }
}

fn fault(errno: Errno) -> ConnectFault {
    match errno {
        Errno::ECONNREFUSED => ConnectFault::Refused,
        other => ConnectFault::Other(other.desc().to_owned()),
    }
}
