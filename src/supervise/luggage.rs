//! What PID 1 came with: the descriptors that its caller had open, and the working directory. It lets go of them, so that neither a
//! pipe nor a mount is kept by who does not use it.

use crate::sys::process;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Still carried, or put down.
#[derive(Debug, Default)]
pub struct Luggage {
    gone: bool,
    workdir: Option<PathBuf>,
}

impl Luggage {
    /// Puts it down, once. Nothing but `keep` may have been opened before. Where PID 1 was is remembered if somebody is going to ask.
    pub fn put_down(&mut self, keep: Option<BorrowedFd<'_>>, ask: bool) {
        if std::mem::replace(&mut self.gone, true) {
            return;
        }
        let keep = [keep, super::guardian::link()].into_iter().flatten();
        process::close_all_but(&keep.map(|fd| fd.as_raw_fd()).collect::<Vec<_>>());
        self.workdir = ask.then(std::env::current_dir).and_then(Result::ok);
        let _ = nix::unistd::chdir("/");
    }

    /// Where the caller was; none: still here.
    pub fn workdir(&self) -> Option<&Path> {
        self.workdir.as_deref()
    }
}
