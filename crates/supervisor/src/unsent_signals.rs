//! Signals that the kernel refused to send for a reason that says nothing about the process.
//!
//! Such an error means neither that the process is gone nor that it belongs to another user. A stop must not be lost for it, so these
//! signals are sent again for a while.

use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use sys::{Signal, signal};

/// Number of attempts for one signal, with pauses between them; after that the pid may belong to another process.
const ATTEMPTS: u32 = 50;

/// Sends signals, and keeps the unsent ones for another attempt.
#[derive(Debug, Default)]
pub(crate) struct UnsentSignals {
    signals: RefCell<Vec<UnsentSignal>>,
    /// Why the last unsent signal was not sent.
    failure: Cell<Option<Errno>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnsentSignal {
    pid: c_int,
    number: Signal,
    attempts: u32,
}

impl UnsentSignals {
    /// Sends a signal to a process, or with a negative number to a process group.
    ///
    /// # Errors
    /// The errors of `signal::send`.
    pub(crate) fn send(&self, pid: c_int, number: Signal) -> nix::Result<()> {
        let sent = signal::send(pid, number);
        self.note(UnsentSignal { pid, number, attempts: 1 }, sent);
        sent
    }

    fn note(&self, signal: UnsentSignal, sent: nix::Result<()>) {
        let Some(errno) = sent.err().filter(|errno| !signal::is_final(*errno)) else { return };
        self.failure.set(Some(errno));
        if signal.attempts < ATTEMPTS {
            self.signals.borrow_mut().push(signal);
        }
    }

    /// Returns why a signal was not sent since the last call of this function.
    pub(crate) fn failure(&self) -> Option<Errno> {
        self.failure.take()
    }

    /// Sends all kept signals again, in order.
    pub(crate) fn send_again(&self) {
        for signal in self.signals.take() {
            let sent = signal::send(signal.pid, signal.number);
            self.note(UnsentSignal { attempts: signal.attempts + 1, ..signal }, sent);
        }
    }

    /// Drops the signals for a process that was reaped, because its pid may be reused.
    pub(crate) fn forget(&self, pid: c_int) {
        self.signals.borrow_mut().retain(|signal| signal.pid != pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNAL: UnsentSignal = UnsentSignal { pid: 4_000_000, number: Signal::TERM, attempts: 1 };

    #[test]
    fn only_what_the_kernel_gave_no_answer_to_is_kept_and_not_for_ever() {
        let unsent = UnsentSignals::default();
        [Ok(()), Err(Errno::ESRCH), Err(Errno::EPERM)].into_iter().for_each(|sent| unsent.note(SIGNAL, sent));
        assert_eq!((unsent.failure(), unsent.signals.take()), (None, vec![]));
        unsent.note(UnsentSignal { attempts: ATTEMPTS, ..SIGNAL }, Err(Errno::EIO));
        assert_eq!((unsent.failure(), unsent.signals.take()), (Some(Errno::EIO), vec![]));
        unsent.note(SIGNAL, Err(Errno::ENOMEM));
        assert_eq!((unsent.failure(), unsent.failure()), (Some(Errno::ENOMEM), None));
        unsent.send_again(); // there is no such process
        assert_eq!((unsent.failure(), unsent.signals.take()), (None, vec![]));
    }

    #[test]
    fn what_was_reaped_is_not_signalled() {
        let unsent = UnsentSignals::default();
        unsent.note(SIGNAL, Err(Errno::ENOMEM));
        unsent.forget(SIGNAL.pid);
        assert_eq!(unsent.signals.take(), []);
    }
}
