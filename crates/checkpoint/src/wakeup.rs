//! The events that wake the watcher of a directory: inotify where the kernel sees changes, a pause of a second where it does not,
//! the deadline, and the other end of a pipe.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the directory is read when no event wakes the watcher.
const LOOK: Duration = Duration::from_secs(1);

/// How long events are gathered before the directory is read, since a checkpoint of many files makes many events.
const GATHER: Duration = Duration::from_millis(20);

/// Each read of the directory is followed by a rest of this many times its duration, but of a second at most. However many events
/// come, watching takes a fifth of a core.
const REST: u32 = 4;

/// Most directories of unfinished checkpoints that inotify watches.
const MOST_INSIDE: usize = 16;

/// The end of watching.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchEnd<'a> {
    /// Watching ends at this time, after a last read.
    pub deadline: Option<Instant>,
    /// Watching ends when this descriptor can be read or was hung up, after a last read. The process at the other end of the pipe
    /// ends the helper by closing the pipe, and its death does the same.
    pub told: Option<BorrowedFd<'a>>,
}

impl WatchEnd<'_> {
    /// Waits for the end of watching, for an event, or for the time `longest`.
    fn wait(&self, events: Option<BorrowedFd<'_>>, longest: Duration) -> io::Result<WakeReason> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.map_or(longest, |left| left.min(longest));
        let watched: Vec<_> = [self.told, events].into_iter().flatten().collect();
        let mut fds: Vec<_> = watched.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Rounded up, because a rest below a millisecond would become a busy loop.
        let millis = u32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u32::MAX);
        match poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let told = self.told.is_some() && ready.first() == Some(&true);
        Ok(match () {
            () if told || self.deadline.is_some_and(|deadline| deadline <= Instant::now()) => WakeReason::Over,
            () if ready.contains(&true) => WakeReason::Event,
            () => WakeReason::Time,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WakeReason {
    Over,
    Event,
    Time,
}

/// The kernel's events for a directory, where the kernel has any.
pub(super) struct Events {
    inotify: Option<Inotify>,
    dir: PathBuf,
    inside: HashMap<PathBuf, WatchDescriptor>,
    rest: Duration,
}

impl Events {
    /// Starts to watch a directory. Without inotify, whose instances are few and shared with other programs, only the time wakes
    /// the watcher.
    pub(crate) fn of(dir: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let events = Events { inotify, dir: dir.to_path_buf(), inside: HashMap::new(), rest: GATHER };
        events.add(&events.dir);
        events
    }

    /// Adds a watch for files and directories that appear, are renamed, are written to their end, or vanish (a sentinel).
    fn add(&self, dir: &Path) -> Option<WatchDescriptor> {
        let wanted = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        self.inotify.as_ref()?.add_watch(dir, wanted).ok()
    }

    /// Watches inside the directories of unfinished checkpoints, and in no others. The watched directory itself is added each time,
    /// in case that it is a new one; adding it again changes nothing.
    pub(crate) fn follow(&mut self, unfinished: &[PathBuf]) {
        self.add(&self.dir);
        let wanted = unfinished.get(..MOST_INSIDE).unwrap_or(unfinished);
        let (keep, drop): (HashMap<_, _>, HashMap<_, _>) =
            self.inside.drain().partition(|(path, _)| wanted.contains(path));
        self.inside = keep;
        for watch in drop.into_values() {
            let _ = self.inotify.as_ref().map(|inotify| inotify.rm_watch(watch));
        }
        for path in wanted {
            if let Some(watch) = self.add(path) {
                self.inside.insert(path.clone(), watch);
            }
        }
    }

    /// Sets the rest after a read of the directory that took this time.
    pub(crate) fn rest_after(&mut self, took: Duration) {
        self.rest = (took * REST).clamp(GATHER, LOOK);
    }

    /// Waits until there may be a change, or for a second, and tells whether watching is over.
    ///
    /// # Errors
    /// The error of poll(2).
    pub(crate) fn wait(&self, until: &WatchEnd<'_>) -> io::Result<bool> {
        let woken = match until.wait(None, self.rest)? {
            WakeReason::Over => WakeReason::Over,
            _ => until.wait(self.inotify.as_ref().map(AsFd::as_fd), LOOK)?,
        };
        let over = match woken {
            WakeReason::Over => true,
            WakeReason::Time => false,
            // The other events of the same checkpoint come right after this one.
            WakeReason::Event => until.wait(None, GATHER)? == WakeReason::Over,
        };
        while self.inotify.as_ref().is_some_and(|inotify| inotify.read_events().is_ok_and(|events| !events.is_empty()))
        {
        }
        Ok(over)
    }
}
