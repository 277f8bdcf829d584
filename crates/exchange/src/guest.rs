//! A guest: each process but the host. A state machine: events and a clock go in, actions come out; it makes no system call.

use crate::agree::{self, PASSING};
use crate::hello::{Hello, Verdict};
use crate::message::{Reply, Request};
use crate::outcome::{Outcome, Progress, Resume, Stop};
use crate::words::within;
use std::net::SocketAddr;
use std::time::Duration;

/// The time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How much longer than the host a guest waits for the host's answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a guest seeks a host that it has lost, at most.
const SEEK_AGAIN: Duration = Duration::from_secs(60);

/// How long a guest stays after a *stop*, if the host does not close the connection.
const STAY: Duration = Duration::from_secs(15);

/// How long the host may take to say its commit.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// Most addresses of a name that are tried in one round.
const ADDRESSES: usize = 8;

/// Why no connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// The port is closed.
    Refused,
    /// Another error, in words.
    Other(String),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum GuestEvent {
    /// The host's name was looked up.
    Resolved(Result<Vec<SocketAddr>, String>),
    /// The connection was made.
    Connected,
    /// The connection was not made.
    Unconnected(ConnectFault),
    /// A message came.
    Received(Reply),
    /// The connection was closed, or what came is no message, for this reason.
    Broken(Option<String>),
    /// Whether a file of this name is beside the checkpoints.
    Looked(Option<bool>),
    /// Nothing, but time has passed.
    Tick,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestAction {
    /// Look the host's name up.
    Resolve,
    /// Connect.
    Connect(SocketAddr),
    /// Send the first message, with the clock of now.
    Greet,
    /// Send a message.
    Send(Request),
    /// Look for a file of this name beside the checkpoints.
    Look(String),
    /// Close the connection.
    Close,
}

#[derive(Debug)]
enum State {
    Paused {
        until: Duration,
    },
    Resolving,
    Connecting {
        address: SocketAddr,
        rest: Vec<SocketAddr>,
        until: Duration,
    },
    Reached {
        address: SocketAddr,
        until: Duration,
    },
    /// None starts; the host closes the connection once the others know it, too.
    Told {
        stop: Stop,
        until: Duration,
    },
    Ended(Outcome),
}

/// A guest.
#[derive(Debug)]
pub struct Guest {
    own: Hello,
    /// The host as it is named: `n1:29500`.
    host: String,
    wait: Duration,
    deadline: Duration,
    state: State,
    /// What was seen of the host last.
    seen: Option<String>,
    /// This guest only asks for the host's commit, and leaves with the answer.
    asks: bool,
    commit: Option<String>,
}

impl Guest {
    /// Begins. `now` counts from any moment.
    pub fn new(own: Hello, host: String, wait: Duration, now: Duration) -> Self {
        let deadline = now.saturating_add(wait);
        let state = State::Paused { until: now };
        Guest { own, host, wait, deadline, state, seen: None, asks: false, commit: None }
    }

    /// Begins as one that only asks for the host's commit.
    pub fn asking(own: Hello, host: String, wait: Duration, now: Duration) -> Self {
        Guest { asks: true, ..Guest::new(own, host, wait, now) }
    }

    /// Returns the host's commit, once it was told.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// Takes one event.
    pub fn step(&mut self, event: GuestEvent, now: Duration) -> Vec<GuestAction> {
        match event {
            GuestEvent::Tick => self.tick(now),
            GuestEvent::Resolved(found) => self.resolved(found, now),
            GuestEvent::Connected => self.connected(now),
            GuestEvent::Unconnected(fault) => self.unconnected(&fault, now),
            GuestEvent::Received(reply) => self.received(reply, now),
            GuestEvent::Broken(why) => self.broken(why, now),
            GuestEvent::Looked(seen) => vec![GuestAction::Send(Request::Looked(seen))],
        }
    }

    /// Returns when `Tick` is due.
    pub fn next(&self) -> Duration {
        match &self.state {
            State::Paused { until } | State::Connecting { until, .. } => (*until).min(self.deadline),
            State::Reached { until, .. } | State::Told { until, .. } => *until,
            State::Resolving | State::Ended(_) => self.deadline,
        }
    }

    /// Returns the end.
    pub fn end(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Returns how far the exchange has come.
    pub fn progress(&self) -> Progress {
        match &self.state {
            State::Reached { .. } => Progress::Reached,
            State::Told { stop, .. } => Progress::Stopped(stop.code),
            _ => Progress::Seeking(self.seen.clone().unwrap_or_else(|| "not tried yet".into())),
        }
    }

    fn tick(&mut self, now: Duration) -> Vec<GuestAction> {
        let over = now >= self.deadline;
        match &mut self.state {
            State::Ended(_) => Vec::new(),
            State::Reached { until, address } if now >= *until => {
                self.seen = Some(format!("{address} took the connection and gave no answer"));
                self.give_up()
            }
            State::Told { stop, until } if now >= *until => {
                let stop = stop.clone();
                self.finish(Outcome::Stop(stop))
            }
            State::Reached { .. } | State::Told { .. } => Vec::new(),
            State::Connecting { address, until, .. } if over || now >= *until => {
                self.seen = Some(format!("nothing came back from {address} (it is down, or the port is filtered)"));
                if over { self.give_up() } else { self.next_address(now) }
            }
            _ if over => self.give_up(),
            State::Paused { until } if now >= *until => {
                self.state = State::Resolving;
                vec![GuestAction::Resolve]
            }
            State::Paused { .. } | State::Connecting { .. } | State::Resolving => Vec::new(),
        }
    }

    fn resolved(&mut self, found: Result<Vec<SocketAddr>, String>, now: Duration) -> Vec<GuestAction> {
        if !matches!(self.state, State::Resolving) {
            return Vec::new();
        }
        match found {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.truncate(ADDRESSES);
                addresses.reverse();
                self.connect(addresses, now).unwrap_or_else(|| self.pause(now))
            }
            failed => {
                let why = failed.err().map(|why| format!(": {}", text::line(&why))).unwrap_or_default();
                self.seen = Some(format!("{} has no address here{why}", self.host));
                self.pause(now)
            }
        }
    }

    /// Tries the last address of the list.
    fn connect(&mut self, mut rest: Vec<SocketAddr>, now: Duration) -> Option<Vec<GuestAction>> {
        let address = rest.pop()?;
        self.state = State::Connecting { address, rest, until: now + CONNECT_WITHIN };
        Some(vec![GuestAction::Connect(address)])
    }

    /// Tries the next address, or pauses.
    fn next_address(&mut self, now: Duration) -> Vec<GuestAction> {
        let rest = match &mut self.state {
            State::Connecting { rest, .. } => std::mem::take(rest),
            _ => Vec::new(),
        };
        let next = self.connect(rest, now).unwrap_or_else(|| self.pause(now));
        std::iter::once(GuestAction::Close).chain(next).collect()
    }

    fn pause(&mut self, now: Duration) -> Vec<GuestAction> {
        self.state = State::Paused { until: now + PAUSE };
        Vec::new()
    }

    fn connected(&mut self, now: Duration) -> Vec<GuestAction> {
        let State::Connecting { address, .. } = &self.state else { return Vec::new() };
        let patience = if self.asks { COMMIT_WITHIN } else { self.wait.saturating_add(PATIENCE) };
        self.state = State::Reached { address: *address, until: now.saturating_add(patience) };
        let Hello { job, attempt, .. } = &self.own;
        match self.asks {
            true => vec![GuestAction::Send(Request::Commit { job: job.clone(), attempt: *attempt })],
            false => vec![GuestAction::Greet],
        }
    }

    fn unconnected(&mut self, fault: &ConnectFault, now: Duration) -> Vec<GuestAction> {
        let State::Connecting { address, .. } = &self.state else { return Vec::new() };
        self.seen = Some(match fault {
            ConnectFault::Refused => format!("{address} refuses connections: nothing listens there"),
            ConnectFault::Other(why) => format!("{address}: {}", text::line(why)),
        });
        self.next_address(now)
    }

    fn received(&mut self, reply: Reply, now: Duration) -> Vec<GuestAction> {
        let State::Reached { address, .. } = &self.state else { return Vec::new() };
        match reply {
            Reply::Commit(commit) if self.asks => {
                self.commit = commit;
                self.finish(Outcome::Go(Resume::Own))
            }
            _ if self.asks => self.lost(now),
            Reply::Commit(_) => self.lost(now),
            Reply::Look(name) => vec![GuestAction::Look(name)],
            Reply::Who => vec![GuestAction::Send(Request::Here)],
            Reply::End(Outcome::Stop(stop)) => {
                self.state = State::Told { stop, until: now + STAY };
                Vec::new()
            }
            Reply::End(outcome) => self.finish(outcome),
            Reply::Refused { why, last: true } => {
                self.finish(Outcome::Stop(Stop::new(PASSING, format!("{}: {}", self.own.who(), text::line(&why)))))
            }
            Reply::Refused { why, last: false } => {
                self.seen = Some(format!("{address} refused this process: {}", text::line(&why)));
                self.lost(now)
            }
        }
    }

    fn broken(&mut self, why: Option<String>, now: Duration) -> Vec<GuestAction> {
        if let State::Told { stop, .. } = &self.state {
            let stop = stop.clone();
            return self.finish(Outcome::Stop(stop));
        }
        let State::Reached { address, .. } = &self.state else { return Vec::new() };
        self.seen = Some(match why {
            None => format!("{address} closed the connection without an answer"),
            Some(why) => format!(
                "{address}: {}; the job may run there already, or another program has the port",
                text::line(&why)
            ),
        });
        self.lost(now)
    }

    /// The connection is gone: there may be another host soon.
    fn lost(&mut self, now: Duration) -> Vec<GuestAction> {
        if self.asks {
            return std::iter::once(GuestAction::Close).chain(self.pause(now)).collect();
        }
        self.deadline =
            self.deadline.max(now.saturating_add(self.wait.min(SEEK_AGAIN)).min(self.deadline + SEEK_AGAIN));
        self.pause(now);
        vec![GuestAction::Close]
    }

    fn give_up(&mut self) -> Vec<GuestAction> {
        let seen = self.seen.clone().unwrap_or_default();
        let stop = match &self.own.verdict {
            Verdict::Failed { code, line } => agree::failed(&self.own, *code, line),
            Verdict::Ready => {
                let (unit, of, wait) = (self.own.unit.word(), self.own.of, within(self.wait));
                Stop::new(PASSING, format!("{unit} 0 of {of} at {} did not answer within {wait}: {seen}", self.host))
            }
        };
        self.finish(Outcome::Stop(stop))
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<GuestAction> {
        self.state = State::Ended(outcome);
        vec![GuestAction::Close]
    }
}

#[cfg(test)]
#[path = "guest/tests.rs"]
mod tests;
