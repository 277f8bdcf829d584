//! What can happen to PID 1, as data.

use protocol::handover::Message;
use std::ffi::c_int;
use sys::process::Ended;
use sys::signal::Arrived;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal arrived.
    Signal(Arrived),
    /// prepare or a helper said something.
    Said(Message),
    /// prepare's end of the handover is closed: by exec, or by its death.
    DoorClosed,
    /// The kernel has killed in this control group for want of memory; comes before the end that it explains.
    MemoryRanOut,
    /// The main process ended.
    MainEnded(Ended),
    /// Some other child ended.
    ChildEnded,
    /// So did this sidecar, counted as the policy does.
    CompanionEnded(usize, Ended),
    /// A person or program in the container asks for a checkpoint.
    SaveRequested,
    /// No process has a handler for the signal that was to be sent.
    NobodyReady(c_int),
    /// Nothing but helpers is left of all that was started.
    OnlyErrands,
    /// There is no child any more.
    ChildrenGone,
    /// A deadline passed.
    Tick,
}
