//! The process group that a child leads: a program with all that it started.

use super::{Pgid, Pid, Signal, signal};
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

/// How often is looked whether the child has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Ends a child and its group: SIGTERM, then SIGKILL to what is left once the child has ended, after `grace` at the latest. The child is
/// reaped.
///
/// # Errors
/// The child cannot be waited for.
pub fn end(child: &mut Child, grace: Duration) -> io::Result<()> {
    let group = Pgid::led_by(Pid::of(child));
    let _ = signal::send(group, Signal::TERM);
    let deadline = Instant::now() + grace;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
    let _ = signal::send(group, Signal::KILL);
    child.wait().map(drop)
}
