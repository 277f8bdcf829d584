//! Real processes for tests: trainit as PID 1 of a fresh pid namespace or as an ordinary process, with the signals, descriptors and
//! user that a test chooses. Every process that is started here ends with the test.
#![allow(dead_code)] // each test binary uses a part of this module
#![allow(unsafe_code)] // namespaces and raw signal sets have no safe interface; only test processes are touched

pub mod fault_proxy;
pub mod fuse;
pub mod group;
pub mod guest;
pub mod late;
pub mod look;
pub mod object_stores;
pub mod port;
pub mod pty;
pub mod web;

use look::until;
use std::ffi::{CString, c_int, c_long};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A time limit that only a hanging test reaches, even on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// The binary under test.
pub const TRAINIT: &str = env!("CARGO_BIN_EXE_trainit");

/// The sub-command of trainit that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `trainit init`.
    Init,
    /// `trainit run`, with configuration and checks.
    Run,
}

/// The place where trainit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As PID 1 of a fresh pid namespace with its own /proc.
    First,
    /// As an ordinary process, which makes itself a subreaper.
    Aside,
}

/// Lists every combination that this machine can run, and reports those that it cannot run.
pub fn ways() -> Vec<(Role, Place)> {
    let places: &[Place] = if can_unshare() { &[Place::First, Place::Aside] } else { &[Place::Aside] };
    places.iter().flat_map(|place| [(Role::Init, *place), (Role::Run, *place)]).collect()
}

/// Tells whether a pid namespace can be made here. If not, a line on the real stderr says so, because libtest captures other
/// output.
pub fn can_unshare() -> bool {
    let made = std::thread::spawn(|| {
        // SAFETY: unshare(2) takes no pointers, and changes only this thread, which ends at once.
        unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) == 0 }
    });
    let made = made.join().unwrap();
    if !made {
        skip("no pid namespace can be made here (run as root, or below `unshare --user --map-root-user`)");
    }
    made
}

/// Reports on the real stderr that something is not tested, and why.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
}

/// Copies a program by another process: a thread that forks while this one writes would keep the file open for writing, and it could not
/// be executed (execve(2), ETXTBSY).
pub fn copy_program(from: impl AsRef<std::path::Path>, to: impl AsRef<std::path::Path>) {
    let copied = Command::new("cp").arg(from.as_ref()).arg(to.as_ref()).status().unwrap();
    assert!(copied.success());
}

/// Tells whether a tool is installed, and reports a skip if not.
pub fn has(tool: &str) -> bool {
    let found = std::env::var("PATH")
        .unwrap_or_default()
        .split(':')
        .any(|directory| std::path::Path::new(directory).join(tool).is_file());
    if !found {
        skip(&format!("there is no {tool} here"));
    }
    found
}

/// A start of trainit that is being set up.
pub struct Launch {
    pub command: Command,
    place: Place,
    blocked: u64,
    ignored: u64,
    last: Vec<Box<dyn FnMut() -> std::io::Result<()> + Send + Sync>>,
}

impl Launch {
    /// Sets up trainit in this role and place, with these words after `init` or `run`.
    pub fn of(role: Role, place: Place, words: &[&str]) -> Self {
        let mut command = Command::new(TRAINIT);
        command.arg(if role == Role::Init { "init" } else { "run" }).args(words);
        command.current_dir("/"); // no code directory, and therefore no requirements file
        Self::with(command, place)
    }

    /// Sets up any command line.
    pub fn with(mut command: Command, place: Place) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Launch { command, place, blocked: 0, ignored: 0, last: Vec::new() }
    }

    /// Adds a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts with these signals blocked and these ignored, and with all other signals at their default.
    pub fn signals(mut self, blocked: &[c_int], ignored: &[c_int]) -> Self {
        let set = |numbers: &[c_int]| numbers.iter().fold(0, |set, number| set | 1 << (number - 1));
        (self.blocked, self.ignored) = (set(blocked), set(ignored));
        self
    }

    /// Adds a function that runs in the child just before exec, in the child's namespaces. It may only make plain system calls.
    pub fn before_exec(mut self, body: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        self.last.push(Box::new(body));
        self
    }

    /// Gives the child a copy of `fd` under this number. The caller keeps `fd` open until the start.
    pub fn gives(self, fd: &impl AsRawFd, number: c_int) -> Self {
        let fd = fd.as_raw_fd();
        self.before_exec(move || {
            // SAFETY: these are system calls on numbers. The flags matter where the descriptor has this very number already.
            let done = unsafe { libc::dup2(fd, number) == number && libc::fcntl(number, libc::F_SETFD, 0) == 0 };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Starts with these descriptors closed.
    pub fn closes(self, closed: &[c_int]) -> Self {
        let closed = closed.to_vec();
        self.before_exec(move || {
            for fd in &closed {
                // SAFETY: the system call takes a number.
                unsafe { libc::close(*fd) };
            }
            Ok(())
        })
    }

    /// Starts without this capability (capabilities(7)), as container engines do; root gets the other capabilities at exec.
    pub fn without_capability(self, number: c_int) -> Self {
        self.before_exec(move || {
            // SAFETY: prctl(2) takes numbers here.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) == 0 };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Starts in a mount namespace where this directory is a mount.
    pub fn bound(self, directory: &'static std::ffi::CStr) -> Self {
        self.before_exec(move || {
            let none = std::ptr::null::<libc::c_char>();
            // SAFETY: every path is a NUL-terminated string.
            let done = unsafe {
                libc::unshare(libc::CLONE_NEWNS) == 0
                    && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
                    && libc::mount(directory.as_ptr(), directory.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
            };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Starts where the second path of each pair is a mount of the first. This needs a mount namespace, and so `Place::First`.
    pub fn binds(self, pairs: Vec<(CString, CString)>) -> Self {
        self.before_exec(move || {
            let none = std::ptr::null::<libc::c_char>();
            pairs.iter().try_for_each(|(from, to)| {
                // SAFETY: every path is a NUL-terminated string.
                let done = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()) == 0 };
                if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            })
        })
    }

    /// Starts the process. The thread that starts it stays alive, because its end would end the child (PR_SET_PDEATHSIG). No
    /// process is left behind, even when the test is killed.
    pub fn spawn(self) -> Running {
        let Launch { mut command, place, blocked, ignored, mut last } = self;
        let (started, child) = channel();
        let (keeper, over) = channel::<()>();
        std::thread::spawn(move || {
            // SAFETY: only plain system calls run between fork and exec, and unshare(2) runs in a thread of its own.
            unsafe {
                if place == Place::First {
                    assert_eq!(libc::unshare(libc::CLONE_NEWPID), 0, "unshare(CLONE_NEWPID)");
                }
                command.pre_exec(move || {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::setsid(); // the terminal of the user who runs the tests is no part of them
                    if place == Place::First {
                        own_proc()?;
                    }
                    set_signals(blocked, ignored);
                    last.iter_mut().try_for_each(|body| body())
                });
            }
            let _ = started.send(command.spawn());
            let _ = over.recv(); // waits until the other end is dropped
        });
        let child = child.recv_timeout(LONG).unwrap().unwrap();
        let running = Running::new(child, place, keeper);
        if place == Place::First {
            running.assert_fresh_first();
        }
        running
    }

    /// Starts the process and waits for its end.
    pub fn finish(self) -> Finished {
        self.spawn().finish()
    }
}

/// Mounts a new /proc for the new pid namespace, in a mount namespace without propagation.
pub fn own_proc() -> std::io::Result<()> {
    let none = std::ptr::null();
    // SAFETY: every path is a NUL-terminated string.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
            && libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, none.cast()) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Sets signals by raw system calls, since glibc hides 32 and 33.
pub fn set_signals(blocked: u64, ignored: u64) {
    for number in (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)) {
        let action = [usize::from(ignored & 1 << (number - 1) != 0), 0, 0, 0];
        // SAFETY: the structure has the kernel's layout (handler, flags, restorer, mask).
        unsafe { libc::syscall(libc::SYS_rt_sigaction, c_long::from(number), &raw const action, 0, 8) };
    }
    // SAFETY: the set is 8 bytes, as the last argument says.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const blocked, 0, 8) };
}

/// Writes until nothing more fits, without a change of the flags that other processes share.
pub fn fill(socket: &impl AsRawFd) {
    let bytes = [b'x'; 512];
    // SAFETY: the buffer outlives the call.
    while unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) } > 0 {}
}

/// A trainit that was started.
pub struct Running {
    child: Child,
    /// The pid as this test sees it.
    pub pid: c_int,
    place: Place,
    lines: Option<Receiver<String>>,
    errors: Option<Receiver<String>>,
    _keeper: Sender<()>,
}

/// The end of a process, with its remaining output.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` when the process was killed.
    pub code: Option<i32>,
    /// The signal that killed the process.
    pub signal: Option<i32>,
    /// The standard output that no call has read before.
    pub out: String,
    /// The standard error that no call has read before.
    pub err: String,
    /// How long the wait took.
    pub took: Duration,
}

impl Running {
    fn new(mut child: Child, place: Place, keeper: Sender<()>) -> Self {
        let lines = child.stdout.take().map(lines_of);
        let errors = child.stderr.take().map(lines_of);
        Running { pid: child.id() as c_int, place, child, lines, errors, _keeper: keeper }
    }

    /// Checks that the process is PID 1 of another namespace. Nothing may be killed before that: a signal for the wrong PID 1 would
    /// hit this machine.
    fn assert_fresh_first(&self) {
        let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let theirs = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid)).unwrap();
        assert_ne!(own, theirs, "it shares our pid namespace");
        let numbers = look::field(self.pid, "NSpid").unwrap();
        assert_eq!(numbers.split_whitespace().last(), Some("1"), "it is not PID 1 of its namespace");
    }

    /// Returns the next line of standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        let lines = self.lines.as_ref().expect("stdout was not piped");
        lines
            .recv_timeout(LONG)
            .unwrap_or_else(|why| panic!("no line came: {why}; its stderr: {:#?}", self.errors_so_far()))
    }

    /// Returns the next line of standard error that contains this text.
    #[track_caller]
    pub fn error_with(&self, text: &str) -> String {
        let errors = self.errors.as_ref().expect("stderr was not piped");
        loop {
            let line = errors.recv_timeout(LONG).unwrap_or_else(|_| panic!("no line with {text:?} came"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the lines of standard error since the last read.
    pub fn errors_so_far(&self) -> Vec<String> {
        self.errors.iter().flat_map(Receiver::try_iter).collect()
    }

    /// Closes both output pipes, so that the process can notice that its reader is gone.
    pub fn hang_up(&mut self) {
        (self.lines, self.errors) = (None, None);
    }

    /// Returns its standard input.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("stdin was not piped")
    }

    /// Sends a signal, as an engine does from outside of the container.
    pub fn signal(&self, number: c_int) {
        // SAFETY: kill(2) takes no pointers, and the child has not been waited for, so the pid is still the child's.
        assert_eq!(unsafe { libc::kill(self.pid, number) }, 0, "kill: {}", std::io::Error::last_os_error());
    }

    /// Takes the supervisor's memory limit down, so that brk(2) and mmap(2) fail with ENOMEM from now on.
    pub fn gets_no_more_memory(&self) {
        let supervisor = self.supervisor();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        for kind in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
            // SAFETY: the limit outlives the call.
            let done = unsafe { libc::prlimit(supervisor, kind, &raw const none, std::ptr::null_mut()) };
            assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        }
    }

    /// Returns the supervising process: PID 1 itself, or elsewhere a child of the process that was started.
    pub fn supervisor(&self) -> c_int {
        match self.place {
            Place::First => self.pid,
            Place::Aside => until("a supervisor", || look::children(self.pid).first().copied()),
        }
    }

    /// Returns the supervisor's one child, which prepares and then is the workload.
    pub fn workload(&self) -> c_int {
        let supervisor = self.supervisor();
        until("a child", || look::children(supervisor).first().copied())
    }

    /// Tells whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let begun = Instant::now();
        let status = until("its end", || self.child.try_wait().unwrap());
        let took = begun.elapsed();
        let (out, err) = (rest(self.lines.take()), rest(self.errors.take()));
        Finished { code: status.code(), signal: status.signal(), out, err, took }
    }

    /// Waits for the end and returns the exit code.
    #[track_caller]
    pub fn code(self) -> i32 {
        let finished = self.finish();
        finished.code.unwrap_or_else(|| panic!("killed: {finished:?}"))
    }
}

/// Ends what a test leaves running. A killed trainit cannot end its own processes.
impl Drop for Running {
    fn drop(&mut self) {
        let over = self.child.try_wait().is_ok_and(|status| status.is_some());
        let left = if over { Vec::new() } else { look::descendants(self.child.id() as c_int) };
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in left {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn rest(lines: Option<Receiver<String>>) -> String {
    let mut all = String::new();
    let Some(lines) = lines else { return all };
    loop {
        // A process that a workload left may hold the pipe open, so its end is not waited for.
        match lines.recv_timeout(Duration::from_secs(2)) {
            Ok(line) => all = all + &line + "\n",
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return all,
        }
    }
}
