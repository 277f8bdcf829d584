//! The host's loop: accepts, reads, asks the state machine, sends.

use super::clock;
use super::connection::{Connection, ReadEnd};
use super::files::OpenFiles;
use crate::agree::Agree;
use crate::hello::Hello;
use crate::host::{ConnectionId, Host, HostAction, HostEvent};
use crate::message::Request;
use crate::outcome::{Outcome, Progress};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The number of the listening socket; connections have those after it.
const LISTENER: ConnectionId = 0;

/// The number of what ends the loop.
const UNTIL: ConnectionId = ConnectionId::MAX;

/// Most events of one round, and most connections that are accepted in one.
const ROUND: usize = 256;

/// The time between two reports of the progress.
const REPORT: Duration = Duration::from_secs(1);

/// How long no connection is accepted, where the process may open no more files.
const SHORT_OF_FILES: Duration = Duration::from_millis(50);

/// Meets the others as the host, and closes the port. `mark` is the name of a file that this process has made beside its checkpoints;
/// `tell` is called about once a second, and once the end is decided.
///
/// # Errors
/// What epoll(7) answers where the process may open no more files.
pub fn host(
    listener: TcpListener,
    own: Hello,
    agree: Agree,
    mark: Option<String>,
    wait: Duration,
    tell: &mut dyn FnMut(&Progress),
) -> nix::Result<Outcome> {
    let _raised = OpenFiles::raise(u64::from(own.of) + 64);
    let begun = Instant::now();
    let mut sockets = Sockets::new(listener, Host::new(own, agree, mark, wait, Duration::ZERO), begun)?;
    let (mut told, mut decided): (Option<Instant>, bool) = (None, false);
    let outcome = loop {
        sockets.act_on_time();
        let news = std::mem::replace(&mut decided, sockets.host.is_decided()) != decided;
        if news || told.is_none_or(|told| told.elapsed() >= REPORT) {
            told = Some(Instant::now());
            tell(&sockets.host.progress());
        }
        if let Some(outcome) = sockets.host.end(begun.elapsed()) {
            break outcome.clone();
        }
        sockets.round();
    };
    let gone = matches!(outcome, Outcome::Go(_));
    // After a go the workload needs the port, and nothing may stay of it. After a stop the guests are to read what they were told.
    sockets.open.into_values().for_each(|connection| if gone { connection.abort() } else { drop(connection) });
    Ok(outcome)
}

/// Tells the commit of this process to each that asks, until `until` is closed at its other end or has something to say.
///
/// # Errors
/// What epoll(7) answers where the process may open no more files.
pub fn tell_commit(listener: TcpListener, own: Hello, until: BorrowedFd<'_>) -> nix::Result<()> {
    let _raised = OpenFiles::raise(u64::from(own.of) + 64);
    let mut sockets = Sockets::new(listener, Host::telling_commit(own, Duration::ZERO), Instant::now())?;
    sockets.epoll.add(until, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP, UNTIL))?;
    while !sockets.over {
        sockets.act_on_time();
        sockets.round();
    }
    // The port is for what comes next, and nothing may stay of these connections.
    sockets.open.into_values().for_each(Connection::abort);
    Ok(())
}

struct Sockets {
    listener: TcpListener,
    epoll: Epoll,
    open: HashMap<ConnectionId, Connection>,
    last: ConnectionId,
    host: Host,
    begun: Instant,
    /// What the loop was to go on until has come.
    over: bool,
}

impl Sockets {
    fn new(listener: TcpListener, host: Host, begun: Instant) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Sockets { listener, epoll, open: HashMap::new(), last: LISTENER, host, begun, over: false })
    }

    fn act_on_time(&mut self) {
        let actions = self.host.tick(self.begun.elapsed());
        self.act(actions);
    }

    /// Waits for events, and takes them.
    fn round(&mut self) {
        let left = self.host.next().saturating_sub(self.begun.elapsed()).min(REPORT);
        let timeout = u16::try_from(left.as_millis() + 1).map_or(EpollTimeout::from(1000_u16), EpollTimeout::from);
        let mut events = [EpollEvent::empty(); ROUND];
        let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        for event in events.iter().take(count) {
            match event.data() {
                LISTENER => self.accept(),
                UNTIL => self.over = true,
                id => self.read(id),
            }
        }
    }

    fn accept(&mut self) {
        for _ in 0..ROUND {
            let (stream, address) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) => {
                    let short = [nix::libc::EMFILE, nix::libc::ENFILE, nix::libc::ENOBUFS, nix::libc::ENOMEM];
                    if error.raw_os_error().is_some_and(|errno| short.contains(&errno)) {
                        std::thread::sleep(SHORT_OF_FILES);
                    }
                    return;
                }
            };
            self.last += 1;
            let id = self.last;
            let watched = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, id);
            if stream.set_nonblocking(true).is_err() || self.epoll.add(&stream, watched).is_err() {
                continue;
            }
            self.open.insert(id, Connection::new(stream));
            self.step(id, HostEvent::Opened(address.ip().to_canonical().to_string()));
            // The first message is usually there already.
            self.read(id);
        }
    }

    fn read(&mut self, id: ConnectionId) {
        let mut requests = Vec::new();
        let Some(connection) = self.open.get_mut(&id) else { return };
        let end = connection.receive(Request::read, |request| requests.push(request));
        for request in requests {
            self.step(id, HostEvent::Received(request));
        }
        if let ReadEnd::Over(why) = end {
            let foreign = why.is_some();
            self.step(id, HostEvent::Broken(why));
            if let Some(connection) = self.open.remove(&id)
                && foreign
            {
                connection.abort();
            }
        }
    }

    fn step(&mut self, id: ConnectionId, event: HostEvent) {
        let actions = self.host.step(id, event, self.begun.elapsed(), clock());
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<HostAction>) {
        for action in actions {
            match action {
                HostAction::Close(id) => drop(self.open.remove(&id)),
                HostAction::Drop(id) => {
                    self.open.remove(&id).into_iter().for_each(Connection::abort);
                }
                HostAction::Send(id, reply) => {
                    let sent = self.open.get_mut(&id).is_some_and(|connection| connection.send(&reply.encode()));
                    if !sent {
                        self.open.remove(&id).into_iter().for_each(Connection::abort);
                        self.step(id, HostEvent::Broken(None));
                    }
                }
            }
        }
    }
}
