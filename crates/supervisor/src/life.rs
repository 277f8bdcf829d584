//! The lives of the main process.

use sys::process::Ended;

/// Where the main process is in its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its first: it prepares.
    Preparing,
    /// Its second: it is the workload.
    Running,
    /// It has ended; what it left is being drained.
    Over(Ended),
    /// Everything of it is gone; the next one starts at `again_at`.
    Between(Ended),
    /// Everything of it is gone; the container is kept open until `hold_until`.
    Held(Ended),
}
