//! The terminal's foreground: who gets what a person types, Ctrl-C and Ctrl-Z included.

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, getppid, isatty, setpgid, tcgetpgrp, tcsetpgrp};
use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// The group that has our place at the terminal; 0: our own.
static HOME: AtomicI32 = AtomicI32::new(0);

/// A standard descriptor, without the buffers that std's handles make.
const fn standard(number: c_int) -> BorrowedFd<'static> {
    // SAFETY: 0, 1 and 2 are never closed by this program; where the caller had closed them, calls on them fail.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Our controlling terminal and the group in its foreground. A terminal of another session is not ours to give.
fn foreground() -> Option<(BorrowedFd<'static>, Pid)> {
    for fd in [0, 1, 2].map(standard) {
        if let Ok(group) = tcgetpgrp(fd) {
            return Some((fd, group));
        }
    }
    None
}

/// The group that the foreground is taken from and goes back to.
fn home() -> Pid {
    match HOME.load(Ordering::Relaxed) {
        0 => getpgrp(),
        group => Pid::from_raw(group),
    }
}

/// Leaves the group that the caller's signals are for: for a session of its own, or where a terminal controls the old session, whose
/// job control is for its members only, for a group of its own. There the old group keeps our place at the terminal.
pub fn leave_group() {
    HOME.store(getpgrp().as_raw(), Ordering::Relaxed);
    if is_there() || nix::unistd::setsid().is_err() {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    }
}

/// Puts this process into a group of its own, and into the terminal's foreground if its old group was there. In a shell's pipeline
/// (`trainit … | less`) the foreground stays where it is, as the others need it, too: then trainit gets what is typed, and passes
/// it on. Call with TTOU blocked: a background process that does this is stopped by it.
pub fn take_foreground() {
    let before = home();
    let alone = getppid().as_raw() == 1; // in a container: no shell has started others beside us
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    if let Some((terminal, group)) = foreground()
        && group == before
        && (alone || is_attended())
    {
        let _ = tcsetpgrp(terminal, getpgrp());
    }
}

/// Takes the foreground back from a group that is gone or stopped. Says whether it was there.
pub fn take_back(from: c_int) -> bool {
    match foreground() {
        Some((terminal, group)) if group.as_raw() == from => tcsetpgrp(terminal, home()).is_ok(),
        _ => false,
    }
}

/// Gives our own place in the foreground to a group. Says whether we had it.
pub fn hand_over(to: c_int) -> bool {
    match foreground() {
        Some((terminal, group)) if group == home() => tcsetpgrp(terminal, Pid::from_raw(to)).is_ok(),
        _ => false,
    }
}

/// Whether a terminal controls this session, even if none of our descriptors is it: only then there is job control.
pub fn is_there() -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::open("/dev/tty", flags, Mode::empty()).is_ok()
}

/// Whether a person sits at both ends of this process.
pub fn is_attended() -> bool {
    isatty(standard(0)).unwrap_or(false) && isatty(standard(1)).unwrap_or(false)
}
