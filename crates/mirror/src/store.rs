//! What carries bytes between files and a mirror.

use transfer_protocol::{Done, Failure, Object, Task};

/// What carries bytes between files and a mirror.
pub trait Store {
    /// Carries out tasks, several at a time, and returns their outcomes in the same order. `moved` hears how many more bytes are
    /// through.
    ///
    /// # Errors
    /// The first failure; what else was under way may be done or not.
    fn run(&mut self, tasks: Vec<Task>, moved: &mut dyn FnMut(u64)) -> Result<Vec<Done>, Failure>;

    /// Lists everything below a prefix; names are relative to it.
    ///
    /// # Errors
    /// The failure of the store.
    fn list(&mut self, url: &str) -> Result<Vec<Object>, Failure>;
}

/// Carries out one task that moves next to nothing.
pub(crate) fn one(store: &mut dyn Store, task: Task) -> Result<Done, Failure> {
    store.run(vec![task], &mut |_| {}).map(|mut done| done.pop().unwrap_or_default())
}
