//! The foreground of the terminal: the process group that gets what a user types, Ctrl-C and Ctrl-Z included.

use super::{Pgid, Pid};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{getpgrp, isatty, setpgid, tcgetpgrp, tcsetpgrp};
use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicI32, Ordering};

/// The group that has our place at the terminal; 0 where it is our own group.
static HOME: AtomicI32 = AtomicI32::new(0);

/// Borrows a standard descriptor, without the buffers that std's handles make.
const fn standard(number: c_int) -> BorrowedFd<'static> {
    // SAFETY: this program never closes 0, 1 and 2; where the caller had closed them, calls on them fail.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Returns our controlling terminal and the group in its foreground. A terminal of another session is not ours to give.
fn foreground() -> Option<(BorrowedFd<'static>, Pgid)> {
    for fd in [0, 1, 2].map(standard) {
        if let Ok(group) = tcgetpgrp(fd) {
            return Some((fd, Pgid::reported(group.as_raw())));
        }
    }
    None
}

/// Returns the group that the foreground is taken from and goes back to.
fn home() -> Pgid {
    match HOME.load(Ordering::Relaxed) {
        0 => Pgid::reported(getpgrp().as_raw()),
        group => Pgid::reported(group),
    }
}

/// Puts a group into the foreground.
fn put(terminal: BorrowedFd<'_>, group: Pgid) -> bool {
    tcsetpgrp(terminal, nix::unistd::Pid::from_raw(group.number())).is_ok()
}

/// Puts this process into a group of its own (setpgid(2); 0 is the caller).
fn own_group() -> nix::Result<()> {
    let own = nix::unistd::Pid::from_raw(0);
    setpgid(own, own)
}

/// Leaves the process group that the caller's signals go to, and makes a new session. Where a terminal controls the session, its
/// job control is for members of the session only, so this process makes only a new group. The old group then keeps our place at
/// the terminal.
pub fn leave_group() {
    HOME.store(getpgrp().as_raw(), Ordering::Relaxed);
    if is_there() || nix::unistd::setsid().is_err() {
        let _ = own_group();
    }
}

/// Puts this process into its own group, and into the terminal's foreground if its old group was there. In a shell's pipeline
/// (`trainit … | less`) the foreground stays where it is, because the other programs need it, too; trainit then gets what is typed
/// and passes it on. Call this function with TTOU blocked: TTOU stops a background process that takes the foreground.
pub fn take_foreground() {
    let before = home();
    let alone = Pid::parent() == Some(Pid::FIRST); // in a container: no shell has started other programs beside us
    let _ = own_group();
    if let Some((terminal, group)) = foreground()
        && group == before
        && (alone || is_attended())
    {
        let _ = tcsetpgrp(terminal, getpgrp());
    }
}

/// Takes the foreground back from a group that has ended or stopped, and tells whether it was there.
pub fn take_back(from: Pgid) -> bool {
    match foreground() {
        Some((terminal, group)) if group == from => put(terminal, home()),
        _ => false,
    }
}

/// Gives our own place in the foreground to a group, and tells whether we had it.
pub fn hand_over(to: Pgid) -> bool {
    match foreground() {
        Some((terminal, group)) if group == home() => put(terminal, to),
        _ => false,
    }
}

/// Tells whether a terminal controls this session, even if none of our descriptors is that terminal. Only then there is job
/// control.
pub fn is_there() -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::open("/dev/tty", flags, Mode::empty()).is_ok()
}

/// Tells whether stdin is /dev/null, as engines give it to a container that nobody types into.
pub fn has_no_input() -> bool {
    let device = |path: &str| std::fs::metadata(path).ok().map(|found| found.rdev());
    device("/proc/self/fd/0").is_some_and(|given| Some(given) == device("/dev/null"))
}

/// Gives this process, and the program that it becomes, a stdin that never has anything to read and never ends.
///
/// # Errors
/// The error of pipe(2) or dup2(2).
pub fn wait_for_input_forever() -> std::io::Result<()> {
    let (reading, writing) = nix::unistd::pipe()?;
    nix::unistd::dup2_stdin(reading)?;
    // The program holds the writing end itself, so the pipe has no end.
    std::mem::forget(writing);
    Ok(())
}

/// Tells whether both stdin and stdout are terminals, so that a user sits at this process.
pub fn is_attended() -> bool {
    isatty(standard(0)).unwrap_or(false) && isatty(standard(1)).unwrap_or(false)
}
