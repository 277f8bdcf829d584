//! Processes: fork, wait, exec, and the attributes that trainit sets on a process.

use super::directory::numbers;
use super::retry::{ATTEMPTS, retry, uninterrupted};
use super::signal::{EVERY, owned, set_mask};
use super::{Args, Pid, Signal};
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicI32, Ordering};

/// The path that the C library searches when PATH is not set.
pub const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// How many ancestors are examined.
const ANCESTORS: usize = 64;

/// How many descriptors are closed where neither close_range(2) nor /proc is there: the usual limit of a process.
const MOST_FDS: RawFd = 1024;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process called exit(2) with this code.
    Exited(u8),
    /// The process was killed by this signal.
    Killed(Signal),
}

impl Ended {
    /// Returns the code as a shell reports it: a death by signal n is 128 + n.
    pub fn code(self) -> u8 {
        match self {
            Ended::Exited(code) => code,
            Ended::Killed(signal) => 128u8.saturating_add(signal.number()),
        }
    }
}

/// The answer of waitpid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// The child with this pid ended.
    One(Pid, Ended),
    /// The child with this pid was stopped by this signal.
    Suspended(Pid, Signal),
    /// There are children, and none has ended.
    NoneYet,
    /// There are no children (ECHILD, the only answer that says so).
    NoChildren,
    /// The kernel did not tell, for a reason that the manual page of waitpid(2) does not list.
    Unknown(Errno),
}

/// Takes the status of one child that ended or was stopped, if there is one.
pub fn reap() -> Reaped {
    reap_of(None, libc::WNOHANG | libc::WUNTRACED)
}

/// Takes the status of one child, if it ended.
pub fn reap_one(pid: Pid) -> Reaped {
    reap_of(Some(pid), libc::WNOHANG)
}

/// Calls waitpid(2) for one child, or for any.
fn reap_of(child: Option<Pid>, options: c_int) -> Reaped {
    let (pid, mut status) = (child.map_or(-1, Pid::number), 0);
    // SAFETY: the status outlives the call.
    match uninterrupted(|| Errno::result(unsafe { libc::waitpid(pid, &raw mut status, options) })) {
        Ok(0) => Reaped::NoneYet,
        Err(Errno::ECHILD) => Reaped::NoChildren,
        Err(errno) => Reaped::Unknown(errno),
        Ok(pid) if libc::WIFSTOPPED(status) => {
            Reaped::Suspended(Pid::reported(pid), Signal::reported(libc::WSTOPSIG(status)))
        }
        Ok(pid) if libc::WIFSIGNALED(status) => {
            Reaped::One(Pid::reported(pid), Ended::Killed(Signal::reported(libc::WTERMSIG(status))))
        }
        Ok(pid) => Reaped::One(Pid::reported(pid), Ended::Exited(libc::WEXITSTATUS(status) as u8)),
    }
}

/// Runs `body` in a child that can neither return nor unwind into the parent's frames, and ends with the result of `body`. Only for
/// processes with one thread: another thread could hold a lock that the child then waits for.
///
/// # Errors
/// EAGAIN (a limit of processes), ENOMEM.
pub fn fork(body: impl FnOnce() -> u8) -> nix::Result<Pid> {
    // SAFETY: this process has one thread, so the child is as able as the parent.
    let pid = retry(|| Errno::result(unsafe { libc::fork() }))?;
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(70);
        exit_now(code);
    }
    Ok(Pid::reported(pid))
}

/// Ends this process without destructors or exit handlers, because those belong to the parent.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit(2) takes no pointers and does not return.
    unsafe { libc::_exit(code.into()) }
}

/// Says whether a child has ended, and leaves its status where it is (waitid(2), WNOWAIT).
pub fn has_ended(pid: Pid) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(nix::unistd::Pid::from_raw(pid.number())), look), Ok(WaitStatus::StillAlive))
}

/// Waits for one child that is known to end at once.
pub fn wait_for(pid: Pid) -> Reaped {
    loop {
        match reap_of(Some(pid), 0) {
            Reaped::Unknown(Errno::EINTR) => {}
            reaped => return reaped,
        }
    }
}

/// Opens a handle of a process, which can be waited for with poll(2); `None` before Linux 5.3.
pub fn pidfd(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes no pointers.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.number(), 0) }).ok().map(|fd| owned(fd as RawFd))
}

/// Has the kernel send SIGTERM to the command's process when this process ends (prctl(2), PR_SET_PDEATHSIG).
pub fn die_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    let bind = move || {
        // SAFETY: prctl(2) with a number and getppid(2) take no pointers.
        let alone = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            libc::getppid() as u32 != parent
        };
        if alone { Err(std::io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
    };
    // SAFETY: the closure only makes two system calls and allocates nothing.
    unsafe { command.pre_exec(bind) };
}

/// Becomes another program with this environment, searched for in `path` as by execvp(3). The function returns only on failure,
/// with the error.
pub fn execute(argv: &[CString], environment: &[&CStr], path: &[u8]) -> Errno {
    let Some(name) = argv.first() else { return Errno::ENOENT };
    search(name, path, &list(argv), list(environment).as_ptr())
}

/// Makes a list as execve(2) takes it, with NULL at the end.
pub(super) fn list(words: &[impl AsRef<CStr>]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ref().as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
}

/// Returns a variable of the environment that this process was started with, without a copy. trainit never changes that
/// environment.
pub fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: getenv(3) returns NULL or a string of the environment, which exists as long as the process.
    let value = unsafe { libc::getenv(name.as_ptr()).as_ref()? };
    // SAFETY: the string is one of the environment, as above, and ends with NUL.
    Some(unsafe { CStr::from_ptr(value) })
}

/// Iterates in order over the variables that this process was started with, without a copy: the whole line, and the length of the
/// name. As in std, the name of `=x=y` is `=x`, and a line without `=` is left out.
pub fn environment() -> impl Iterator<Item = (&'static CStr, usize)> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the C library set `environ` up before main, and trainit never changes it.
    let first = unsafe { environ };
    // SAFETY: the list ends with NULL, behind which the iterator does not read; each entry is a string that exists as long as the
    // process.
    let line = move |at: usize| unsafe { (*first.add(at)).as_ref().map(|line| CStr::from_ptr(line)) };
    let lines = (0..).map_while(move |at| if first.is_null() { None } else { line(at) });
    lines.filter_map(|line| {
        let equals = line.to_bytes().get(1..)?.iter().position(|byte| *byte == b'=')?;
        Some((line, 1 + equals))
    })
}

/// Becomes another program with the words and the environment as this process got them: nothing is copied, so no byte can change.
pub fn execute_inherited(argv: Args) -> Errno {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let Some(name) = argv.first() else { return Errno::ENOENT };
    let path = variable(c"PATH").map_or(DEFAULT_PATH, CStr::to_bytes);
    // SAFETY: the C library set `environ` up before main, and this process has one thread.
    search(name, path, argv.pointers(), unsafe { environ })
}

fn search(name: &CStr, path: &[u8], argv: &[*const c_char], environment: *const *const c_char) -> Errno {
    if name.to_bytes().contains(&b'/') {
        return execute_file(name, argv, environment);
    }
    let mut denied = None;
    for directory in path.split(|b| *b == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let Ok(file) = CString::new([directory, b"/", name.to_bytes()].concat()) else { continue };
        match execute_file(&file, argv, environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => denied = Some(Errno::EACCES),
            other => return other,
        }
    }
    denied.unwrap_or(Errno::ENOENT)
}

/// Executes one file. A script without `#!` goes to /bin/sh, as execvp(3) does.
pub(super) fn execute_file(file: &CStr, argv: &[*const c_char], environment: *const *const c_char) -> Errno {
    let errno = execve(file, argv, environment);
    if errno != Errno::ENOEXEC || !is_text(file) {
        return errno;
    }
    let script: Vec<_> = [c"/bin/sh".as_ptr(), file.as_ptr()].into_iter().chain(argv.iter().skip(1).copied()).collect();
    match execve(c"/bin/sh", &script, environment) {
        Errno::ENOENT => Errno::ENOEXEC,
        other => other,
    }
}

/// Tells whether a file looks like a script. A shell would only print garbage about a binary for another machine.
fn is_text(file: &CStr) -> bool {
    use std::io::Read;
    let mut start = [0; 256];
    let path = std::ffi::OsStr::from_bytes(file.to_bytes());
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    start.get(..read).is_some_and(|bytes| !bytes.is_empty() && !bytes.contains(&0))
}

/// Calls execve(2). `argv` ends with NULL, as `list` makes it.
fn execve(file: &CStr, argv: &[*const c_char], environment: *const *const c_char) -> Errno {
    // SAFETY: both lists end with NULL, and their strings outlive the call.
    unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), environment) };
    Errno::last()
}

/// Closes a descriptor that is not closed by its owner: in a child, a copy of one that the parent goes on to own. A reader waits
/// for the end of file until this is done, so the call is repeated until the kernel says that the descriptor is closed (EBADF).
/// musl turns EINTR into success.
pub fn close_one(fd: RawFd) {
    // SAFETY: close(2) takes no pointers, and the value that owns this descriptor is never used again in this process.
    let closed = |_| unsafe { libc::syscall(libc::SYS_close, fd) == 0 } || Errno::last() == Errno::EBADF;
    let _ = (0..ATTEMPTS).any(closed);
}

/// Sets the mask for the modes of new files, and returns the mask before. umask(2) cannot fail, but nix panics where a kernel under
/// test reports a failure.
pub fn set_umask(mask: u32) -> u32 {
    // SAFETY: umask changes a number of this process and touches no memory.
    unsafe { libc::umask(mask as libc::mode_t) }
}

/// Runs `body` while new files have the modes that this mask leaves.
pub fn with_umask<T>(mask: u32, body: impl FnOnce() -> T) -> T {
    let before = set_umask(mask);
    let made = body();
    set_umask(before);
    made
}

/// Tells whether this process is PID 1 of its namespace. Only then kill(-1) reaches nothing but the processes of that namespace,
/// and not the host's.
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Tells whether this process descends from PID 1. A session from outside (`docker exec`) does not, because its parents are outside
/// of the namespace. Without /proc only a child of PID 1 is known to descend from it.
pub fn is_of_first() -> bool {
    let mut ancestor = Some(Pid::own());
    for _ in 0..ANCESTORS {
        ancestor = match ancestor {
            Some(Pid::FIRST) => return true,
            Some(pid) if pid == Pid::own() => Pid::parent(),
            Some(pid) => super::proc::status(pid).and_then(|status| status.parent),
            None => return false,
        };
    }
    false
}

/// Makes orphans below this process its children, as they are with a PID 1 (prctl(2), PR_SET_CHILD_SUBREAPER).
///
/// # Errors
/// EINVAL before Linux 3.4; EPERM, ENOSYS where a filter of system calls forbids it.
pub fn become_subreaper() -> nix::Result<()> {
    // SAFETY: prctl(2) with numbers takes no pointers.
    retry(|| Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })).map(drop)
}

/// Sets the name of this process in the list of processes, at most 15 bytes (prctl(2), PR_SET_NAME). The next exec replaces it.
pub fn name_self(name: &CStr) {
    // SAFETY: the name is a NUL-terminated string, of which the kernel copies 16 bytes at most.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The process that its children must not outlive; 0 where there is none.
static GUARDED_BY: AtomicI32 = AtomicI32::new(0);

/// Makes this process guard its children: from now on, children that call `end_with_parent` end when this process ends.
pub fn guard_children() {
    GUARDED_BY.store(Pid::own().number(), Ordering::Relaxed);
}

/// Makes a child of a guarding process end by SIGKILL when the parent dies (prctl(2), PR_SET_PDEATHSIG). The kernel forgets this
/// setting when the process changes its user, so call the function again after that. The kernel also forgets it when the process
/// executes a program that changes the user (set-user-id, file capabilities).
pub fn end_with_parent() {
    let guardian = GUARDED_BY.load(Ordering::Relaxed);
    if guardian == 0 {
        return;
    }
    let _ = signal_when_parent_dies(Signal::KILL);
    // The parent may have died just before the call.
    // SAFETY: getppid(2) takes no pointers.
    if unsafe { libc::getppid() } != guardian {
        exit_now(Ended::Killed(Signal::KILL).code());
    }
}

/// Has the kernel send this process a signal when its parent dies.
///
/// # Errors
/// EINVAL: no such signal; EPERM, ENOSYS where a filter of system calls forbids it.
pub fn signal_when_parent_dies(signal: Signal) -> nix::Result<()> {
    // SAFETY: prctl(2) with a number takes no pointers.
    retry(|| Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal.raw()) })).map(drop)
}

/// Occupies descriptors 0, 1 and 2 where the caller had closed them, so that no file is opened in their place. Reading and writing
/// fail as on a closed descriptor. exec closes it again, so the workload gets what the caller left.
pub fn occupy_stdio() {
    // SAFETY: fcntl(2) with F_GETFD takes no pointers.
    let is_closed = |fd| Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }) == Err(Errno::EBADF);
    while (0..=2).any(is_closed) {
        // SAFETY: the path is a NUL-terminated string.
        let fd = unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
        if fd < 0 {
            return;
        }
    }
}

/// Detaches a process that takes no input, and whose output is no part of another's data: stdin is /dev/null, and stdout is stderr.
pub fn detach_stdio() {
    if let Ok(null) = std::fs::File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(null);
    }
    let _ = nix::unistd::dup2_stdout(std::io::stderr());
}

/// Closes every descriptor above stderr but those in `keep`.
pub fn close_all_but(keep: &[RawFd]) {
    let mut first = 3;
    while let Some(next) = keep.iter().copied().filter(|fd| *fd >= first).min() {
        close_range(first, next - 1);
        first = next.saturating_add(1);
    }
    close_range(first, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: close_range(2) takes no pointers, and no descriptor that Rust code owns is in the range.
    if retry(|| Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })).is_err() {
        close_one_by_one(first, last);
    }
}

/// Closes descriptors one by one, for kernels before 5.9 and for seccomp profiles that do not know close_range(2).
fn close_one_by_one(first: RawFd, last: RawFd) {
    // Without /proc nothing tells which descriptors are open.
    let open =
        numbers(std::path::Path::new("/proc/self/fd")).unwrap_or_else(|_| (first..=last.min(MOST_FDS)).collect());
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        close_one(fd); // The directory's own descriptor is closed by now, and closing it again fails without harm.
    }
}

/// Stops this process, as Ctrl-Z does, until it gets SIGCONT. The function returns at once where the kernel does not stop the
/// process: as PID 1, and in an orphaned process group, where no shell could continue it.
pub fn suspend() {
    // SAFETY: kill(2) takes no pointers.
    unsafe { libc::kill(libc::getpid(), libc::SIGTSTP) };
    let before = set_mask(EVERY & !Signal::TSTP.bit());
    set_mask(before);
}

/// Tells whether this program gives rights to its caller: the kernel says so (AT_SECURE), or the mode of the file does. For root
/// the kernel does not say so.
pub fn is_set_uid() -> bool {
    const SET_ID: u32 = libc::S_ISUID | libc::S_ISGID;
    // SAFETY: getauxval(3) takes no pointers.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) != 0 };
    let file = nix::sys::stat::stat(own_file()).or_else(|_| nix::sys::stat::stat(c"/proc/self/exe"));
    secure || file.is_ok_and(|file| file.st_mode & SET_ID != 0)
}

/// Returns the path of the file that the kernel was told to execute. The path is right only at the start, because it may be
/// relative. Reading /proc/self/exe would cost more.
fn own_file() -> &'static CStr {
    // SAFETY: getauxval(3) takes no pointers; AT_EXECFN is NULL or a string that exists as long as the process.
    let name = unsafe { (libc::getauxval(libc::AT_EXECFN) as *const c_char).as_ref() };
    // SAFETY: the string is the one of AT_EXECFN, as above, and ends with NUL.
    name.map_or(c"", |name| unsafe { CStr::from_ptr(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_by_a_real_time_signal_has_its_code() {
        assert_eq!(Ended::Killed(Signal::SYSTEMD_HALT).code(), 165);
        assert_eq!(Ended::Exited(3).code(), 3);
    }

    #[test]
    fn what_cannot_be_executed_is_told_as_execvp_does() {
        let words = |w: &str| vec![CString::new(w).unwrap()];
        assert_eq!(execute(&words("no-such-program"), &[], b"/usr/bin:/bin"), Errno::ENOENT);
        assert_eq!(execute(&words("/"), &[], b""), Errno::EACCES);
        assert_eq!(execute(&[], &[], b""), Errno::ENOENT);
    }

    #[test]
    fn a_child_that_ended_is_seen_and_its_status_stays() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = Pid::of(&child);
        assert!(!has_ended(pid));
        drop(child.stdin.take());
        while !has_ended(pid) {
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success() && has_ended(pid));
    }
}
