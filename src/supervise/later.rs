//! What PID 1 does for itself when the workload runs and nobody waits for it: it goes the way of a stop once, and gives back what only
//! the start needed.

use super::state::{Clock, due};
use crate::sys::memory;
use std::time::Duration;

/// So long after its begin a workload is no short command, which would have to pay for what a stop is going to save.
const SOON: Duration = Duration::from_millis(10);

/// So long after that nothing more follows from what was done: earlier, giving memory back would cost more than it brings.
const SETTLED: Duration = Duration::from_secs(1);

/// What is still to be done.
#[derive(Debug, Default)]
pub struct Later {
    practise_at: Option<Clock>,
    forget_at: Option<Clock>,
}

impl Later {
    /// The workload runs.
    pub fn begin(&mut self, now: Clock) {
        self.practise_at = Some(now + SOON);
        self.touched(now);
    }

    /// Something was done that happens once in a while, and touched what a sleep does not need.
    pub fn touched(&mut self, now: Clock) {
        self.forget_at = Some(now + SETTLED);
    }

    /// When something is to be done.
    pub fn deadline(&self) -> Option<Clock> {
        [self.practise_at, self.forget_at].into_iter().flatten().min()
    }

    /// Does what is due. `practise` looks at what a stop looks at, and changes nothing: then that is known to the kernel, and mapped.
    pub fn tick(&mut self, now: Clock, practise: impl FnOnce()) {
        if due(self.practise_at, now) {
            self.practise_at = None;
            practise();
        }
        if due(self.forget_at, now) {
            self.forget_at = None;
            memory::forget_the_past();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_that_runs_is_looked_at_once_and_then_nothing_wakes_anybody() {
        let (mut later, mut looks) = (Later::default(), 0);
        assert_eq!(later.deadline(), None);
        later.begin(SOON);
        let mut wakes = 0;
        while let Some(at) = later.deadline() {
            later.tick(at - Duration::from_millis(1), || looks += 10);
            later.tick(at, || looks += 1);
            wakes += 1;
        }
        assert_eq!((looks, wakes), (1, 2));
    }
}
