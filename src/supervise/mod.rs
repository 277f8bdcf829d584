//! PID 1. Starts exactly one child, reaps everything, turns signals into the stop protocol, keeps the state file and decides the
//! exit code. Knows `handover`, `state`, `exit` and `sys`, and nothing that a user wrote: no YAML, no clap. It is a loop around
//! the pure `State::step`; it must never block, never exit early and never panic to death.

mod after;
mod beside;
mod companions;
mod diary;
mod ending;
mod errands;
mod guardian;
mod held;
mod holders;
mod holding;
mod idle;
pub mod init;
mod killed;
mod later;
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
mod stop;
mod stopping;
pub mod target;
mod tell;
mod termination;
mod turn;
mod watching;
mod workload;

pub use errands::Task;
pub use stop::saving_time;

use crate::exit::Exit;
use crate::handover::{Door, Level};
use crate::sys::process;
use crate::sys::signal::Inherited;
use listener::Listener;
use nix::fcntl::OFlag;
use state::State;
use std::ffi::c_int;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;
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
    /// The child may have to be started again.
    pub again: bool,
}

/// Supervises one child that lives its lives, until everything has ended, and ends with the exit code. The caller has taken the
/// signals over as the very first thing it did: what arrives before that is lost to a PID 1. (The state is made here and not handed
/// in, because every copy on the stack stays there for weeks.)
pub fn run(lives: &Lives<'_>, state: impl FnOnce() -> State, inherited: Inherited) -> ! {
    let since = Instant::now();
    process::occupy_stdio();
    quiet_panics();
    let supervise = || supervise(lives, state, inherited, since);
    let code = if process::is_first() { supervise() } else { guardian::behind_front(supervise) };
    process::exit_now(code) // nothing here is buffered, and no exit handler has anything to do
}

fn supervise(lives: &Lives<'_>, state: impl FnOnce() -> State, inherited: Inherited, since: Instant) -> c_int {
    match start(lives, inherited, since, None, 1) {
        Ok((main, listener)) => {
            guardian::name_supervisor();
            Supervisor::new(state, listener, main, since).run(lives, inherited)
        }
        Err(errno) => {
            Voice::default().write(Level::Error, &format!("cannot start: {}", errno.desc()));
            c_int::from(Exit::Internal.code())
        }
    }
}

/// Forks the child.
fn start(
    lives: &Lives<'_>,
    inherited: Inherited,
    since: Instant,
    workdir: Option<&Path>,
    attempt: u32,
) -> nix::Result<(c_int, Listener)> {
    let (reader, writer) = handover_pipe()?;
    let writer = std::cell::Cell::new(Some(writer));
    let main = process::fork(|| {
        process::end_with_parent();
        if let Some(workdir) = workdir {
            let _ = nix::unistd::chdir(workdir);
        }
        let door = writer.take().map_or_else(Door::none, Door::to);
        (lives.main)(Start { door, inherited, since, attempt })
    })?;
    Ok((main, Listener::new(reader)))
}

fn handover_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC)
}

/// A panic here would end the container: it is told in one line, and the loop goes on.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or(String::new(), |at| format!(" at {}:{}", at.file(), at.line()));
        Voice::default().write(Level::Error, &format!("internal error{at}; please report it"));
    }));
}
