//! Signals that the kernel refused to send for a reason that says nothing about the process.
//!
//! Such an error means neither that the process is gone nor that it belongs to another user. A stop must not be lost for it, so these
//! signals are sent again for a while.

use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use sys::{KillTarget, Pid, Signal, signal};

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
    target: KillTarget,
    signal: Signal,
    attempts: u32,
}

impl UnsentSignals {
    /// Sends a signal.
    ///
    /// # Errors
    /// The errors of `signal::send`.
    pub(crate) fn send(&self, target: impl Into<KillTarget>, signal: Signal) -> nix::Result<()> {
        let target = target.into();
        let sent = signal::send(target, signal);
        self.note(UnsentSignal { target, signal, attempts: 1 }, sent);
        sent
    }

    fn note(&self, unsent: UnsentSignal, sent: nix::Result<()>) {
        let Some(errno) = sent.err().filter(|errno| !signal::is_final(*errno)) else { return };
        self.failure.set(Some(errno));
        if unsent.attempts < ATTEMPTS {
            self.signals.borrow_mut().push(unsent);
        }
    }

    /// Returns why a signal was not sent since the last call of this function.
    pub(crate) fn failure(&self) -> Option<Errno> {
        self.failure.take()
    }

    /// Sends all kept signals again, in order.
    pub(crate) fn send_again(&self) {
        for unsent in self.signals.take() {
            let sent = signal::send(unsent.target, unsent.signal);
            self.note(UnsentSignal { attempts: unsent.attempts + 1, ..unsent }, sent);
        }
    }

    /// Drops the signals for a process that was reaped, because its pid may be reused.
    pub(crate) fn forget(&self, pid: Pid) {
        self.signals.borrow_mut().retain(|unsent| unsent.target != KillTarget::Process(pid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The highest pid that Linux allows is 4194304 (proc_sys_kernel(5)), and hardly any machine gets there.
    fn nowhere() -> UnsentSignal {
        UnsentSignal { target: Pid::new(4_000_000).unwrap().into(), signal: Signal::TERM, attempts: 1 }
    }

    #[test]
    fn only_what_the_kernel_gave_no_answer_to_is_kept_and_not_for_ever() {
        let unsent = UnsentSignals::default();
        [Ok(()), Err(Errno::ESRCH), Err(Errno::EPERM)].into_iter().for_each(|sent| unsent.note(nowhere(), sent));
        assert_eq!((unsent.failure(), unsent.signals.take()), (None, vec![]));
        unsent.note(UnsentSignal { attempts: ATTEMPTS, ..nowhere() }, Err(Errno::EIO));
        assert_eq!((unsent.failure(), unsent.signals.take()), (Some(Errno::EIO), vec![]));
        unsent.note(nowhere(), Err(Errno::ENOMEM));
        assert_eq!((unsent.failure(), unsent.failure()), (Some(Errno::ENOMEM), None));
        unsent.send_again(); // there is no such process
        assert_eq!((unsent.failure(), unsent.signals.take()), (None, vec![]));
    }

    #[test]
    fn what_was_reaped_is_not_signalled() {
        let unsent = UnsentSignals::default();
        unsent.note(nowhere(), Err(Errno::ENOMEM));
        unsent.forget(nowhere().target.process().unwrap());
        assert_eq!(unsent.signals.take(), []);
    }
}
