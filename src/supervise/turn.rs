//! One turn after the other: wait, tell the state what happened, do what it answers. All side effects of PID 1 are here.

use super::listener::Listener;
use super::state::{Action, Event, State};
use super::target::{self, Chosen};
use super::tell;
use crate::handover::Scope;
use crate::state::{self as file, Identity, Record};
use crate::sys::process::{self, Reaped};
use crate::sys::signal::{self, Receiver};
use crate::sys::{memory, proc};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where Kubernetes reads a container's last words; at most 4096 bytes of them.
const TERMINATION_LOG: &str = "/dev/termination-log";
const TERMINATION_MAX: usize = 4096;

/// PID 1 at work.
pub struct Supervisor {
    state: State,
    receiver: Receiver,
    listener: Option<Listener>,
    main: c_int,
    /// The main process has been reaped: its pid must not be signalled any more.
    reaped: bool,
    since: Instant,
    /// Who has had the stop signal, or was spared it on purpose.
    delivered: Vec<c_int>,
    record: Record,
    exit: Option<u8>,
}

impl Supervisor {
    pub(super) fn new(state: State, receiver: Receiver, listener: Listener, main: c_int, since: Instant) -> Self {
        let record = Record { version: 1, started: file::unix_now(), main, attempt: 1, ..Record::default() };
        let listener = Some(listener);
        Supervisor { state, receiver, listener, main, reaped: false, since, delivered: Vec::new(), record, exit: None }
    }

    /// Turns until the end. A panic is a fault of ours, but the workload must not pay for it.
    pub(super) fn run(mut self) -> c_int {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(Some(code)) => return c_int::from(code),
                Ok(None) | Err(_) => {}
            }
        }
    }

    fn turn(&mut self) -> Option<u8> {
        // What ended before the first wait has sent its SIGCHLD to nobody: reap first.
        self.reap();
        self.save();
        if self.exit.is_some() {
            return self.exit;
        }
        let door_ready = self.wait();
        if door_ready {
            self.listen();
        }
        while let Some(arrived) = self.receiver.next() {
            // Our own write to a closed pipe is no message to the workload.
            if arrived.pid != std::process::id() {
                self.step(Event::Signal(arrived));
            }
        }
        if self.state.deadline().is_some_and(|at| self.since.elapsed() >= at) {
            self.step(Event::Tick);
        }
        None
    }

    /// Sleeps until something happens: for ever, when no deadline runs. Says whether prepare spoke.
    fn wait(&self) -> bool {
        let timeout = self.state.deadline().map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_sub(self.since.elapsed()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let signals = PollFd::new(self.receiver.fd(), PollFlags::POLLIN);
        match &self.listener {
            None => poll(&mut [signals], timeout).is_err(),
            Some(listener) => {
                let mut both = [signals, PollFd::new(listener.fd(), PollFlags::POLLIN)];
                let _ = poll(&mut both, timeout);
                both[1].any().unwrap_or(false)
            }
        }
    }

    fn listen(&mut self) {
        let Some(listener) = &mut self.listener else { return };
        let heard = listener.hear();
        for message in heard.messages {
            self.step(Event::Said(message));
        }
        if heard.closed {
            self.listener = None;
            self.step(Event::DoorClosed);
            memory::drop_touched_text(); // from here PID 1 sleeps
        }
    }

    fn reap(&mut self) {
        loop {
            match process::reap(!process::is_first()) {
                Reaped::One(pid, ended) => self.ended(pid, ended),
                Reaped::Suspended(pid) if pid == self.main => self.step(Event::MainSuspended),
                Reaped::Suspended(_) => {}
                Reaped::NoneYet => return,
                Reaped::NoChildren => {
                    self.hear_last_words();
                    return self.step(Event::ChildrenGone);
                }
            }
        }
    }

    fn ended(&mut self, pid: c_int, ended: process::Ended) {
        self.delivered.retain(|known| *known != pid);
        if pid != self.main || self.reaped {
            if self.state.policy.tell_orphans {
                tell::write(&format!("reaped orphan {pid}: {}", tell::how(ended)), self.state.policy.json);
            }
            return self.step(Event::ChildEnded);
        }
        // What prepare said before its end decides what the end means.
        self.hear_last_words();
        self.reaped = true;
        take_terminal_back(self.main);
        self.step(Event::MainEnded(ended));
    }

    fn hear_last_words(&mut self) {
        while self.listener.as_ref().is_some_and(|listener| readable(listener)) {
            self.listen();
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.state.step(event, self.since.elapsed(), &mut actions);
        actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Forward(number) => self.forward(number),
            Action::Release(held) => self.release(held),
            Action::Deliver { number, chosen } => self.deliver(number, chosen),
            Action::DeliverToOrphans => self.deliver_to_orphans(),
            Action::Tree(number) => self.signal_tree(number),
            Action::Kill => self.kill(),
            Action::Say(line) => tell::write(&tell::words(&line), self.state.policy.json),
            Action::Suspend => self.suspend(),
            Action::Exit(code) => self.finish(code),
        }
    }

    fn forward(&self, number: c_int) {
        let group = self.state.policy.scope == Scope::Group;
        if !self.reaped {
            // ESRCH and EPERM are no news: the child may be gone or belong to another user, and PID 1 lives on.
            let _ = signal::send(if group { -self.main } else { self.main }, number);
        }
    }

    fn release(&self, held: u64) {
        let caught = proc::status(self.main).map_or(0, |status| status.caught);
        for number in (1..=signal::MAX).filter(|number| signal::contains(held & caught, *number)) {
            self.forward(number);
        }
    }

    fn deliver(&mut self, number: c_int, chosen_by_us: bool) {
        if self.reaped {
            return;
        }
        let Chosen { signalled, spared } = target::choose(self.main, number, self.state.policy.scope, &target::Real);
        for pid in &signalled {
            deliver_one(*pid, number, chosen_by_us);
        }
        self.delivered.extend(signalled.into_iter().chain(spared).map(c_int::abs));
    }

    fn deliver_to_orphans(&mut self) {
        for pid in proc::children(std::process::id() as c_int) {
            if !self.delivered.contains(&pid) {
                deliver_one(pid, libc::SIGTERM, false);
                self.delivered.push(pid);
            }
        }
    }

    fn signal_tree(&mut self, number: c_int) {
        for pid in proc::descendants(std::process::id() as c_int) {
            let _ = signal::send(pid, number);
            self.delivered.push(pid);
        }
    }

    fn kill(&mut self) {
        process::kill_everyone();
        if !process::is_first() {
            self.signal_tree(libc::SIGKILL);
        }
    }

    /// Only with a shell above us: without one nobody could continue us.
    fn suspend(&self) {
        if process::is_first() {
            return;
        }
        take_terminal_back(self.main);
        process::suspend();
        let stdin = std::io::stdin();
        if tcgetpgrp(&stdin) == Ok(getpgrp()) {
            let _ = tcsetpgrp(&stdin, Pid::from_raw(self.main));
        }
        let _ = signal::send(-self.main, libc::SIGCONT);
    }

    fn finish(&mut self, code: u8) {
        self.exit = Some(code);
        self.record.exit_code = Some(code);
        if self.state.is_plain() {
            return;
        }
        let end = tell::end(&self.state, code, self.since.elapsed());
        if self.state.ran() {
            tell::write(&end, self.state.policy.json);
        }
        write_termination_log(self.state.refusal().unwrap_or(&end));
    }

    /// Writes the state file when something changed that a reader would see.
    fn save(&mut self) {
        let Some(directory) = self.state.policy.run_dir.clone() else { return };
        let mut now = self.record.clone();
        now.phase = if self.exit.is_some() { crate::handover::Phase::Ended } else { self.state.phase() };
        now.mode.clone_from(&self.state.policy.mode);
        now.kind = self.state.policy.kind;
        now.command = self.state.command().map(str::to_owned);
        now.refused = self.state.refusal().map(str::to_owned);
        now.stopped_by = self.state.stop().map(|stop| signal::name(stop.arrived.number));
        now.ended = self.state.ended().map(tell::how);
        if now == self.record && self.record.since > 0.0 {
            return;
        }
        if now.phase != self.record.phase || self.record.since == 0.0 {
            now.since = file::unix_now();
        }
        if now.supervisor.pid == 0 {
            now.supervisor = Identity::of(std::process::id() as i32).unwrap_or_default();
        }
        let _ = file::write(Path::new(&directory), &now);
        self.record = now;
    }
}

/// A stopped process could not act on it, so it is continued first. What trainit chose itself is sent only to who is ready for it:
/// an unready trainer would die of it.
fn deliver_one(pid: c_int, number: c_int, chosen_by_us: bool) {
    let status = proc::status(pid.abs()).unwrap_or_default();
    if status.state == 'T' {
        let _ = signal::send(pid, libc::SIGCONT);
    }
    let ready = !chosen_by_us || signal::contains(status.caught, number);
    let _ = signal::send(pid, if ready { number } else { libc::SIGTERM });
}

fn readable(listener: &Listener) -> bool {
    let mut fd = [PollFd::new(listener.fd(), PollFlags::POLLIN)];
    poll(&mut fd, PollTimeout::ZERO) == Ok(1)
}

/// If the terminal's foreground group is the workload's, which is gone or stopped, it becomes ours again. All signals are blocked,
/// so TTOU cannot stop us.
fn take_terminal_back(main: c_int) {
    let stdin = std::io::stdin();
    if tcgetpgrp(&stdin) == Ok(Pid::from_raw(main)) {
        let _ = tcsetpgrp(&stdin, getpgrp());
    }
}

fn write_termination_log(text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let opened =
        options.write(true).truncate(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(TERMINATION_LOG);
    if let Ok(mut log) = opened {
        let end = text.floor_char_boundary_at(TERMINATION_MAX);
        let _ = log.write_all(text.as_bytes().get(..end).unwrap_or_default());
    }
}

trait Shorten {
    /// The largest index up to `max` that does not cut a character.
    fn floor_char_boundary_at(&self, max: usize) -> usize;
}

impl Shorten for str {
    fn floor_char_boundary_at(&self, max: usize) -> usize {
        (0..=max.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}
