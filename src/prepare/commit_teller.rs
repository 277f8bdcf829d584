//! A process beside this start that tells the other nodes which commit of `code.from` this node has found. Knows nothing of the start.

use exchange::Hello;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use sys::fork_detached::{DetachedChild, fork_detached};
use sys::process::close_one;

/// How long the process that tells the commit may take to end.
const END_WITHIN: u16 = 2000;

/// The process that tells the commit. It ends when this process does, or becomes the workload.
pub(super) struct CommitTeller {
    process: DetachedChild,
    /// The process ends when this is closed.
    held: OwnedFd,
    /// End of file, once the process has ended.
    gone: OwnedFd,
}

impl CommitTeller {
    /// Starts the process that tells this commit, or that there is none. Where the port is taken, the meeting is going to say so.
    pub(super) fn start(port: u16, hello: Box<Hello>, commit: Option<&str>) -> Option<Self> {
        let listener = exchange::open(port).ok()?;
        let hello = Hello { commit: commit.map(str::to_owned), ..*hello };
        let (until, held) = pipe2(OFlag::O_CLOEXEC).ok()?;
        let (gone, alive) = pipe2(OFlag::O_CLOEXEC).ok()?;
        let process = fork_detached(|| {
            let _alive = alive;
            // This process's copy would keep the end from ever being closed.
            close_one(held.as_raw_fd());
            exchange::tell_commit(listener, hello, until.as_fd()).map_or(1, |()| 0)
        });
        Some(CommitTeller { process: process.ok()?, held, gone })
    }

    /// Ends the process, so that its port is free.
    pub(super) fn end(self) {
        drop(self.held);
        let mut gone = [PollFd::new(self.gone.as_fd(), PollFlags::POLLIN)];
        if poll(&mut gone, PollTimeout::from(END_WITHIN)).unwrap_or(0) == 0 {
            self.process.kill();
            let _ = poll(&mut gone, PollTimeout::from(END_WITHIN));
        }
    }
}
