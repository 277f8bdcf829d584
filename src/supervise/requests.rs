//! Requests from inside the container: files that appear in the state directory's `requests/`. A file and no signal, so that an
//! unprivileged session can ask, too. PID 1 sleeps meanwhile: inotify(7) wakes it.

use crate::state::{CHECKPOINT_REQUEST, REQUESTS};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The watched directory.
pub struct Requests {
    inotify: Inotify,
    directory: PathBuf,
}

impl Requests {
    /// Watches, if the kernel allows it.
    pub fn watch(run_dir: &Path) -> Option<Self> {
        let directory = run_dir.join(REQUESTS);
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        inotify.add_watch(&directory, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO).ok()?;
        Some(Requests { inotify, directory })
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Takes all requests that are there away. Says whether there was any.
    pub fn take(&self) -> bool {
        let Ok(events) = self.inotify.read_events() else { return false };
        let names = events.into_iter().filter_map(|event| event.name);
        let ours = names.filter(|name| name.as_encoded_bytes().starts_with(CHECKPOINT_REQUEST.as_bytes()));
        ours.map(|name| std::fs::remove_file(self.directory.join(name))).filter(Result::is_ok).count() > 0
    }
}
