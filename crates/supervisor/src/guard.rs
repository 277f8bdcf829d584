//! Catches panics, so that the workload does not pay for a fault of trainit's.
//!
//! The panic hook logs one line, and PID 1 goes on. Everything that PID 1 does after its first fork runs below one of these functions.

use super::log::Log;
use nix::poll::poll;
use protocol::handover::Level;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The pause after a panic, in milliseconds, so that a fault that repeats in every iteration of the event loop does not take the
/// processor away from the workload.
const AFTER_PANIC: u8 = 100;

/// Makes every panic one line on stderr.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or(String::new(), |at| format!(" at {}:{}", at.file(), at.line()));
        Log::default().write(Level::Error, &format!("internal error{at}; please report it"));
    }));
}

/// Calls a function once; returns `None` after a panic.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Repeats an iteration of a loop until it returns a result; a panic costs one iteration.
pub(crate) fn keep_turning<T>(mut turn: impl FnMut() -> Option<T>) -> T {
    loop {
        match guarded(&mut turn) {
            Some(Some(result)) => return result,
            Some(None) => {}
            None => drop(poll(&mut [], AFTER_PANIC)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_panics_is_followed_by_the_next() {
        let mut count = 0;
        let code = keep_turning(|| {
            count += 1;
            match count {
                2 | 4 => panic!("a fault of ours"),
                5 => Some(7),
                _ => None,
            }
        });
        assert_eq!((code, count), (7, 5));
    }

    #[test]
    fn what_panics_once_is_over() {
        let fails: Option<u8> = guarded(|| panic!("a fault of ours"));
        assert_eq!((fails, guarded(|| 7)), (None, Some(7)));
    }
}
