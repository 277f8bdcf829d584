//! The exchange: before anything runs, the processes that trainit starts for one job meet at the job's master. Either all go, from the
//! same checkpoint, or all stop with one exit code and one line. `Host` (the first process) and `Guest` (each other) are state
//! machines without system calls; `drive` has their sockets. The crate knows no engine, no configuration and no log.
#![warn(unreachable_pub)]

mod agree;
mod drive;
mod fields;
mod guest;
mod hello;
mod host;
mod message;
mod outcome;
mod resume;
mod words;

pub use agree::{Agree, CLOCK_APART, COMMIT_DIFFERS, LASTING, PASSING};
pub use drive::{Look, Place, ask_commit, host, join, open, tell_commit};
pub use guest::{ConnectFault, Guest, GuestAction, GuestEvent};
pub use hello::{Checkpoints, Hello, STEPS_MAX, Saved, Unit, Verdict};
pub use host::{ConnectionId, Host, HostAction, HostEvent};
pub use message::{FrameEnd, MESSAGE_MAX, Reply, Request, Unreadable, frame};
pub use outcome::{Outcome, Progress, Resume, Stop};
pub use words::named;
