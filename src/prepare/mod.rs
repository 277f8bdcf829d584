//! The child's first life, as a story: settings → mode → checks → dependencies → environment → exec. It may be rich, slow or fail;
//! whatever happens here, PID 1 goes on. Its second life is the workload, under the same pid.

mod launch;
mod policy;
mod story;

use crate::error::Error;
use crate::handover::{Door, Message};
use crate::supervise::Start;
use crate::sys::signal::{self, Inherited};
use crate::sys::{Args, process, terminal};
use std::ffi::c_int;
use std::time::Instant;

/// Prepares below a supervisor and becomes the workload. Returns only with a failure's exit code.
pub fn supervised(args: Args, start: Start) -> c_int {
    terminal::take_foreground();
    begin(&start.door);
    story::tell(&args.to_vec(), start.door, start.inherited, start.since)
}

/// `trainit exec`: the same without a supervisor.
pub fn in_place(args: Args, inherited: Inherited) -> c_int {
    story::tell(&args.to_vec(), Door::none(), inherited, Instant::now())
}

/// Runs something else than a workload below a supervisor: a sub-command as a container's first process.
pub fn only(start: Start, body: impl FnOnce() -> c_int) -> c_int {
    terminal::take_foreground();
    begin(&start.door);
    body()
}

/// From here on a forwarded TERM ends the preparing, as it should: no workload is there yet that could lose anything.
fn begin(door: &Door) {
    if let Some(fd) = door.fd() {
        process::keep_private(fd);
    }
    signal::set_mask(0);
}

/// Says why there will be no workload, to the person and to PID 1, and gives the code to end with.
fn refuse(door: &Door, error: &Error) -> c_int {
    door.send(&Message::Refused(error.to_string()));
    c_int::from(error.exit.code())
}
