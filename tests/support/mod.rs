//! Real processes for tests: trainit as PID 1 of a fresh pid namespace or as an ordinary process, with the signals, descriptors and
//! user that a test wants it to be started with. Whatever is started here ends with the test.
#![allow(dead_code)] // every test binary uses its own part
#![allow(unsafe_code)] // namespaces and raw signal sets have no safe interface; only test processes are touched

pub mod fuse;
pub mod group;
pub mod guest;
pub mod late;
pub mod look;
pub mod pty;

use look::until;
use std::ffi::{CString, c_int, c_long};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; reached only when something hangs.
pub const LONG: Duration = Duration::from_secs(60);

/// The binary under test.
pub const TRAINIT: &str = env!("CARGO_BIN_EXE_trainit");

/// What trainit is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `trainit init`.
    Init,
    /// `trainit run`: with configuration, checks and all.
    Run,
}

/// Where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As PID 1 of a fresh pid namespace with its own /proc.
    First,
    /// As an ordinary process, which makes itself a subreaper.
    Aside,
}

/// Every combination that this machine can run; says which it cannot.
pub fn ways() -> Vec<(Role, Place)> {
    let places: &[Place] = if can_unshare() { &[Place::First, Place::Aside] } else { &[Place::Aside] };
    places.iter().flat_map(|place| [(Role::Init, *place), (Role::Run, *place)]).collect()
}

/// Whether a pid namespace can be made here; if not, says so in a line of its own, past the capture of libtest.
pub fn can_unshare() -> bool {
    let made = std::thread::spawn(|| {
        // SAFETY: unshare(2) takes no pointers and changes this thread only, which ends at once.
        unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) == 0 }
    });
    let made = made.join().unwrap();
    if !made {
        skip("no pid namespace can be made here (run as root, or below `unshare --user --map-root-user`)");
    }
    made
}

/// Says on the real stderr that something is not tested, and why.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("SKIPPED: {test}: {why}\n");
    let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
}

/// Whether a tool is there; if not, says so.
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

/// How to start trainit.
pub struct Launch {
    pub command: Command,
    place: Place,
    blocked: u64,
    ignored: u64,
    last: Vec<Box<dyn FnMut() -> std::io::Result<()> + Send + Sync>>,
}

impl Launch {
    /// trainit in this role and place, with these words after `init` or `run`.
    pub fn of(role: Role, place: Place, words: &[&str]) -> Self {
        let mut command = Command::new(TRAINIT);
        command.arg(if role == Role::Init { "init" } else { "run" }).args(words);
        command.current_dir("/"); // no code directory, so no requirements either
        Self::with(command, place)
    }

    /// Any command line.
    pub fn with(mut command: Command, place: Place) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Launch { command, place, blocked: 0, ignored: 0, last: Vec::new() }
    }

    /// Adds a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts with these signals blocked and these ignored, and all others neither.
    pub fn signals(mut self, blocked: &[c_int], ignored: &[c_int]) -> Self {
        let set = |numbers: &[c_int]| numbers.iter().fold(0, |set, number| set | 1 << (number - 1));
        (self.blocked, self.ignored) = (set(blocked), set(ignored));
        self
    }

    /// Adds something to be done in the child just before exec, in its namespaces; plain system calls only.
    pub fn before_exec(mut self, body: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        self.last.push(Box::new(body));
        self
    }

    /// Gives it a copy of `fd`, which the caller keeps open until then, as this number.
    pub fn gives(self, fd: &impl AsRawFd, number: c_int) -> Self {
        let fd = fd.as_raw_fd();
        self.before_exec(move || {
            // SAFETY: system calls on numbers. The flags are for the case that it has this very number already.
            let done = unsafe { libc::dup2(fd, number) == number && libc::fcntl(number, libc::F_SETFD, 0) == 0 };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Starts it with these descriptors closed.
    pub fn closes(self, closed: &[c_int]) -> Self {
        let closed = closed.to_vec();
        self.before_exec(move || {
            for fd in &closed {
                // SAFETY: a system call on a number.
                unsafe { libc::close(*fd) };
            }
            Ok(())
        })
    }

    /// Starts it without this capability (capabilities(7)), as container engines do with many; root gets the others at exec.
    pub fn without_capability(self, number: c_int) -> Self {
        self.before_exec(move || {
            // SAFETY: prctl(2) with numbers.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) == 0 };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Starts it where this directory is a mount of its own.
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

    /// Starts it where the second of each pair is a mount of the first; in a namespace of its own, so with `Place::First`.
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

    /// Starts it. The thread that starts it stays, since its end would be the child's (PR_SET_PDEATHSIG): so nothing is left behind
    /// even when the test is killed.
    pub fn spawn(self) -> Running {
        let Launch { mut command, place, blocked, ignored, mut last } = self;
        let (started, child) = channel();
        let (keeper, over) = channel::<()>();
        std::thread::spawn(move || {
            // SAFETY: plain system calls between fork and exec, and unshare(2) in a thread of its own.
            unsafe {
                if place == Place::First {
                    assert_eq!(libc::unshare(libc::CLONE_NEWPID), 0, "unshare(CLONE_NEWPID)");
                }
                command.pre_exec(move || {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::setsid(); // the terminal of whoever runs the tests is not part of them
                    if place == Place::First {
                        own_proc()?;
                    }
                    set_signals(blocked, ignored);
                    last.iter_mut().try_for_each(|body| body())
                });
            }
            let _ = started.send(command.spawn());
            let _ = over.recv(); // until the other end is dropped
        });
        let child = child.recv_timeout(LONG).unwrap().unwrap();
        let running = Running::new(child, place, keeper);
        if place == Place::First {
            running.assert_fresh_first();
        }
        running
    }

    /// Starts it and waits for its end.
    pub fn finish(self) -> Finished {
        self.spawn().finish()
    }
}

/// A mount namespace with the pid namespace's own /proc.
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

/// As the kernel has it: glibc hides 32 and 33.
pub fn set_signals(blocked: u64, ignored: u64) {
    for number in (1..=64).filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number)) {
        let action = [usize::from(ignored & 1 << (number - 1) != 0), 0, 0, 0];
        // SAFETY: the structure has the kernel's layout (handler, flags, restorer, mask).
        unsafe { libc::syscall(libc::SYS_rt_sigaction, c_long::from(number), &raw const action, 0, 8) };
    }
    // SAFETY: the set is 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const blocked, 0, 8) };
}

/// Writes until nothing more fits, without changing the flags that others see.
pub fn fill(socket: &impl AsRawFd) {
    let bytes = [b'x'; 512];
    // SAFETY: the buffer lives over the call.
    while unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) } > 0 {}
}

/// A started trainit.
pub struct Running {
    child: Child,
    /// Its pid as this test sees it.
    pub pid: c_int,
    place: Place,
    lines: Option<Receiver<String>>,
    errors: Option<Receiver<String>>,
    _keeper: Sender<()>,
}

/// How it ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none when it was killed.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// What was left of its standard output.
    pub out: String,
    /// What was left of its standard error.
    pub err: String,
    /// How long the wait was.
    pub took: Duration,
}

impl Running {
    fn new(mut child: Child, place: Place, keeper: Sender<()>) -> Self {
        let lines = child.stdout.take().map(lines_of);
        let errors = child.stderr.take().map(lines_of);
        Running { pid: child.id() as c_int, place, child, lines, errors, _keeper: keeper }
    }

    /// Nothing may be killed before this holds: a signal for the wrong PID 1 would be one for this machine.
    fn assert_fresh_first(&self) {
        let own = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let theirs = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid)).unwrap();
        assert_ne!(own, theirs, "it shares our pid namespace");
        let numbers = look::field(self.pid, "NSpid").unwrap();
        assert_eq!(numbers.split_whitespace().last(), Some("1"), "it is not PID 1 of its namespace");
    }

    /// The next line of its standard output.
    #[track_caller]
    pub fn line(&self) -> String {
        let lines = self.lines.as_ref().expect("stdout was not piped");
        lines
            .recv_timeout(LONG)
            .unwrap_or_else(|why| panic!("no line came: {why}; its stderr: {:#?}", self.errors_so_far()))
    }

    /// The next line of its standard error that holds this text.
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

    /// What it has written to its standard error since that was last asked for.
    pub fn errors_so_far(&self) -> Vec<String> {
        self.errors.iter().flat_map(Receiver::try_iter).collect()
    }

    /// Reads no more of its output, and keeps nobody from noticing that.
    pub fn hang_up(&mut self) {
        (self.lines, self.errors) = (None, None);
    }

    /// Its standard input.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("stdin was not piped")
    }

    /// Sends it a signal, as an engine does from outside of the container.
    pub fn signal(&self, number: c_int) {
        // SAFETY: kill(2) takes no pointers, and the child has not been waited for, so the pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid, number) }, 0, "kill: {}", std::io::Error::last_os_error());
    }

    /// From now on the kernel gives the supervisor no more memory: brk(2) and mmap(2) fail with ENOMEM.
    pub fn gets_no_more_memory(&self) {
        let supervisor = self.supervisor();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        for kind in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
            // SAFETY: the limit lives over the call.
            let done = unsafe { libc::prlimit(supervisor, kind, &raw const none, std::ptr::null_mut()) };
            assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        }
    }

    /// The process that supervises: PID 1 itself; elsewhere a child of the process that was started.
    pub fn supervisor(&self) -> c_int {
        match self.place {
            Place::First => self.pid,
            Place::Aside => until("a supervisor", || look::children(self.pid).first().copied()),
        }
    }

    /// The one child that the supervisor has: prepare, then the workload.
    pub fn workload(&self) -> c_int {
        let supervisor = self.supervisor();
        until("a child", || look::children(supervisor).first().copied())
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let begun = Instant::now();
        let status = until("its end", || self.child.try_wait().unwrap());
        let took = begun.elapsed();
        let (out, err) = (rest(self.lines.take()), rest(self.errors.take()));
        Finished { code: status.code(), signal: status.signal(), out, err, took }
    }

    /// Waits for its end and gives the code.
    #[track_caller]
    pub fn code(self) -> i32 {
        let finished = self.finish();
        finished.code.unwrap_or_else(|| panic!("killed: {finished:?}"))
    }
}

/// What a test leaves running goes with it: killed, trainit cannot take its own along.
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
        // A workload's leftover may hold the pipe: that is not our end.
        match lines.recv_timeout(Duration::from_secs(2)) {
            Ok(line) => all = all + &line + "\n",
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return all,
        }
    }
}
