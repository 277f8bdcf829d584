//! Sleeping until something happens, as cheaply as the kernel lets PID 1 hear of it.

use super::errands::Errands;
use super::state::Clock;
use crate::sys::signal::{Arrived, Receiver};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What may wake PID 1, beside time.
pub struct Sources<'a> {
    /// The signals.
    pub signals: &'a Receiver,
    /// The child that prepares.
    pub door: Option<BorrowedFd<'a>>,
    /// Requests from inside the container.
    pub requests: Option<BorrowedFd<'a>>,
    /// Errands under way.
    pub errands: &'a Errands,
}

/// What is known after a sleep; all else is dearer to be told of than to look at.
#[derive(Debug, Default)]
pub struct Woken {
    /// There may be a request.
    pub asked: bool,
    /// A signal that was received on the way.
    pub signal: Option<Arrived>,
}

impl Sources<'_> {
    /// Sleeps for so long at most; with no limit, until something happens.
    pub fn sleep(&self, limit: Option<Clock>) -> Woken {
        if self.door.is_none() && self.requests.is_none() && !self.errands.any() {
            // One call instead of two: this is how an init spends its life.
            return Woken { asked: false, signal: self.signals.wait(limit) };
        }
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        // Often this is all, and no heap is touched for it; a descriptor that is there twice is no harm.
        let signals = self.signals.fd();
        let mut own = [Some(signals), self.door, self.requests].map(|fd| readable(fd.unwrap_or(signals)));
        if self.errands.any() {
            let mut all: Vec<PollFd<'_>> = own.into_iter().chain(self.errands.fds()).collect();
            return poll_for(&mut all, limit);
        }
        poll_for(&mut own, limit)
    }
}

fn poll_for(fds: &mut [PollFd<'_>], limit: Option<Clock>) -> Woken {
    let _ = poll(fds, limit.map_or(PollTimeout::NONE, whole_milliseconds));
    Woken { asked: fds.get(2).and_then(PollFd::any).unwrap_or(false), signal: None }
}

/// What poll(2) can count; a little more than what was asked for, so that a deadline is over after it.
fn whole_milliseconds(limit: Clock) -> PollTimeout {
    PollTimeout::try_from(limit + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}
