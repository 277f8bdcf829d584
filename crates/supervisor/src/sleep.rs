//! Sleeps until an event, with as few system calls as possible.

use super::clock::Clock;
use super::guardian;
use super::helpers::Helpers;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::Duration;
use sys::memory;
use sys::signal::{AT_ONCE, Arrived, SignalReceiver};

/// Time between two looks at everything but signals where there is no descriptor to poll.
const PEEP: Duration = Duration::from_millis(100);

/// The sources, beside time, that may wake PID 1.
pub(crate) struct WakeSources<'a> {
    /// The signals.
    pub signals: &'a SignalReceiver,
    /// The child that prepares.
    pub handover: Option<BorrowedFd<'a>>,
    /// Requests from inside the container.
    pub requests: Option<BorrowedFd<'a>>,
    /// The running helpers.
    pub helpers: &'a Helpers,
}

/// What is known after a sleep; the caller looks at the rest itself, which is cheaper than to be notified.
#[derive(Debug, Default)]
pub(crate) struct WakeReason {
    /// There may be a request.
    pub asked: bool,
    /// The signals that came; there may be more.
    pub signals: [Option<Arrived>; AT_ONCE],
}

impl WakeSources<'_> {
    /// Sleeps until an event, at most for `limit`; where PID 1 has `settled`, it first gives back the pages of its program, last of all,
    /// because whatever runs before the sleep brings pages back.
    pub(crate) fn sleep(&self, limit: Option<Clock>, settled: bool) -> WakeReason {
        let front = guardian::link();
        if self.handover.is_none() && self.requests.is_none() && front.is_none() && !self.helpers.any() {
            // One call instead of two, because a plain init spends its life here.
            return self.wait(limit, settled);
        }
        let Some(signals) = self.signals.fd() else {
            // No free descriptor is left, so the other sources are looked at now and then.
            return self.peep(limit);
        };
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        // Often these are all, and then no heap is touched; a descriptor that is listed twice does no harm.
        let mut own = [Some(signals), self.requests, front, self.handover].map(|fd| readable(fd.unwrap_or(signals)));
        if self.helpers.any() {
            let mut all: Vec<PollFd<'_>> = own.into_iter().chain(self.helpers.fds()).collect();
            return self.poll(&mut all, limit, settled);
        }
        let count = if self.handover.is_some() { 4 } else { 3 };
        self.poll(own.get_mut(..count).unwrap_or_default(), limit, settled)
    }

    fn peep(&self, limit: Option<Clock>) -> WakeReason {
        let woken = self.wait(Some(limit.map_or(PEEP, |limit| limit.min(PEEP))), false);
        WakeReason { asked: true, ..woken }
    }

    fn wait(&self, limit: Option<Clock>, settled: bool) -> WakeReason {
        let peep = || limit.map_or(PEEP, |limit| limit.min(PEEP));
        let give_back = || {
            if settled {
                memory::give_back_text()
            }
        };
        let arrived = self.signals.wait_after(limit, give_back).unwrap_or_else(|_| {
            // The kernel has given no answer. The pause prevents a busy loop if that repeats.
            let _ = poll(&mut [], whole_milliseconds(peep()));
            None
        });
        WakeReason { asked: false, signals: [arrived, None, None, None] }
    }

    fn poll(&self, fds: &mut [PollFd<'_>], limit: Option<Clock>, settled: bool) -> WakeReason {
        let limit_ms = limit.map_or(PollTimeout::NONE, whole_milliseconds);
        if settled {
            memory::give_back_text();
        }
        match poll(fds, limit_ms) {
            Ok(_) | Err(Errno::EINTR) => {}
            // ENOMEM, or a limit of descriptors that was lowered meanwhile (EINVAL).
            Err(_) => return self.peep(limit),
        }
        let ready = |index: usize| fds.get(index).and_then(PollFd::any).unwrap_or(false);
        WakeReason { asked: ready(1), signals: if ready(0) { self.signals.take() } else { Default::default() } }
    }
}

/// Converts a duration to what poll(2) can count, rounded up so that a deadline has passed after it.
fn whole_milliseconds(limit: Clock) -> PollTimeout {
    PollTimeout::try_from(limit + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::{Resource, setrlimit};
    use std::os::fd::AsFd;
    use sys::{Pid, Signal, fork_detached, signal};

    /// Returns the results of a sleep with a handover, after a signal and after none, in a process that may open this many descriptors
    /// more.
    fn beside_a_door(files: u64) -> Vec<u8> {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let (handover, _writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let aside = fork_detached::fork_detached(|| {
            signal::set_mask(signal::EVERY);
            let _ = setrlimit(Resource::RLIMIT_NOFILE, files, files);
            let (signals, helpers) = (SignalReceiver::default(), Helpers::default());
            let sources =
                WakeSources { signals: &signals, handover: Some(handover.as_fd()), requests: None, helpers: &helpers };
            let _ = signal::send(Pid::own(), Signal::USR1);
            let sleep = || sources.sleep(Some(Duration::from_millis(1)), false).signals;
            let number = |[first, ..]: [Option<Arrived>; AT_ONCE]| first.map_or(0, |arrived| arrived.signal.number());
            let _ = nix::unistd::write(&write, &[number(sleep()), number(sleep()), 1]);
            0
        });
        drop((aside.unwrap(), write));
        let mut told = [0; 4];
        let count = nix::unistd::read(&read, &mut told).unwrap();
        told[..count].to_vec()
    }

    #[test]
    fn signals_are_received_beside_a_descriptor_and_without_any_to_poll() {
        assert_eq!(beside_a_door(4096), [Signal::USR1.number(), 0, 1]);
        assert_eq!(beside_a_door(0), [Signal::USR1.number(), 0, 1]);
    }
}
