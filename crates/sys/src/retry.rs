//! System calls that failed for a reason that may pass by itself.

use nix::errno::Errno;

/// Number of attempts for one call.
pub(super) const ATTEMPTS: u32 = 4;

/// Repeats a call that was interrupted (EINTR), or that failed for want of memory, or with an error that its manual page does not
/// list (EIO). PID 1 must not take such an error for an answer.
///
/// # Errors
/// The error of the last attempt, or the first error that another attempt does not mend.
pub fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    let mut result = call();
    for _ in 1..ATTEMPTS {
        match result {
            Err(errno) if may_pass(errno) => result = call(),
            _ => break,
        }
    }
    result
}

/// Repeats a call only while it is interrupted, for callers that handle its failure.
///
/// # Errors
/// The error of the last attempt.
pub fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    let mut result = call();
    for _ in 1..ATTEMPTS {
        match result {
            Err(Errno::EINTR) => result = call(),
            _ => break,
        }
    }
    result
}

/// Tells whether the same call may succeed a moment later.
pub fn may_pass(errno: Errno) -> bool {
    matches!(errno, Errno::EINTR | Errno::ENOMEM | Errno::EIO | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the result of a call that first fails `count` times, and how often it was made.
    fn after_failures(count: u32, errno: Errno) -> (nix::Result<()>, u32) {
        let mut calls = 0;
        let result = retry(|| {
            calls += 1;
            if calls > count { Ok(()) } else { Err(errno) }
        });
        (result, calls)
    }

    #[test]
    fn only_an_error_that_may_pass_is_tried_again_and_not_for_ever() {
        assert_eq!(after_failures(0, Errno::EIO), (Ok(()), 1));
        assert_eq!(after_failures(2, Errno::EINTR), (Ok(()), 3));
        assert_eq!(after_failures(9, Errno::ENOMEM), (Err(Errno::ENOMEM), ATTEMPTS));
        assert_eq!(after_failures(9, Errno::ECHILD), (Err(Errno::ECHILD), 1));
    }
}
