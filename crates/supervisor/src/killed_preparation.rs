//! The end of a preparation that was killed: PID 1 reports it, because prepare cannot, and chooses the container's exit code.

use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{Level, Phase};
use std::ffi::c_int;
use sys::process::Ended;
use sys::signal;

/// Signals that ask a process to end: a terminal sends them to prepare alone, and so does a person with kill(1).
const REQUESTS: [c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

/// Signals that the kernel sends for a fault of the program.
const FAULTS: [c_int; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGABRT, libc::SIGFPE, libc::SIGSYS];

/// A preparation that ended by a signal although PID 1 was not asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KilledPreparation {
    /// The signal that ended prepare.
    pub signal: c_int,
    /// The phase that prepare was in.
    pub phase: Phase,
    /// The kernel's out-of-memory killer was active in this control group.
    pub out_of_memory: bool,
}

impl KilledPreparation {
    /// Classifies an end of prepare; `None` if prepare was not killed. The out-of-memory killer sends SIGKILL and nothing else.
    pub fn of(ended: Ended, phase: Phase, memory_kill: bool) -> Option<Self> {
        match ended {
            Ended::Killed(signal) => {
                Some(KilledPreparation { signal, phase, out_of_memory: memory_kill && signal == libc::SIGKILL })
            }
            Ended::Exited(_) => None,
        }
    }

    /// Returns whether the signal only asked for the end, as Ctrl-C does; then the end is no failure.
    pub fn was_asked_for(&self) -> bool {
        REQUESTS.contains(&self.signal)
    }

    /// Returns how the container ends.
    pub fn exit(&self) -> Exit {
        match self.signal {
            _ if self.out_of_memory => Exit::Transient(FailureFamily::Host),
            signal if self.was_asked_for() => Exit::Signal(signal as u8),
            _ => Exit::Internal,
        }
    }

    /// Returns the level of the log line.
    pub fn level(&self) -> Level {
        if self.was_asked_for() { Level::Info } else { Level::Error }
    }

    /// Returns the end in a few words.
    pub fn words(&self) -> String {
        let report = if FAULTS.contains(&self.signal) {
            " (a fault of trainit, unless it was sent: please report it)"
        } else {
            ""
        };
        format!("killed by {} while {}{report}", signal::name(self.signal), self.phase.activity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(signal: c_int, memory_kill: bool) -> u8 {
        KilledPreparation::of(Ended::Killed(signal), Phase::Installing, memory_kill)
            .map_or(0, |killed| killed.exit().code())
    }

    #[test]
    fn only_the_kernels_own_kill_is_for_want_of_memory() {
        assert_eq!((code(libc::SIGKILL, true), code(libc::SIGKILL, false)), (214, 70));
        assert_eq!((code(libc::SIGSEGV, true), code(libc::SIGSEGV, false)), (70, 70));
        assert_eq!(KilledPreparation::of(Ended::Exited(137), Phase::Installing, true), None);
    }

    #[test]
    fn who_was_asked_to_end_did_not_fail() {
        for signal in REQUESTS {
            assert_eq!(code(signal, true), 128 + signal as u8);
        }
    }

    #[test]
    fn the_words_name_the_signal_and_what_was_done() {
        let words = |signal, phase| KilledPreparation::of(Ended::Killed(signal), phase, false).unwrap().words();
        assert_eq!(words(libc::SIGKILL, Phase::Hooks), "killed by SIGKILL while running hooks");
        assert!(
            words(libc::SIGSEGV, Phase::Configuring).starts_with("killed by SIGSEGV while reading the configuration (")
        );
    }
}
