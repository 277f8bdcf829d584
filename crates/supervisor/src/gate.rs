//! A gate that holds PID 1's first child back until PID 1 has closed what it inherited.
//!
//! The order of the two processes then does not depend on the scheduler: the workload never sees a PID 1 that still has its caller's
//! descriptors or directory.

use nix::fcntl::OFlag;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use sys::process::close_one;
use sys::retry::retry;

/// A pipe that nothing is written to: end of file says that PID 1 has closed its end, on purpose or by its death.
pub(crate) struct Gate {
    waits: OwnedFd,
    opens: OwnedFd,
}

impl Gate {
    /// Makes a closed gate.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub(crate) fn new() -> nix::Result<Self> {
        let (waits, opens) = retry(|| nix::unistd::pipe2(OFlag::O_CLOEXEC))?;
        Ok(Gate { waits, opens })
    }

    /// Waits in the child until the gate is open.
    pub(crate) fn wait(&self) {
        close_one(self.opens.as_raw_fd());
        let _ = retry(|| nix::unistd::read(&self.waits, &mut [0]));
        close_one(self.waits.as_raw_fd());
    }

    /// Returns the descriptors that PID 1 must keep until it opens the gate.
    pub(crate) fn fds(&self) -> [RawFd; 2] {
        [self.waits.as_raw_fd(), self.opens.as_raw_fd()]
    }

    /// Opens the gate in PID 1.
    pub(crate) fn open(self) {
        close_one(self.waits.into_raw_fd());
        close_one(self.opens.into_raw_fd());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::process::{Ended, Reaped, fork, reap_one, wait_for};

    #[test]
    fn a_child_waits_until_the_gate_is_open_or_its_parent_has_lost_it() {
        for open in [Gate::open, drop] {
            let gate = Gate::new().unwrap();
            let child = fork(|| {
                gate.wait();
                7
            });
            let child = child.unwrap();
            assert_eq!(reap_one(child), Reaped::NoneYet);
            open(gate);
            assert_eq!(wait_for(child), Reaped::One(child, Ended::Exited(7)));
        }
    }
}
