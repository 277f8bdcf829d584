//! PID 1. Starts exactly one child, reaps everything, turns signals into the stop protocol, keeps the state file and decides the
//! exit code. Knows `handover`, `state`, `exit` and `sys`, and nothing that a user wrote: no YAML, no clap. It is a loop around
//! the pure `State::step`; it must never block, never exit early and never panic to death.

pub mod init;
mod listener;
mod outcome;
pub mod state;
mod stop;
pub mod target;
mod tell;
mod turn;

use crate::exit::Exit;
use crate::handover::Door;
use crate::sys::process;
use crate::sys::signal::{Inherited, Receiver};
use listener::Listener;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use state::State;
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;
use turn::Supervisor;

/// What the child's first life is started with.
pub struct Start {
    /// Where it tells PID 1 about itself.
    pub door: Door,
    /// What it gives back before exec.
    pub inherited: Inherited,
    /// When PID 1 started.
    pub since: Instant,
}

/// Supervises one child that lives `life`, until everything has ended. Returns the exit code.
pub fn run(life: impl Fn(Start) -> c_int, state: State) -> c_int {
    let since = Instant::now();
    let inherited = Inherited::take_over();
    quiet_panics();
    if !process::is_first() {
        process::become_subreaper();
    }
    match start(&life, inherited, since) {
        Ok((receiver, listener, main)) => Supervisor::new(state, receiver, listener, main, since).run(),
        Err(errno) => {
            tell::write(&format!("cannot start: {}", errno.desc()), false);
            c_int::from(Exit::Internal.code())
        }
    }
}

fn start(
    life: &impl Fn(Start) -> c_int,
    inherited: Inherited,
    since: Instant,
) -> nix::Result<(Receiver, Listener, c_int)> {
    let receiver = Receiver::new()?;
    let (reader, writer) = handover_pipe()?;
    let workdir = leave_working_directory();
    let writer = std::cell::Cell::new(Some(writer));
    let main = process::fork(|| {
        if let Some(workdir) = &workdir {
            let _ = nix::unistd::fchdir(workdir);
        }
        let door = writer.take().map_or_else(Door::none, Door::to);
        life(Start { door, inherited, since })
    })?;
    drop((writer, workdir));
    process::close_all_but(&mut [receiver.fd().as_raw_fd(), reader.as_raw_fd()]);
    Ok((receiver, Listener::new(reader), main))
}

/// PID 1 pins no mount with its working directory; the child goes back there.
fn leave_working_directory() -> Option<OwnedFd> {
    let here = nix::fcntl::open(".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok();
    let _ = nix::unistd::chdir("/");
    here
}

fn handover_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    Ok((above_stdio(reader)?, above_stdio(writer)?))
}

/// With 0, 1 or 2 closed by the caller the pipe would land there, and the workload's output in the handover.
fn above_stdio(fd: OwnedFd) -> nix::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    nix::fcntl::fcntl(fd.as_fd(), nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(3)).map(process::adopt)
}

/// A panic here would end the container: it is told in one line, and the loop goes on.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or(String::new(), |at| format!(" at {}:{}", at.file(), at.line()));
        tell::write(&format!("internal error{at}; please report it"), false);
    }));
}
