//! Signals: numbers and names, masks, dispositions, receiving and sending.

use super::retry::{may_pass, retry, uninterrupted};
use libc::{SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigtimedwait, SYS_signalfd4};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use std::cell::OnceCell;
use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Every signal there can be.
pub const EVERY: u64 = !0;

/// The highest signal number.
pub const MAX: c_int = 64;

/// The first real-time signal that programs see: glibc keeps 32 and 33 for itself, and so Docker and systemd count from here.
const RTMIN: c_int = 34;

/// The set that holds one signal.
pub const fn bit(number: c_int) -> u64 {
    1 << (number - 1)
}

/// Whether a set as in /proc/PID/status holds a signal.
pub const fn contains(set: u64, number: c_int) -> bool {
    set & bit(number) != 0
}

const NAMES: [(&str, c_int); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// A signal by name or number: `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
pub fn parse(text: &str) -> Option<c_int> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match name.parse::<c_int>() {
        Ok(number) => number,
        Err(_) => named(name)?,
    };
    (1..=MAX).contains(&number).then_some(number)
}

fn named(name: &str) -> Option<c_int> {
    let offset = |rest: &str| if rest.is_empty() { Some(0) } else { rest.get(1..)?.parse::<c_int>().ok() };
    if let Some(rest) = name.strip_prefix("RTMIN").filter(|r| r.is_empty() || r.starts_with('+')) {
        return realtime(RTMIN.checked_add(offset(rest)?)?);
    }
    if let Some(rest) = name.strip_prefix("RTMAX").filter(|r| r.is_empty() || r.starts_with('-')) {
        return realtime(MAX.checked_sub(offset(rest)?)?);
    }
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, number)| *number)
}

/// An offset never leads out of the real-time signals: `RTMAX-60` is no way to write SIGILL.
fn realtime(number: c_int) -> Option<c_int> {
    (RTMIN..=MAX).contains(&number).then_some(number)
}

/// A signal's usual name, `SIGTERM`, `SIGRTMIN+3`; the name of a number that no signal has is `signal N`.
pub fn name(number: c_int) -> String {
    match NAMES.iter().find(|(_, n)| *n == number) {
        Some((name, _)) => format!("SIG{name}"),
        None if number == RTMIN => "SIGRTMIN".into(),
        None if (RTMIN..=MAX).contains(&number) => format!("SIGRTMIN+{}", number - RTMIN),
        None => format!("signal {number}"),
    }
}

/// Sets the blocked signals and returns those blocked before. Cannot fail with a valid `how` (rt_sigprocmask(2)).
pub fn set_mask(new: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: both sets are 8 bytes, as the last argument says, and live over the call.
    let mut set = || unsafe { libc::syscall(SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const new, &raw mut old, 8) };
    let _ = retry(|| Errno::result(set()));
    old
}

/// Swaps a signal between default and ignored; returns whether it was ignored. Raw, as musl refuses 32 to 34.
pub fn set_ignored(number: c_int, ignore: bool) -> bool {
    // struct kernel_sigaction: handler, flags, restorer, mask (one word each on 64-bit machines).
    let (new, mut old) = ([usize::from(ignore), 0, 0, 0], [0usize; 4]);
    // SAFETY: both structures have the kernel's layout and live over the call; no handler is installed.
    let mut set = || unsafe { libc::syscall(SYS_rt_sigaction, c_long::from(number), &raw const new, &raw mut old, 8) };
    let _ = retry(|| Errno::result(set()));
    old[0] == libc::SIG_IGN
}

/// What trainit changed of the signals' state and the workload must get back. With signalfd this is all there is.
#[derive(Clone, Copy, Debug)]
pub struct InheritedSignals {
    mask: u64,
    child_ignored: bool,
    pipe_ignored: bool,
}

impl InheritedSignals {
    /// First thing in `main`: blocks every signal, so that none is lost before it can be received, and makes SIGCHLD
    /// waitable (ignored, the kernel would eat exit codes: sigaction(2)).
    pub fn take_over() -> Self {
        let mask = set_mask(EVERY);
        InheritedSignals { mask, ..Self::keep_pipes() }
    }

    /// For a process that nobody supervises: nothing is blocked, but a closed stderr must not kill it.
    pub fn for_command() -> Self {
        let mask = set_mask(0);
        InheritedSignals { mask, ..Self::keep_pipes() }
    }

    fn keep_pipes() -> Self {
        InheritedSignals {
            mask: 0,
            child_ignored: set_ignored(libc::SIGCHLD, false),
            pipe_ignored: set_ignored(libc::SIGPIPE, true),
        }
    }

    /// Last thing before exec.
    pub fn give_back(&self) {
        set_ignored(libc::SIGCHLD, self.child_ignored);
        set_ignored(libc::SIGPIPE, self.pipe_ignored);
        set_mask(self.mask);
    }
}

/// A signal that was received, and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub number: c_int,
    /// The sender's pid; 0 when it is outside of this pid namespace, or the kernel.
    pub pid: u32,
    /// The sender's user.
    pub uid: u32,
    /// The kernel sent it (a terminal, a timer), no process.
    pub kernel: bool,
}

/// So many signals are taken with one call at most.
pub const AT_ONCE: usize = 4;

/// Receives blocked signals. Changes no disposition, so there is nothing to undo for the workload.
#[derive(Debug, Default)]
pub struct SignalReceiver(OnceCell<OwnedFd>);

impl SignalReceiver {
    /// The descriptor to poll, a signalfd(2) for every signal, opened when somebody asks for it; none while none can be had.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        if self.0.get().is_none() {
            let _ = self.0.set(signalfd().ok()?);
        }
        self.0.get().map(AsFd::as_fd)
    }

    /// The signals that are waiting, or some of them.
    pub fn take(&self) -> [Option<Arrived>; AT_ONCE] {
        let mut room = [MaybeUninit::<libc::signalfd_siginfo>::uninit(); AT_ONCE];
        let fd = self.fd().map_or(-1, |fd| fd.as_raw_fd());
        // SAFETY: the room is as long as it is said to be.
        let got = unsafe { libc::read(fd, room.as_mut_ptr().cast(), size_of_val(&room)) };
        let count = usize::try_from(got).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        let mut taken = [None; AT_ONCE];
        for (place, info) in taken.iter_mut().zip(room).take(count) {
            // SAFETY: of so many structures the kernel wrote every byte, and each pattern of them is a valid one.
            let info = unsafe { info.assume_init() };
            *place = Some(Arrived {
                number: info.ssi_signo as c_int,
                pid: info.ssi_pid,
                uid: info.ssi_uid,
                kernel: is_of_kernel(info.ssi_code),
            });
        }
        taken
    }

    /// The next signal, waited for at most so long. Who has nothing but signals to wait for needs one call (rt_sigtimedwait(2))
    /// instead of two, and takes from the same signals.
    ///
    /// # Errors
    /// What rt_sigtimedwait(2) says, but for the end of the time and an interruption.
    pub fn wait(&self, limit: Option<Duration>) -> nix::Result<Option<Arrived>> {
        let (every, mut info) = (EVERY, MaybeUninit::<libc::siginfo_t>::zeroed());
        let limit = limit.map(TimeSpec::from);
        let limit = limit.as_ref().map_or(std::ptr::null(), |limit| &raw const *limit);
        // SAFETY: the set is 8 bytes, as the last argument says; all three live over the call.
        let number = unsafe { libc::syscall(SYS_rt_sigtimedwait, &raw const every, info.as_mut_ptr(), limit, 8) };
        let number = match Errno::result(number) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            number => number? as c_int,
        };
        // SAFETY: zeroed it is valid, and what the kernel wrote over it is.
        let info = unsafe { info.assume_init() };
        let (pid, uid) = sender(number, &info);
        Ok(Some(Arrived { number, pid, uid, kernel: is_of_kernel(info.si_code) }))
    }
}

fn signalfd() -> nix::Result<OwnedFd> {
    let (every, flags) = (EVERY, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
    // SAFETY: the set is 8 bytes, as the argument after it says.
    Errno::result(unsafe { libc::syscall(SYS_signalfd4, -1, &raw const every, 8, flags) }).map(|fd| owned(fd as RawFd))
}

/// The pid and user in what the kernel tells of a signal; other signals than these (a timer, a device) have something else there.
fn sender(number: c_int, info: &libc::siginfo_t) -> (u32, u32) {
    let by_process = info.si_code <= 0 && ![libc::SI_TIMER, libc::SI_SIGIO].contains(&info.si_code);
    if !by_process && number != libc::SIGCHLD {
        return (0, 0);
    }
    // SAFETY: signals that processes send, and SIGCHLD, have both fields (sigaction(2)).
    unsafe { (info.si_pid() as u32, info.si_uid()) }
}

/// The codes that `relay` gives to what it passes on: the kernel lets processes choose negative ones (rt_sigqueueinfo(2)).
const RELAYED: c_int = -61;
const RELAYED_OF_KERNEL: c_int = -62;

fn is_of_kernel(code: c_int) -> bool {
    [libc::SI_KERNEL, RELAYED_OF_KERNEL].contains(&code)
}

/// Passes a signal on to a child, with its sender.
pub fn relay(child: c_int, arrived: &Arrived) {
    let code = if arrived.kernel { RELAYED_OF_KERNEL } else { RELAYED };
    // struct siginfo of 64-bit machines: number, errno, code, padding, pid, uid, value; 128 bytes (sigaction(2)).
    let mut info = [0u32; 32];
    for (at, field) in [(0, arrived.number as u32), (2, code as u32), (4, arrived.pid), (5, arrived.uid)] {
        info[at] = field;
    }
    // SAFETY: the structure has the kernel's layout and size, and lives over the call.
    let sent = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, child, arrived.number, info.as_ptr()) };
    if sent != 0 {
        let _ = send(child, arrived.number); // RLIMIT_SIGPENDING: then without its sender
    }
}

/// Takes a descriptor that the kernel has just made for us.
pub(super) fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor that was returned by the kernel a moment ago and that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sends a signal to one process (or with a negative pid to its group).
///
/// # Errors
/// ESRCH: it is gone. EPERM: it belongs to another user, even after trying as that user. Any other error says nothing of the process
/// (`is_final`).
pub fn send(pid: c_int, number: c_int) -> nix::Result<()> {
    match kill(pid, number) {
        Err(Errno::EPERM) => send_as_owner(pid, number),
        done => done,
    }
}

/// Whether an error of `send` is one that sending again does not mend.
pub fn is_final(errno: Errno) -> bool {
    matches!(errno, Errno::ESRCH | Errno::EPERM | Errno::EINVAL)
}

fn kill(pid: c_int, number: c_int) -> nix::Result<()> {
    // SAFETY: kill(2) takes no pointers.
    uninterrupted(|| Errno::result(unsafe { libc::kill(pid, number) })).map(drop)
}

/// A root without CAP_KILL may not signal another user's process, but with CAP_SETUID it may become that user (kill(2)). Its user
/// is in its status; the owner of /proc/PID is root's where a process is not dumpable.
fn send_as_owner(pid: c_int, number: c_int) -> nix::Result<()> {
    let owner = super::proc::status(pid.abs()).ok_or(Errno::EPERM)?.uid;
    set_effective(owner).map_err(|errno| if may_pass(errno) { errno } else { Errno::EPERM })?;
    let sent = kill(pid, number);
    // Becoming root again needs no rights, but memory, and is worth many attempts.
    let _ = (0..100).any(|_| !set_effective(0).is_err_and(may_pass));
    sent
}

fn set_effective(uid: u32) -> nix::Result<()> {
    // SAFETY: setresuid(2) takes no pointers; the raw call changes this thread only, and PID 1 has no other.
    retry(|| Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) })).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood_both_ways() {
        for number in (1..=31).chain(RTMIN..=MAX) {
            assert_eq!(parse(&name(number)), Some(number), "{}", name(number));
            assert_eq!(parse(&number.to_string()), Some(number));
        }
        assert_eq!(parse("usr1"), Some(libc::SIGUSR1));
        assert_eq!(parse("SIGRTMAX-1"), Some(63));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        let none = [
            "", "SIG", "0", "65", "-1", "RTMIN-1", "RTMIN+99", "RTMIN+", "RTMAX+1", "NOPE", "RTMIN+é", "RTMAX-60",
            "RTMIN+-5",
        ];
        for text in none {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn signals_are_received_one_by_one_or_several_at_once_with_their_sender() {
        let before = set_mask(EVERY);
        let receiver = SignalReceiver::default();
        // SAFETY: pthread_kill(3) takes no pointers; this thread has blocked what it gets.
        let get = |number| assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), number) }, 0);
        get(libc::SIGUSR1);
        let (pid, uid) = (std::process::id(), nix::unistd::geteuid().as_raw());
        let expected = Arrived { number: libc::SIGUSR1, pid, uid, kernel: false };
        assert_eq!(receiver.wait(Some(Duration::ZERO)), Ok(Some(expected)));
        (RTMIN..RTMIN + 5).for_each(get);
        get(libc::SIGUSR1);
        assert_eq!(receiver.take().map(|arrived| arrived.map(|arrived| arrived.number)), [10, 34, 35, 36].map(Some));
        assert_eq!(receiver.wait(None).map(|arrived| arrived.map(|arrived| arrived.number)), Ok(Some(37)));
        assert_eq!(
            receiver.take().map(|arrived| arrived.map(|arrived| (arrived.number, arrived.pid))),
            [Some((38, pid)), None, None, None]
        );
        assert_eq!((receiver.take(), receiver.wait(Some(Duration::from_millis(1)))), ([None; AT_ONCE], Ok(None)));
        set_mask(before);
    }
}
