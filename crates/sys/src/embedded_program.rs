//! A child that runs code of another project, which may hang, crash or not end. The child has a process group of its own and only
//! one descriptor of ours, to report on. It is ended step by step, and every wait for it has a deadline.

use super::process::{self, Reaped};
use super::{Pgid, Pid, Signal, image, proc, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{pipe2, read};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

pub use super::process::Ended;

/// How many files the program may open. With limits of a billion, as Docker's daemon may have them, NVIDIA's client of
/// nvidia-persistenced allocates a table of that size, which takes gigabytes.
const FILES: u64 = 65536;
/// The descriptor on which the program reports.
const REPORT: RawFd = 3;
/// How often the pipes are emptied, so that no pipe is full for long.
const TICK: Duration = Duration::from_millis(10);

/// The file that is executed.
#[derive(Clone, Copy, Debug)]
pub enum Executable<'a> {
    /// An open file.
    Open(&'a OwnedFd),
    /// The file that the first word of `argv` names.
    Named,
}

/// A program to run as a child.
#[derive(Debug)]
pub struct EmbeddedProgram<'a> {
    /// The file to execute.
    pub file: Executable<'a>,
    /// The arguments, the name first.
    pub argv: Vec<CString>,
    /// The environment.
    pub environment: Vec<&'a CStr>,
    /// The program reports on its standard output, not on descriptor 3.
    pub to_stdout: bool,
}

/// A child that was started.
#[derive(Debug)]
pub struct EmbeddedChild {
    pid: Pid,
    handle: Option<OwnedFd>,
    pipe: OwnedFd,
    errors: OwnedFd,
    said: Vec<u8>,
    complained: StreamEnds,
    ended: Option<Ended>,
}

/// Most bytes that are kept of a report; the rest is read and dropped.
const LONGEST: usize = 1 << 20;

/// The beginning and the end of a stream, without the bytes between them.
#[derive(Debug, Default)]
struct StreamEnds {
    first: Vec<u8>,
    last: Vec<u8>,
    dropped: bool,
}

impl StreamEnds {
    /// How many bytes are kept of the beginning, and of the end.
    const ROOM: usize = 1 << 10;

    fn take(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(Self::ROOM.saturating_sub(self.first.len())));
        self.first.extend_from_slice(first);
        self.last.extend_from_slice(rest);
        let excess = self.last.len().saturating_sub(Self::ROOM);
        self.dropped |= excess > 0;
        self.last.drain(..excess);
    }

    fn bytes(&self) -> Vec<u8> {
        let between: &[u8] = if self.dropped { b"\n...\n" } else { b"" };
        [&self.first, between, &self.last].concat()
    }
}

impl EmbeddedChild {
    /// Starts the program.
    ///
    /// # Errors
    /// The error of fork(2), pipe(2) or execveat(2). ENOENT for a file that exists: the loader that the file names does not exist.
    pub fn start(program: &EmbeddedProgram<'_>) -> nix::Result<Self> {
        let (pipe, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let (errors, their_errors) = pipe2(OFlag::O_CLOEXEC)?;
        let (failure, told) = pipe2(OFlag::O_CLOEXEC)?;
        let pid = process::fork(|| {
            let errno = become_child(program, &theirs, &their_errors);
            let _ = nix::unistd::write(&told, &(errno as i32).to_ne_bytes());
            127
        })?;
        drop((theirs, their_errors, told));
        let mut errno = [0; 4];
        if read(&failure, &mut errno) == Ok(4) {
            process::wait_for(pid);
            return Err(Errno::from_raw(i32::from_ne_bytes(errno)));
        }
        for pipe in [&pipe, &errors] {
            nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let (handle, said) = (process::pidfd(pid), Vec::new());
        Ok(EmbeddedChild { pid, handle, pipe, errors, said, complained: StreamEnds::default(), ended: None })
    }

    /// Returns how the child ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.ended = match process::reap_one(self.pid) {
                Reaped::One(_, ended) => Some(ended),
                // Other code took the status: the child has ended, and its code is unknown.
                Reaped::NoChildren => Some(Ended::Exited(0)),
                Reaped::NoneYet | Reaped::Suspended(..) | Reaped::Unknown(_) => None,
            };
        }
        self.drain();
        self.ended
    }

    /// Returns the report so far.
    pub fn said(&self) -> &[u8] {
        &self.said
    }

    /// Returns the beginning and the end of the child's standard error so far.
    pub fn complained(&self) -> Vec<u8> {
        self.complained.bytes()
    }

    /// Returns the state of the child, as far as the kernel tells.
    pub fn waits(&self) -> Option<proc::WaitState> {
        proc::waits(self.pid)
    }

    fn drain(&mut self) {
        let mut bytes = [0; 16 << 10];
        while let Ok(length @ 1..) = read(&self.pipe, &mut bytes) {
            let room = LONGEST.saturating_sub(self.said.len());
            self.said.extend_from_slice(bytes.get(..length.min(room)).unwrap_or_default());
        }
        while let Ok(length @ 1..) = read(&self.errors, &mut bytes) {
            self.complained.take(bytes.get(..length).unwrap_or_default());
        }
    }

    /// Sends a signal to the child's process group.
    pub fn signal(&self, signal: Signal) {
        let _ = signal::send(Pgid::led_by(self.pid), signal);
    }
}

/// Waits until one of the children has ended, or until the time `until`. The wait is short in any case, so that callers empty the
/// pipes.
pub fn wait(guests: &[&EmbeddedChild], until: Instant) {
    let handles: Vec<BorrowedFd<'_>> = guests.iter().filter_map(|child| Some(child.handle.as_ref()?.as_fd())).collect();
    let mut fds: Vec<PollFd<'_>> = handles.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    // Without process handles (before Linux 5.3) the end of a child is seen a little later.
    let tick = if fds.len() == guests.len() { TICK } else { Duration::from_millis(1) };
    let left = until.saturating_duration_since(Instant::now()).min(tick).as_millis();
    let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
}

/// Turns the forked child into the program, and returns the error where that failed.
fn become_child(program: &EmbeddedProgram<'_>, pipe: &OwnedFd, errors: &OwnedFd) -> Errno {
    let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
    // When the parent is gone, no process is left to end this one. SIGTERM, because SIGKILL has frozen GPUs (dcgm-exporter, issue
    // 84).
    let _ = process::signal_when_parent_dies(Signal::TERM);
    limit();
    signal::set_mask(0);
    signal::set_ignored(Signal::TERM, false);
    let target = if program.to_stdout { 1 } else { REPORT };
    if let Err(errno) = place(pipe, errors, target) {
        return errno;
    }
    match program.file {
        Executable::Open(image) => image::execute(image, &program.argv, &program.environment),
        Executable::Named => process::execute(&program.argv, &program.environment, b""),
    }
}

fn limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(FILES), hard);
    }
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
}

/// Sets up the standard descriptors: nothing to read, and nothing to write to but the report and standard error.
fn place(pipe: &OwnedFd, errors: &OwnedFd, target: RawFd) -> nix::Result<()> {
    // All descriptors first get numbers above those that are about to be replaced; exec closes the copies.
    let (report, errors) = (raised(pipe.as_raw_fd())?, raised(errors.as_raw_fd())?);
    let null =
        nix::fcntl::open(Path::new("/dev/null"), OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty());
    let null = null.and_then(|null| raised(null.as_raw_fd()));
    for fd in 0..2 {
        match null {
            Ok(null) => onto(null, fd)?,
            // This root has no /dev/null.
            Err(_) => process::close_one(fd),
        }
    }
    onto(errors, 2)?;
    onto(report, target)
}

fn raised(fd: RawFd) -> nix::Result<RawFd> {
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC takes a number.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) })
}

fn onto(from: RawFd, to: RawFd) -> nix::Result<()> {
    // SAFETY: dup2(2) takes numbers, and in this child no code uses its other descriptors before exec.
    Errno::result(unsafe { libc::dup2(from, to) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> EmbeddedChild {
        let image = image::on_disk(Path::new("/bin/sh")).unwrap();
        let words = ["sh", "-c", script].map(|word| CString::new(word).unwrap());
        let program = EmbeddedProgram {
            file: Executable::Open(&image),
            argv: words.to_vec(),
            environment: Vec::new(),
            to_stdout: false,
        };
        EmbeddedChild::start(&program).unwrap()
    }

    fn finish(mut child: EmbeddedChild) -> (Ended, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(ended) = child.ended() {
                return (ended, String::from_utf8_lossy(child.said()).into_owned());
            }
            assert!(Instant::now() < deadline, "it does not end");
            wait(&[&child], deadline);
        }
    }

    #[test]
    fn a_guest_reports_on_its_own_descriptor_and_nowhere_else() {
        let (ended, said) = finish(shell("echo noise; echo noise >&2; echo one >&3; read x; echo two$x >&3; exit 3"));
        assert_eq!((ended, said.as_str()), (Ended::Exited(3), "one\ntwo\n"));
    }

    #[test]
    fn of_what_a_guest_complains_the_beginning_and_the_end_are_kept() {
        let script = "echo first >&2; i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; \
                      i=$((i+1)); done; echo last >&2";
        let mut child = shell(script);
        let deadline = Instant::now() + Duration::from_secs(60);
        while child.ended().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            wait(&[&child], deadline);
        }
        let complained = String::from_utf8(child.complained()).unwrap();
        assert!(complained.starts_with("first\n0123") && complained.ends_with("89\nlast\n"), "{complained}");
        assert!(complained.len() <= 2 * StreamEnds::ROOM + 5 && complained.contains("\n...\n"));
        assert!(child.said().is_empty());
    }

    #[test]
    fn a_guest_says_more_than_a_pipe_holds() {
        let (ended, said) = finish(shell(
            "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&3; i=$((i+1)); done",
        ));
        assert_eq!((ended, said.len()), (Ended::Exited(0), 3000 * 41));
    }

    #[test]
    fn a_guest_has_its_own_group_and_small_limits() {
        let (_, said) = finish(shell("ulimit -c >&3; ulimit -n >&3; cut -d' ' -f1,5 /proc/$$/stat >&3"));
        let lines: Vec<&str> = said.lines().collect();
        let (pid, group) = lines[2].split_once(' ').unwrap();
        assert_eq!((lines[0], pid), ("0", group));
        assert!(lines[1].parse::<u64>().unwrap() <= FILES);
    }

    #[test]
    fn what_a_guest_started_is_signalled_with_it() {
        let child = shell("sleep 100 3>&- & wait");
        child.signal(Signal::KILL);
        assert_eq!(finish(child).0, Ended::Killed(Signal::KILL));
    }

    #[test]
    fn a_program_without_its_loader_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("script");
        std::fs::write(&file, "#!/no/such/loader\n").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let image = image::on_disk(&file).unwrap();
        let program = EmbeddedProgram {
            file: Executable::Open(&image),
            argv: vec![c"x".to_owned()],
            environment: Vec::new(),
            to_stdout: false,
        };
        assert_eq!(EmbeddedChild::start(&program).err(), Some(Errno::ENOENT));
    }
}
