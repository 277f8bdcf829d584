//! Signals: masks, dispositions, receiving and sending.

use super::retry::{may_pass, retry, uninterrupted};
use super::{KillTarget, Pid, Signal};
use libc::{SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigtimedwait, SYS_signalfd4};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use std::cell::OnceCell;
use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The set of every signal.
pub const EVERY: u64 = !0;

/// Attempts to set the mask: with signals that are not blocked, PID 1 would never hear of a stop.
const ATTEMPTS: u32 = 3;

/// Sets the blocked signals and returns those blocked before. The call cannot fail with a valid `how` (rt_sigprocmask(2)), but a sandbox
/// may refuse it.
pub fn set_mask(new: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: both sets are 8 bytes, as the last argument says, and outlive the call.
    let mut set = || unsafe { libc::syscall(SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const new, &raw mut old, 8) };
    let _ = (0..ATTEMPTS).find(|_| retry(|| Errno::result(set())).is_ok());
    old
}

/// Sets a signal to default or ignored, and returns whether it was ignored. By a raw call, because musl refuses signals 32 to 34.
pub fn set_ignored(signal: Signal, ignore: bool) -> bool {
    // struct kernel_sigaction: handler, flags, restorer, mask (one word each on 64-bit machines).
    let (new, mut old) = ([usize::from(ignore), 0, 0, 0], [0usize; 4]);
    // SAFETY: both structures have the kernel's layout and outlive the call; no handler is installed.
    let mut set =
        || unsafe { libc::syscall(SYS_rt_sigaction, c_long::from(signal.raw()), &raw const new, &raw mut old, 8) };
    let _ = retry(|| Errno::result(set()));
    old[0] == libc::SIG_IGN
}

/// Returns whether this process ignores a signal. A shell's background jobs ignore SIGINT, and `nohup` makes a program ignore SIGHUP: who
/// handles signals leaves those alone.
pub fn is_ignored(signal: Signal) -> bool {
    let mut now = [0usize; 4];
    let none = std::ptr::null::<[usize; 4]>();
    // SAFETY: without a new structure nothing changes; the old one has the kernel's layout (see `set_ignored`) and outlives the call.
    let mut ask = || unsafe { libc::syscall(SYS_rt_sigaction, c_long::from(signal.raw()), none, &raw mut now, 8) };
    let _ = retry(|| Errno::result(ask()));
    now[0] == libc::SIG_IGN
}

/// The part of the signals' state that trainit changed and that the workload must get back. With signalfd there is nothing else.
#[derive(Clone, Copy, Debug)]
pub struct InheritedSignals {
    mask: u64,
    child_ignored: bool,
    pipe_ignored: bool,
}

impl InheritedSignals {
    /// Blocks every signal, so that none is lost before it can be received, and makes SIGCHLD waitable. With SIGCHLD ignored, the
    /// kernel would drop the exit codes of children (sigaction(2)). This is the first call in `main`.
    pub fn take_over() -> Self {
        let mask = set_mask(EVERY);
        InheritedSignals { mask, ..Self::keep_pipes() }
    }

    /// Blocks no signal, for a process that no supervisor watches, but ignores SIGPIPE: a closed stderr must not kill the process.
    pub fn for_command() -> Self {
        let mask = set_mask(0);
        InheritedSignals { mask, ..Self::keep_pipes() }
    }

    fn keep_pipes() -> Self {
        InheritedSignals {
            mask: 0,
            child_ignored: set_ignored(Signal::CHLD, false),
            pipe_ignored: set_ignored(Signal::PIPE, true),
        }
    }

    /// Restores the inherited state, as the last step before exec.
    pub fn give_back(&self) {
        set_ignored(Signal::CHLD, self.child_ignored);
        set_ignored(Signal::PIPE, self.pipe_ignored);
        set_mask(self.mask);
    }
}

/// A signal that was received, with its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The signal.
    pub signal: Signal,
    /// The sender; `None` where the sender is outside of this pid namespace, or is the kernel.
    pub pid: Option<Pid>,
    /// The sender's user.
    pub uid: u32,
    /// Whether the kernel sent the signal (a terminal, a timer), and not a process.
    pub kernel: bool,
}

/// Most signals that are taken with one call.
pub const AT_ONCE: usize = 4;

/// A receiver of blocked signals. It changes no disposition, so there is nothing to restore for the workload.
#[derive(Debug, Default)]
pub struct SignalReceiver(OnceCell<OwnedFd>);

impl SignalReceiver {
    /// Returns the descriptor to poll, a signalfd(2) for every signal, which is opened at the first call; `None` while it cannot be
    /// opened.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.0.get().is_none() {
            let _ = self.0.set(signalfd().ok()?);
        }
        self.0.get().map(AsFd::as_fd)
    }

    /// Takes the pending signals, or some of them.
    pub fn take(&self) -> [Option<Arrived>; AT_ONCE] {
        let mut room = [MaybeUninit::<libc::signalfd_siginfo>::uninit(); AT_ONCE];
        let fd = self.fd().map_or(-1, |fd| fd.as_raw_fd());
        // SAFETY: the buffer has the given length.
        let got = unsafe { libc::read(fd, room.as_mut_ptr().cast(), size_of_val(&room)) };
        let count = usize::try_from(got).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        let mut taken = [None; AT_ONCE];
        for (place, info) in taken.iter_mut().zip(room).take(count) {
            // SAFETY: the kernel wrote every byte of these structures, and each pattern of bytes is valid.
            let info = unsafe { info.assume_init() };
            *place = Some(Arrived {
                signal: Signal::reported(info.ssi_signo as c_int),
                pid: Pid::new(info.ssi_pid as c_int),
                uid: info.ssi_uid,
                kernel: is_of_kernel(info.ssi_code),
            });
        }
        taken
    }

    /// Waits for the next signal, at most for `limit`. A caller that waits for signals only needs one call (rt_sigtimedwait(2))
    /// instead of two. Both functions take from the same pending signals.
    ///
    /// # Errors
    /// The error of rt_sigtimedwait(2), but not the end of the time or an interruption.
    pub fn wait(&self, limit: Option<Duration>) -> nix::Result<Option<Arrived>> {
        self.wait_after(limit, || ())
    }

    /// Waits like `wait`, and does something immediately before.
    ///
    /// # Errors
    /// The same.
    pub fn wait_after(&self, limit: Option<Duration>, before: impl FnOnce()) -> nix::Result<Option<Arrived>> {
        let (every, mut info) = (EVERY, MaybeUninit::<libc::siginfo_t>::zeroed());
        let limit = limit.map(TimeSpec::from);
        let limit = limit.as_ref().map_or(std::ptr::null(), |limit| &raw const *limit);
        before();
        // SAFETY: the set is 8 bytes, as the last argument says, and all three arguments outlive the call.
        let number = unsafe { libc::syscall(SYS_rt_sigtimedwait, &raw const every, info.as_mut_ptr(), limit, 8) };
        let signal = match Errno::result(number) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            number => Signal::reported(number? as c_int),
        };
        // SAFETY: the zeroed structure is valid, and so is the structure that the kernel wrote over it.
        let info = unsafe { info.assume_init() };
        let (pid, uid) = sender(signal, &info);
        Ok(Some(Arrived { signal, pid, uid, kernel: is_of_kernel(info.si_code) }))
    }
}

fn signalfd() -> nix::Result<OwnedFd> {
    let (every, flags) = (EVERY, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
    // SAFETY: the set is 8 bytes, as the argument after it says.
    Errno::result(unsafe { libc::syscall(SYS_signalfd4, -1, &raw const every, 8, flags) }).map(|fd| owned(fd as RawFd))
}

/// Returns the pid and user of the sender. Signals that neither a process nor SIGCHLD caused (a timer, a device) have other data
/// there.
fn sender(signal: Signal, info: &libc::siginfo_t) -> (Option<Pid>, u32) {
    let by_process = info.si_code <= 0 && ![libc::SI_TIMER, libc::SI_SIGIO].contains(&info.si_code);
    if !by_process && signal != Signal::CHLD {
        return (None, 0);
    }
    // SAFETY: signals that processes send, and SIGCHLD, have both fields (sigaction(2)).
    unsafe { (Pid::new(info.si_pid()), info.si_uid()) }
}

/// The code that `relay` gives to a process's signal: the kernel lets processes choose negative codes (rt_sigqueueinfo(2)).
const RELAYED: c_int = -61;
/// The code that `relay` gives to a signal of the kernel.
const RELAYED_OF_KERNEL: c_int = -62;

fn is_of_kernel(code: c_int) -> bool {
    [libc::SI_KERNEL, RELAYED_OF_KERNEL].contains(&code)
}

/// Passes a signal on to a child, together with the data about its sender.
pub fn relay(child: Pid, arrived: &Arrived) {
    let code = if arrived.kernel { RELAYED_OF_KERNEL } else { RELAYED };
    let sender = arrived.pid.map_or(0, |pid| pid.number() as u32);
    // struct siginfo of 64-bit machines: number, errno, code, padding, pid, uid, value; 128 bytes (sigaction(2)).
    let mut info = [0u32; 32];
    for (at, field) in [(0, arrived.signal.number().into()), (2, code as u32), (4, sender), (5, arrived.uid)] {
        info[at] = field;
    }
    // SAFETY: the structure has the kernel's layout and size, and outlives the call.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, child.number(), arrived.signal.raw(), info.as_ptr()) };
    if sent != 0 {
        let _ = send(child, arrived.signal); // RLIMIT_SIGPENDING is reached: the signal goes without its sender
    }
}

/// Takes ownership of a descriptor that the kernel has just made for this process.
pub(super) fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor that the kernel returned a moment ago and that has no other owner.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sends a signal.
///
/// # Errors
/// ESRCH: the process has ended. EPERM: it belongs to another user, and sending as that user failed, too. Any other error tells
/// nothing about the process (`is_final`).
pub fn send(target: impl Into<KillTarget>, signal: Signal) -> nix::Result<()> {
    let target = target.into();
    match kill(target, signal) {
        Err(Errno::EPERM) => send_as_owner(target, signal),
        done => done,
    }
}

/// Tells whether an error of `send` is one that sending again does not mend.
pub fn is_final(errno: Errno) -> bool {
    matches!(errno, Errno::ESRCH | Errno::EPERM | Errno::EINVAL)
}

fn kill(target: KillTarget, signal: Signal) -> nix::Result<()> {
    // SAFETY: kill(2) takes no pointers.
    uninterrupted(|| Errno::result(unsafe { libc::kill(target.raw(), signal.raw()) })).map(drop)
}

/// Sends a signal as the user of the process, or of the group's leader. A root without CAP_KILL may not signal another user's process, but with CAP_SETUID it
/// may become that user (kill(2)). The user is read from the process's status, because root owns /proc/PID where a process is not
/// dumpable.
fn send_as_owner(target: KillTarget, signal: Signal) -> nix::Result<()> {
    let owner = target.process().and_then(super::proc::status).ok_or(Errno::EPERM)?.uid;
    set_effective(owner).map_err(|errno| if may_pass(errno) { errno } else { Errno::EPERM })?;
    let sent = kill(target, signal);
    // Becoming root again needs no rights, but memory, and is worth many attempts.
    let _ = (0..100).any(|_| !set_effective(0).is_err_and(may_pass));
    sent
}

fn set_effective(uid: u32) -> nix::Result<()> {
    // SAFETY: setresuid(2) takes no pointers. The raw call changes this thread only, and PID 1 has no other.
    retry(|| Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) })).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_received_one_by_one_or_several_at_once_with_their_sender() {
        let before = set_mask(EVERY);
        let receiver = SignalReceiver::default();
        // SAFETY: pthread_kill(3) takes no pointers; this thread has blocked what it gets.
        let get = |number| assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), number) }, 0);
        get(libc::SIGUSR1);
        let (pid, uid) = (Some(Pid::own()), nix::unistd::geteuid().as_raw());
        let expected = Arrived { signal: Signal::USR1, pid, uid, kernel: false };
        assert_eq!(receiver.wait(Some(Duration::ZERO)), Ok(Some(expected)));
        (34..34 + 5).for_each(get);
        get(libc::SIGUSR1);
        assert_eq!(
            receiver.take().map(|arrived| arrived.map(|arrived| arrived.signal.number())),
            [10, 34, 35, 36].map(Some)
        );
        assert_eq!(receiver.wait(None).map(|arrived| arrived.map(|arrived| arrived.signal.number())), Ok(Some(37)));
        assert_eq!(
            receiver.take().map(|arrived| arrived.map(|arrived| (arrived.signal.number(), arrived.pid))),
            [Some((38, pid)), None, None, None]
        );
        assert_eq!((receiver.take(), receiver.wait(Some(Duration::from_millis(1)))), ([None; AT_ONCE], Ok(None)));
        set_mask(before);
    }
}
