//! What wakes the watcher of a directory: inotify where the kernel knows of changes, a second that went by where it does
//! not, the deadline, and the other end of a pipe.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the directory is looked at when nothing wakes the watcher.
const LOOK: Duration = Duration::from_secs(1);

/// How long events are gathered before a look: a checkpoint of many files makes many.
const GATHER: Duration = Duration::from_millis(20);

/// A look is followed by a rest of so many times its length, but at most until the next look is due: however many events
/// come in, watching takes a fifth of a core.
const REST: u32 = 4;

/// Most directories of unfinished checkpoints that inotify watches.
const MOST_INSIDE: usize = 16;

/// When watching ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchEnd<'a> {
    /// At this time, after a last look.
    pub deadline: Option<Instant>,
    /// When this descriptor can be read or was hung up, after a last look: the other end of a pipe ends the errand by
    /// closing it, and so does its death.
    pub told: Option<BorrowedFd<'a>>,
}

impl WatchEnd<'_> {
    /// Waits for the end, for an event, or for a time.
    fn wait(&self, events: Option<BorrowedFd<'_>>, longest: Duration) -> io::Result<WakeReason> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = left.map_or(longest, |left| left.min(longest));
        let watched: Vec<_> = [self.told, events].into_iter().flatten().collect();
        let mut fds: Vec<_> = watched.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Rounded up: a rest below a millisecond would be waited for in a busy loop.
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

/// The kernel's word of changes, where it has any.
pub(super) struct Events {
    inotify: Option<Inotify>,
    dir: PathBuf,
    inside: HashMap<PathBuf, WatchDescriptor>,
    rest: Duration,
}

impl Events {
    /// Those of a directory. Without inotify (its instances are few, and others use them too) only the time wakes.
    pub fn of(dir: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
        let events = Events { inotify, dir: dir.to_path_buf(), inside: HashMap::new(), rest: GATHER };
        events.add(&events.dir);
        events
    }

    /// A watch for files and directories that appear, are renamed, are written to their end, or vanish (a sentinel).
    fn add(&self, dir: &Path) -> Option<WatchDescriptor> {
        let wanted = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        self.inotify.as_ref()?.add_watch(dir, wanted).ok()
    }

    /// Watches inside the directories of checkpoints that are being written, and no others. The directory itself is added
    /// each time, in case that it is a new one; the kernel knows it if it is not.
    pub fn follow(&mut self, unfinished: &[PathBuf]) {
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

    /// How long to rest after a look that took so long.
    pub fn rest_after(&mut self, took: Duration) {
        self.rest = (took * REST).clamp(GATHER, LOOK);
    }

    /// Waits until there is something to look at, or for a second; whether watching is over.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn wait(&self, until: &WatchEnd<'_>) -> io::Result<bool> {
        let woken = match until.wait(None, self.rest)? {
            WakeReason::Over => WakeReason::Over,
            _ => until.wait(self.inotify.as_ref().map(AsFd::as_fd), LOOK)?,
        };
        let over = match woken {
            WakeReason::Over => true,
            WakeReason::Time => false,
            // What else belongs to it comes right after it.
            WakeReason::Event => until.wait(None, GATHER)? == WakeReason::Over,
        };
        while self.inotify.as_ref().is_some_and(|inotify| inotify.read_events().is_ok_and(|events| !events.is_empty()))
        {
        }
        Ok(over)
    }
}
