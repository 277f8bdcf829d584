//! The events that PID 1 reacts to, as data.

use super::delivery::Awaited;
use protocol::handover::Message;
use sys::Signal;
use sys::process::Ended;
use sys::signal::Arrived;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal arrived.
    Signal(Arrived),
    /// prepare or a helper sent a message.
    Said(Message),
    /// prepare's end of the handover is closed, by exec or by prepare's death.
    HandoverClosed,
    /// The kernel's out-of-memory killer was active in this control group; comes before the end that it explains.
    MemoryRanOut,
    /// The main process ended.
    MainEnded(Ended),
    /// Another child ended.
    ChildEnded,
    /// A sidecar ended, numbered as in the policy.
    SidecarEnded(usize, Ended),
    /// A person or program in the container asks for a checkpoint.
    SaveRequested,
    /// No process has a handler for the signal that was about to be sent.
    NoHandler(Signal),
    /// The stop signal was delivered, and PID 1 waits for something before it delivers the rest.
    Awaits(Awaited),
    /// All processes that were told of the stop have ended.
    TargetsGone,
    /// Only helpers are left of all processes that were started.
    OnlyHelpers,
    /// PID 1 has no children any more.
    ChildrenGone,
    /// A deadline passed.
    Tick,
}
