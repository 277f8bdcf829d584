//! What PID 1 can do about an event, as data.

use super::log_event::LogEvent;
use protocol::handover::HelperTask;
use std::ffi::c_int;
use std::time::Duration;

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A signal for the main process, as it arrived.
    Forward(c_int),
    /// Signals that came before the workload was there: for those of them that it catches.
    Release(u64),
    /// The stop signal, to whom the policy says; once.
    Deliver {
        /// What is sent.
        number: c_int,
        /// trainit chose the number itself, so a target that is not ready for it gets TERM.
        chosen: bool,
    },
    /// A signal that means "save": only for who is ready for it.
    Ask(c_int),
    /// A hang-up for a shell: one that a person types into ignores TERM.
    HangUp,
    /// TERM for what became our child since the stop was delivered.
    DeliverToOrphans,
    /// A signal for every descendant.
    Tree(c_int),
    /// SIGKILL for everything.
    Kill,
    /// A line for the person who reads the log.
    Say(LogEvent),
    /// A line for every terminal in the container, too.
    TellTerminals(LogEvent),
    /// Have something done aside.
    Send(HelperTask),
    /// Have signs of life of the workload looked for.
    Pulse,
    /// Have the stacks of the workload told.
    Dump,
    /// A signal that makes a hanging workload tell its stacks and die; TERM where it would only leave a core file.
    Abort,
    /// Name whoever is left, and how long they have until SIGKILL.
    NameLeft(Option<Duration>),
    /// Helpers are to finish.
    EndErrands,
    /// Prepare and run once more.
    Begin,
    /// Start this sidecar.
    BeginCompanion(usize),
    /// SIGKILL for what is left of the sidecars.
    KillCompanions,
    /// Tell how it ended, with this code, although the end is yet to come.
    Account(u8),
    /// The end.
    Exit(u8),
}
