//! The sockets of both sides. One thread, no connection waits for another one, and a stop ends the process at any moment.

mod connection;
mod files;
mod guest_loop;
mod host_loop;
mod lookup;
mod port;

pub use guest_loop::{Look, Place, ask_commit, join};
pub use host_loop::{host, tell_commit};
pub use port::open;

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since 1970.
fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
