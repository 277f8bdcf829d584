//! What PID 1 has done aside, in a child with a pipe and a deadline: whatever is rich, may block on a dead file system, or needs
//! the workload's user.

use crate::handover::{Errand, Message};
use crate::supervise::Task;
use std::ffi::c_int;

/// Does one errand.
pub fn run(task: Task<'_>) -> c_int {
    match task.errand {
        Errand::DoneFile => {
            let done = task.policy.done_file.as_ref().is_some_and(|file| std::path::Path::new(file).exists());
            task.door.send(&Message::Answer(done));
        }
        Errand::Watch | Errand::RequestSave | Errand::Pulse | Errand::Dump(_) => {}
    }
    0
}
