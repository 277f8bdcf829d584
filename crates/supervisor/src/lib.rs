//! PID 1: starts one child, reaps every process, turns signals into the stop protocol, keeps the state file and decides the exit code.
//!
//! The crate depends on `protocol` and `sys` alone and reads nothing that a user wrote: no YAML, no clap. It is an event loop around the
//! pure `State::step`. It must never block, never exit early and never die of a panic.
#![warn(unreachable_pub)]

mod action;
mod after_stop;
mod attempt_end;
mod awake_clock;
mod checkpoint_requests;
mod clock;
mod delivery;
mod event;
mod event_loop;
mod exit_account;
mod exit_summary;
mod failure_hold;
mod failures;
mod gate;
mod gpu_users;
mod guard;
mod guardian;
mod handover_reader;
mod helpers;

mod idle_shutdown;
mod idle_work;
mod inherited;
pub mod init;
mod killed_preparation;
mod life;
mod log;
mod log_event;
mod log_words;
mod memory_kills;
mod other_process;
mod pending_signals;
mod programs;
mod requests;
mod restart;
mod sidecars;
mod signal_policy;
pub mod signal_target;
mod sleep;
mod start_sidecars;
pub mod state;
pub mod state_dir;
mod state_writer;
mod stop_plan;
mod stop_protocol;
mod termination_log;
mod timers;
mod trap_watch;
mod unsent_signals;
mod watchdog;
mod workload;

pub use helpers::HelperArgs;
pub use stop_plan::saving_time;

use event_loop::EventLoop;
use gate::Gate;
use guard::guarded;
use handover_reader::HandoverReader;
use log::Log;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::poll;
use protocol::exit_code::{Exit, FailureFamily};
use protocol::handover::{HandoverWriter, Level};
use state::State;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;
use sys::retry::{may_pass, retry};
use sys::signal::InheritedSignals;
use sys::{Pid, process};

/// The arguments of prepare.
pub struct PrepareArgs {
    /// The pipe to PID 1.
    pub handover: HandoverWriter,
    /// The inherited signal settings, which are restored before exec.
    pub inherited: InheritedSignals,
    /// When PID 1 started.
    pub since: Instant,
    /// The number of this start, from 1.
    pub attempt: u32,
}

/// The arguments of a sidecar's preparation.
pub struct SidecarArgs<'a> {
    /// The sidecar's mode.
    pub mode: &'a str,
    /// The state directory of the container.
    pub run_dir: Option<&'a str>,
    /// The inherited signal settings, which are restored before exec.
    pub inherited: InheritedSignals,
    /// The number of this sidecar's start, from 1.
    pub attempt: u32,
}

/// The entry points of PID 1's children; each runs in a child of its own and never returns into PID 1.
pub struct ChildMains<'a> {
    /// Prepares, and becomes the workload.
    pub main: &'a dyn Fn(PrepareArgs) -> u8,
    /// Runs a helper.
    pub helper: &'a dyn Fn(HelperArgs<'_>) -> u8,
    /// Prepares a sidecar, and becomes another mode's workload.
    pub sidecar: &'a dyn Fn(SidecarArgs<'_>) -> u8,
    /// `main` prepares: it sends messages to PID 1 and may be started again. An init's child executes at once.
    pub prepares: bool,
}

/// Supervises one child until every process has ended, and exits with the exit code.
///
/// The caller has taken the signals over as its very first act: a signal that arrives earlier is lost to a PID 1. The state is made here
/// and not passed in, because every copy on the stack stays there for weeks.
pub fn run(child_mains: &ChildMains<'_>, state: impl FnOnce() -> State, inherited: InheritedSignals) -> ! {
    let since = Instant::now();
    process::occupy_stdio();
    guard::quiet_panics();
    let supervise = || supervise(child_mains, state, inherited, since);
    let code = if process::is_first() { supervise() } else { guardian::behind_front(supervise) };
    process::exit_now(code) // nothing here is buffered, and no exit handler has anything to do
}

fn supervise(
    child_mains: &ChildMains<'_>,
    state: impl FnOnce() -> State,
    inherited: InheritedSignals,
    since: Instant,
) -> u8 {
    match guarded(|| first_start(child_mains, inherited, since)).unwrap_or(Err(Errno::UnknownErrno)) {
        Ok(first) => {
            guardian::name_supervisor();
            // The loop is never dropped: the kernel closes what is open, and nothing can fail between the end and the exit code.
            ManuallyDrop::new(EventLoop::new(state, first, since)).run(child_mains, inherited)
        }
        Err(errno) => cannot_start(errno),
    }
}

/// The first child, PID 1's end of the handover, and PID 1's former working directory.
struct FirstStart {
    main: Pid,
    listener: Option<HandoverReader>,
    workdir: Option<PathBuf>,
}

/// Forks the child, releases what PID 1 inherited, and only then lets the child continue.
fn first_start(child_mains: &ChildMains<'_>, inherited: InheritedSignals, since: Instant) -> nix::Result<FirstStart> {
    let gate = Gate::new()?;
    let start = || start(child_mains, inherited, since, 1, || gate.wait());
    let (main, listener) = patiently(start)?;
    let [waits, opens] = gate.fds();
    let own =
        [listener.as_ref().map(HandoverReader::fd), guardian::link()].map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
    let [hears, link] = own;
    let workdir = guarded(|| inherited::release(&[waits, opens, hears, link], child_mains.prepares)).flatten();
    gate.open();
    Ok(FirstStart { main, listener, workdir })
}

/// Forks a child that calls `first` and then the main function of prepare.
fn start(
    child_mains: &ChildMains<'_>,
    inherited: InheritedSignals,
    since: Instant,
    attempt: u32,
    first: impl FnOnce(),
) -> nix::Result<(Pid, Option<HandoverReader>)> {
    let (reader, writer) =
        if child_mains.prepares { handover_pipe().map(|(r, w)| (Some(r), Some(w)))? } else { (None, None) };
    let main = process::fork(|| {
        process::end_with_parent();
        first();
        let handover = writer.map_or_else(HandoverWriter::none, HandoverWriter::to);
        (child_mains.main)(PrepareArgs { handover, inherited, since, attempt })
    })?;
    Ok((main, reader.map(|reader| HandoverReader::of_start(reader, since.elapsed()))))
}

/// Repeats an attempt, because a limit of processes or of memory may be reached for a moment only.
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

fn cannot_start(errno: Errno) -> u8 {
    Log::default().write(Level::Error, &format!("cannot start: {}", protocol::errno::words(errno)));
    let exit = if may_pass(errno) { Exit::Transient(FailureFamily::Host) } else { Exit::Internal };
    exit.code()
}

fn handover_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    retry(|| nix::unistd::pipe2(OFlag::O_CLOEXEC))
}
