//! Two processes that guard each other where trainit is not PID 1, because the kernel then ends no other process with it.
//!
//! The *front* keeps the pid that the engine has started: it passes signals on and ends with the supervisor's code. The *supervisor* is
//! the front's child, outside of the process group (and without a terminal, outside of the session) that an engine signals.
//!
//! When either of them is killed, the other one ends everything with SIGKILL. Both are subreapers, so every descendant of the supervisor
//! stays below one of them, even behind shells and in sessions of its own. The kernel keeps the list of children, and it is complete when
//! no children are left (wait(2), ECHILD).

use super::guard::{guarded, keep_turning};
use super::log::Log;
use super::log_event::LogEvent;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::exit_code::Exit;
use protocol::handover::Level;
use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use sys::process::{self, Ended, Reaped};
use sys::signal::{self, SignalReceiver};
use sys::{Pid, Signal, memory, proc, terminal};

/// The supervisor's name in the list of processes, so that `pkill trainit` reaches the front alone.
const NAME: &std::ffi::CStr = c"supervisor";

/// Longest wait after SIGKILL: a process that is still there then waits for a dead device or file system.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two walks over the process tree, unless a child ends before.
const PAUSE: Duration = Duration::from_millis(10);

/// Longest wait of the front at its end for children that were there before trainit, which are the caller's and get SIGTERM only.
const DRAIN: Duration = Duration::from_secs(5);

/// A process by its pid and its start time, because a pid alone may be reused.
type KnownProcess = (Pid, u64);

/// The front as the supervisor knows it.
struct Front {
    pid: Pid,
    /// A pipe that reaches its end of file when the front is gone, however it ended.
    link: OwnedFd,
    /// Children of the front that were there before trainit: their parent has become trainit (`helper & exec trainit …`).
    earlier: Vec<KnownProcess>,
}

/// The front; set in the supervisor and its children, never in PID 1.
static FRONT: OnceLock<Front> = OnceLock::new();

/// Runs the supervisor behind a front, and gives its exit code to the front.
///
/// Where no second process can be made, the supervisor runs without a front.
pub(crate) fn behind_front(supervise: impl FnOnce() -> u8) -> u8 {
    if let Err(errno) = process::become_subreaper() {
        let why =
            format!("orphans of the workload will be neither reaped nor stopped: {}", protocol::errno::words(errno));
        Log::default().write(Level::Warn, &why);
    }
    let Ok((link, writer)) = super::handover_pipe() else { return supervise() };
    let front = Front { pid: Pid::own(), link, earlier: guarded(known_children).unwrap_or_default() };
    let (writer, body) = (Cell::new(Some(writer)), Cell::new(Some((supervise, front))));
    let supervisor = process::fork(|| {
        drop(writer.take()); // the front alone keeps the writing end
        let Some((supervise, front)) = body.take() else { return Exit::Internal.code() };
        guarded(|| step_behind(front));
        supervise()
    });
    match (supervisor, body.take()) {
        (Err(_), Some((supervise, _))) => supervise(),
        (Ok(pid), Some((_, Front { link, earlier, .. }))) => {
            drop(link); // before the front closes every descriptor that it does not know
            stand_in_front(pid, writer.take(), &earlier)
        }
        _ => Exit::Internal.code(),
    }
}

/// Sets the supervisor up as the front's child.
fn step_behind(front: Front) {
    let _ = FRONT.set(front);
    let _ = process::become_subreaper();
    process::guard_children();
    terminal::leave_group();
}

/// Renames the supervisor once its child exists: that child keeps trainit's name until it becomes the workload.
pub(crate) fn name_supervisor() {
    if FRONT.get().is_some() {
        process::name_self(NAME);
    }
}

/// Returns the descriptor that signals the front's end, in a supervisor that is not PID 1.
pub(crate) fn link() -> Option<BorrowedFd<'static>> {
    FRONT.get().map(|front| front.link.as_fd())
}

/// Ends everything if the front is gone.
///
/// The front never leaves before the supervisor, so it was killed, and no process waits for the exit code any more. The state file stays,
/// so that the next start can log how this one ended.
pub(crate) fn end_with_front(log: Log<'_>) -> Option<u8> {
    let front = FRONT.get()?;
    let mut link = [PollFd::new(front.link.as_fd(), PollFlags::POLLIN)];
    if poll(&mut link, PollTimeout::ZERO) != Ok(1) {
        return None;
    }
    end_everything(&front.earlier);
    log.write(
        Level::Error,
        "the process in front of the supervisor was killed: SIGKILL for everything that was started",
    );
    log_who_is_left();
    Some(Ended::Killed(Signal::KILL).code())
}

/// Runs the front until the supervisor ends, and returns the exit code, which no panic on the way can change.
fn stand_in_front(supervisor: Pid, link: Option<OwnedFd>, earlier: &[KnownProcess]) -> u8 {
    guarded(|| release(link.as_ref()));
    let signals = SignalReceiver::default();
    match end_of(supervisor, || pass_on(supervisor, &signals)) {
        Some(ended @ Ended::Exited(_)) => {
            guarded(|| wait_for_earlier(earlier));
            ended.code()
        }
        Some(ended @ Ended::Killed(by)) => {
            guarded(|| end_everything(&[]));
            guarded(|| log_killed(by));
            ended.code()
        }
        None => Exit::Internal.code(),
    }
}

/// Releases what the front does not need: descriptors, the working directory and memory.
fn release(link: Option<&OwnedFd>) {
    process::close_all_but(&link.into_iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
    let _ = nix::unistd::chdir("/");
    memory::give_back();
}

/// Waits until the supervisor ends; `None` if it was lost. `wait` sleeps until a signal arrives.
///
/// Between the kernel's answer and the return nothing can panic, so that the status is not lost.
fn end_of(supervisor: Pid, mut wait: impl FnMut()) -> Option<Ended> {
    keep_turning(|| match process::reap() {
        Reaped::One(pid, ended) if pid == supervisor => Some(Some(ended)),
        Reaped::One(..) | Reaped::Suspended(..) => None,
        Reaped::NoChildren => Some(None),
        Reaped::NoneYet => {
            wait();
            None
        }
        Reaped::Unknown(_) => {
            pause();
            None
        }
    })
}

/// Waits for a signal, and passes it on to the supervisor.
fn pass_on(supervisor: Pid, signals: &SignalReceiver) {
    let arrived = match signals.wait(None) {
        Ok(Some(arrived)) => arrived,
        Ok(None) => return,
        Err(_) => return pause(),
    };
    match arrived.signal {
        Signal::CHLD if arrived.pid == Some(supervisor) => {}
        Signal::TSTP if arrived.pid == Some(supervisor) => process::suspend(),
        Signal::PIPE if arrived.pid == Some(Pid::own()) => {}
        _ => signal::relay(supervisor, &arrived),
    }
}

/// Waits before a failed call is repeated.
fn pause() {
    let _ = poll(&mut [], PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO));
}

/// Waits until the children that were there before trainit have ended, too.
fn wait_for_earlier(earlier: &[KnownProcess]) {
    let (begun, signals) = (Instant::now(), SignalReceiver::default());
    for (pid, _) in earlier.iter().filter(|known| is_there(known)) {
        let _ = signal::send(*pid, Signal::TERM);
    }
    while earlier.iter().any(is_there) && reap_what_ended() && begun.elapsed() < DRAIN {
        let _ = signals.wait(Some(PAUSE));
    }
}

fn known_children() -> Vec<KnownProcess> {
    let children = proc::children(Pid::own()).into_iter();
    children.filter_map(|pid| Some((pid, proc::start_time(pid)?))).collect()
}

fn is_there((pid, start): &KnownProcess) -> bool {
    proc::start_time(*pid) == Some(*start)
}

fn log_killed(by: Signal) {
    Log::default()
        .write(Level::Error, &format!("the supervisor was killed by {by}: SIGKILL for everything that was started"));
    log_who_is_left();
}

fn log_who_is_left() {
    if !proc::children(Pid::own()).is_empty() {
        Log::default().say(&LogEvent::GivenUp);
    }
}

/// Sends SIGKILL to these processes, and to every descendant until none is left.
fn end_everything(others: &[KnownProcess]) {
    let (begun, signals) = (Instant::now(), SignalReceiver::default());
    keep_turning(|| {
        // Without the list nothing can be done here: the end of this process ends its children (`end_with_parent`).
        if !proc::is_of_this_namespace() || begun.elapsed() >= PATIENCE || !kill_once(others) {
            return Some(());
        }
        let _ = signals.wait(Some(PAUSE));
        None
    });
}

/// Sends SIGKILL once to these processes and to every descendant; returns whether any may be left.
fn kill_once(others: &[KnownProcess]) -> bool {
    let others = || others.iter().filter(|known| is_there(known)).map(|(pid, _)| *pid);
    let below_others = others().flat_map(proc::descendants).chain(others());
    for pid in proc::descendants(Pid::own()).into_iter().chain(below_others) {
        let _ = signal::send(pid, Signal::KILL);
    }
    reap_what_ended() || others().next().is_some()
}

/// Reaps ended children; returns whether any are left.
fn reap_what_ended() -> bool {
    loop {
        match process::reap() {
            Reaped::NoneYet | Reaped::Unknown(_) => return true,
            Reaped::NoChildren => return false,
            Reaped::One(..) | Reaped::Suspended(..) => {}
        }
    }
}

/// Stops the job as Ctrl-Z does, so that a shell above gets its terminal back: that shell watches the front.
pub(crate) fn suspend() {
    match FRONT.get() {
        Some(front) => {
            let _ = signal::send(front.pid, Signal::TSTP);
        }
        None => process::suspend(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;

    /// Runs a front whose supervisor ends with `how` after two turns, the first of which panics; returns the front's exit code.
    ///
    /// All of it is in a process of its own, because a front reaps every child.
    fn code_of_front(how: fn() -> u8) -> Reaped {
        let front = process::fork(|| {
            let (waits, opens) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
            let (mut opens, mut turns) = (Some(opens), 0);
            let supervisor = process::fork(|| {
                process::close_one(opens.as_ref().map_or(-1, AsRawFd::as_raw_fd));
                let _ = nix::unistd::read(&waits, &mut [0]);
                how()
            });
            let turn = || {
                turns += 1;
                if turns == 1 {
                    // A panic without its hook: a thread of the tests may have held the hook's lock at the fork.
                    std::panic::resume_unwind(Box::new("a fault of ours"));
                }
                drop(opens.take());
                pause();
            };
            end_of(supervisor.unwrap(), turn).map_or(99, Ended::code)
        });
        process::wait_for(front.unwrap())
    }

    #[test]
    fn a_front_that_panics_ends_with_the_supervisors_code_all_the_same() {
        let code = |reaped| match reaped {
            Reaped::One(_, Ended::Exited(code)) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(code_of_front(|| 7)), 7);
        let killed = || {
            let _ = signal::send(Pid::own(), Signal::KILL);
            0
        };
        assert_eq!(code(code_of_front(killed)), 137);
    }
}
