//! The end of a preparation that was killed: PID 1 reports it, because prepare cannot, and chooses the container's exit code.

use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{Level, Phase};
use sys::Signal;
use sys::process::Ended;

/// Signals that ask a process to end: a terminal sends them to prepare alone, and so does a person with kill(1).
const REQUESTS: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Signals that the kernel sends for a fault of the program.
const FAULTS: [Signal; 6] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::ABRT, Signal::FPE, Signal::SYS];

/// A preparation that ended by a signal although PID 1 was not asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KilledPreparation {
    /// The signal that ended prepare.
    pub signal: Signal,
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
                Some(KilledPreparation { signal, phase, out_of_memory: memory_kill && signal == Signal::KILL })
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
            signal if self.was_asked_for() => Exit::Signal(signal.number()),
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
        format!("killed by {} while {}{report}", self.signal, self.phase.activity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(signal: Signal, memory_kill: bool) -> u8 {
        KilledPreparation::of(Ended::Killed(signal), Phase::Installing, memory_kill)
            .map_or(0, |killed| killed.exit().code())
    }

    #[test]
    fn only_the_kernels_own_kill_is_for_want_of_memory() {
        assert_eq!((code(Signal::KILL, true), code(Signal::KILL, false)), (214, 70));
        assert_eq!((code(Signal::SEGV, true), code(Signal::SEGV, false)), (70, 70));
        assert_eq!(KilledPreparation::of(Ended::Exited(137), Phase::Installing, true), None);
    }

    #[test]
    fn who_was_asked_to_end_did_not_fail() {
        for signal in REQUESTS {
            assert_eq!(code(signal, true), 128 + signal.number());
        }
    }

    #[test]
    fn the_words_name_the_signal_and_what_was_done() {
        let words = |signal, phase| KilledPreparation::of(Ended::Killed(signal), phase, false).unwrap().words();
        assert_eq!(words(Signal::KILL, Phase::Hooks), "killed by SIGKILL while running hooks");
        assert!(
            words(Signal::SEGV, Phase::Configuring).starts_with("killed by SIGSEGV while reading the configuration (")
        );
    }
}
