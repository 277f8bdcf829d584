//! Requests from inside the container: files that appear in `requests/` of the state directory.
//!
//! A file is used and not a signal, so that an unprivileged session can ask, too. PID 1 sleeps meanwhile: inotify(7) wakes it.

use crate::state_dir::StateDir;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use protocol::handover::TargetUser;
use protocol::state_file::{CHECKPOINT_REQUEST, REQUESTS};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use sys::{credentials, proc};

/// The watched directory.
pub(crate) struct Requests {
    inotify: Inotify,
    directory: PathBuf,
    user: (u32, u32),
}

impl Requests {
    /// Watches the directory, if the kernel allows it and only the workload's user can write there.
    ///
    /// For a user other than PID 1's, prepare has made the directory.
    pub(crate) fn watch(run_dir: &StateDir, user: Option<&TargetUser>) -> Option<Self> {
        if user.is_none() {
            run_dir.open_to_workload(None).ok()?;
        }
        let directory = run_dir.path().join(REQUESTS);
        let user = user.map_or_else(|| (credentials::own_uid(), credentials::own_gid()), |user| (user.uid, user.gid));
        let found = std::fs::symlink_metadata(&directory).ok()?;
        if !found.is_dir() || found.uid() != user.0 || found.mode() & 0o077 != 0 {
            return None;
        }
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        // The watch uses the user's rights: root without CAP_DAC_OVERRIDE has none of its own in that directory.
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        proc::as_user(user.0, user.1, || inotify.add_watch(&directory, flags)).ok()?;
        Some(Requests { inotify, directory, user })
    }

    /// Returns the descriptor to poll.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Removes all waiting requests; returns whether there was any.
    pub(crate) fn take(&self) -> bool {
        let Ok(events) = self.inotify.read_events() else { return false };
        let names = events.into_iter().filter_map(|event| event.name);
        let ours = names.filter(|name| name.as_encoded_bytes().starts_with(CHECKPOINT_REQUEST.as_bytes()));
        let take = |name: OsString| std::fs::remove_file(self.directory.join(name));
        proc::as_user(self.user.0, self.user.1, || ours.map(take).filter(Result::is_ok).count() > 0)
    }
}
