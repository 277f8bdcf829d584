//! The actions that PID 1 can take after an event, as data.

use super::log_event::LogEvent;
use protocol::handover::HelperTask;
use std::time::Duration;
use sys::Signal;

/// An action of PID 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forwards a signal to the main process, as it arrived.
    Forward(Signal),
    /// Sends the signals that came before the workload was there, as far as the workload has handlers for them.
    Release(u64),
    /// Sends the stop signal, once, to the processes that the policy names.
    Deliver {
        /// The signal.
        signal: Signal,
        /// trainit chose the signal itself, so a target without a handler for it gets TERM.
        chosen: bool,
    },
    /// Sends a signal that means "save", only to processes with a handler for it.
    Ask(Signal),
    /// Sends HUP to a shell, because an interactive shell ignores TERM.
    HangUp,
    /// Sends TERM to the processes that became children of PID 1 after the stop signal was delivered.
    DeliverToOrphans,
    /// Passes on a stronger signal than the stop's to processes that could not act on the weaker one.
    DeliverStronger(Signal),
    /// Looks whether the processes that were told of the stop have ended, and what traps have passed on.
    LookAtTargets,
    /// Sends TERM to the processes that were to end after the told ones.
    ReleaseSpared,
    /// Sends a signal to every descendant.
    Tree(Signal),
    /// Sends SIGKILL to everything.
    Kill,
    /// Logs a line.
    Say(LogEvent),
    /// Logs a line, and writes it to every terminal in the container.
    TellTerminals(LogEvent),
    /// Starts a helper.
    Send(HelperTask),
    /// Starts a helper that looks for signs of life of the workload.
    Pulse,
    /// Starts a helper that logs the stacks of the workload.
    Dump,
    /// Sends a signal that makes a hanging workload print its stacks and die; TERM where that signal would only leave a core file.
    Abort,
    /// Logs which processes are left, and how long they have until SIGKILL.
    NameLeft(Option<Duration>),
    /// Logs which processes the workload has left that get SIGKILL now.
    NameKilled,
    /// Asks the helpers to finish.
    EndHelpers,
    /// Ends an upload whose time is up.
    EndUpload,
    /// Prepares and runs the workload once more.
    Begin,
    /// Starts this sidecar.
    BeginSidecar(usize),
    /// Sends SIGKILL to the leftover processes of the sidecars.
    KillSidecars,
    /// Has a helper write the end of the attempt to the history, after lines that have waited.
    WriteEnd {
        /// The exit code.
        code: u8,
        /// No run follows, because the training is complete or its restarts are used up.
        over: bool,
        /// The lines that have waited.
        waiting: String,
    },
    /// Reports the end with this code before the container ends.
    Account(u8),
    /// Ends with this code.
    Exit(u8),
}
