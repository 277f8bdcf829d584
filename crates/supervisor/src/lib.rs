//! PID 1. Starts exactly one child, reaps everything, turns signals into the stop protocol, keeps the state file and decides the
//! exit code. Knows `handover`, `state`, `exit` and `sys`, and nothing that a user wrote: no YAML, no clap. It is a loop around
//! the pure `State::step`; it must never block, never exit early and never panic to death.

mod after;
mod beside;
mod companions;
mod diary;
mod ending;
mod errands;
mod failures;
mod gate;
mod guard;
mod guardian;
mod held;
mod holders;
mod holding;
mod idle;
mod idle_work;
pub mod init;
mod killed;
mod line;
mod listener;
mod luggage;
mod memory_kills;
mod outcome;
mod requests;
mod restarting;
mod saving;
mod sleep;
pub mod state;
pub mod state_dir;
mod stop;
mod stopping;
pub mod target;
mod tell;
mod termination;
mod turn;
mod unsent;
mod watching;
mod workload;

pub use errands::Task;
pub use stop::saving_time;

use gate::Gate;
use guard::guarded;
use listener::Listener;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::poll;
use protocol::exit_code::{Exit, Family};
use protocol::handover::{Door, Level};
use state::State;
use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;
use sys::process;
use sys::retry::{may_pass, retry};
use sys::signal::Inherited;
use tell::Voice;
use turn::Supervisor;

/// What the child's first life is started with.
pub struct Start {
    /// Where it tells PID 1 about itself.
    pub door: Door,
    /// What it gives back before exec.
    pub inherited: Inherited,
    /// When PID 1 started.
    pub since: Instant,
    /// Which start this is, from 1.
    pub attempt: u32,
}

/// What a companion's first life is started with.
pub struct Beside<'a> {
    /// Its mode.
    pub mode: &'a str,
    /// The state directory of the whole.
    pub run_dir: Option<&'a str>,
    /// What it gives back before exec.
    pub inherited: Inherited,
    /// Which start of it this is, from 1.
    pub attempt: u32,
}

/// What PID 1 has done by its children. All run in a child of their own and never return into PID 1.
pub struct Lives<'a> {
    /// The child's first life, which becomes the workload.
    pub main: &'a dyn Fn(Start) -> c_int,
    /// An errand.
    pub errand: &'a dyn Fn(Task<'_>) -> c_int,
    /// The first life of a companion, which becomes another mode's workload.
    pub companion: &'a dyn Fn(Beside<'_>) -> c_int,
    /// The first life prepares: it tells PID 1 what it does, and may have to be started again. An init's child executes at once.
    pub prepares: bool,
}

/// Supervises one child that lives its lives, until everything has ended, and ends with the exit code. The caller has taken the
/// signals over as the very first thing it did: what arrives before that is lost to a PID 1. (The state is made here and not handed
/// in, because every copy on the stack stays there for weeks.)
pub fn run(lives: &Lives<'_>, state: impl FnOnce() -> State, inherited: Inherited) -> ! {
    let since = Instant::now();
    process::occupy_stdio();
    guard::quiet_panics();
    let supervise = || supervise(lives, state, inherited, since);
    let code = if process::is_first() { supervise() } else { guardian::behind_front(supervise) };
    process::exit_now(code) // nothing here is buffered, and no exit handler has anything to do
}

fn supervise(lives: &Lives<'_>, state: impl FnOnce() -> State, inherited: Inherited, since: Instant) -> c_int {
    match guarded(|| first_start(lives, inherited, since)).unwrap_or(Err(Errno::UnknownErrno)) {
        Ok(first) => {
            guardian::name_supervisor();
            // Never dropped: the kernel closes what is open, and nothing can fail between the end and the exit code.
            ManuallyDrop::new(Supervisor::new(state, first, since)).run(lives, inherited)
        }
        Err(errno) => cannot_start(errno),
    }
}

/// The child, PID 1's end of the handover, and where PID 1 was.
struct FirstStart {
    main: c_int,
    listener: Option<Listener>,
    workdir: Option<PathBuf>,
}

/// Forks the child, lets go of what PID 1 inherited, and only then lets the child go on.
fn first_start(lives: &Lives<'_>, inherited: Inherited, since: Instant) -> nix::Result<FirstStart> {
    let gate = Gate::new()?;
    let start = || start(lives, inherited, since, 1, || gate.wait());
    let (main, listener) = patiently(start)?;
    let [waits, opens] = gate.fds();
    let own = [listener.as_ref().map(Listener::fd), guardian::link()].map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
    let [hears, link] = own;
    let workdir = guarded(|| luggage::put_down(&[waits, opens, hears, link], lives.prepares)).flatten();
    gate.open();
    Ok(FirstStart { main, listener, workdir })
}

/// Forks a child that does something `first`, and then lives its first life.
fn start(
    lives: &Lives<'_>,
    inherited: Inherited,
    since: Instant,
    attempt: u32,
    first: impl FnOnce(),
) -> nix::Result<(c_int, Option<Listener>)> {
    let (reader, writer) =
        if lives.prepares { handover_pipe().map(|(r, w)| (Some(r), Some(w)))? } else { (None, None) };
    let main = process::fork(|| {
        process::end_with_parent();
        first();
        let door = writer.map_or_else(Door::none, Door::to);
        (lives.main)(Start { door, inherited, since, attempt })
    })?;
    Ok((main, reader.map(|reader| Listener::of_start(reader, since.elapsed()))))
}

/// A limit of processes or of memory may be reached for a moment only.
fn patiently<T>(attempt: impl Fn() -> nix::Result<T>) -> nix::Result<T> {
    const ATTEMPTS: u32 = 10;
    const PAUSE: u8 = 100; // milliseconds
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(errno) if may_pass(errno) => drop(poll(&mut [], PAUSE)),
            result => return result,
        }
    }
    attempt()
}

fn cannot_start(errno: Errno) -> c_int {
    Voice::default().write(Level::Error, &format!("cannot start: {}", errno.desc()));
    let exit = if may_pass(errno) { Exit::Transient(Family::Host) } else { Exit::Internal };
    exit.code().into()
}

fn handover_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    retry(|| nix::unistd::pipe2(OFlag::O_CLOEXEC))
}
