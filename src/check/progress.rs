//! The progress report of a long check.

/// Reports the progress of a task, which restarts its deadline.
pub(super) type TaskProgress = Box<dyn FnMut(&str)>;
