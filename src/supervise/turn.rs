//! One turn after the other: wait, tell the state what happened, do what it answers. All side effects of PID 1 are here.

use super::ending::Ending;
use super::errands::Errands;
use super::listener::Listener;
use super::requests::Requests;
use super::state::{Action, Clock, Event, State};
use super::target::{self, Chosen};
use super::{Lives, tell};
use crate::handover::{Errand, Message, Phase, Scope};
use crate::state::{self as file, Identity, Record};
use crate::sys::process::{self, Reaped};
use crate::sys::signal::Inherited;
use crate::sys::signal::{self, Receiver};
use crate::sys::{Root, cgroup, memory, proc};
use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::ffi::c_int;
use std::fs::File;
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
    errands: Errands,
    /// Errands and starts that the state asked for in this turn; they need what `run` was given.
    wanted: Vec<Errand>,
    begin: bool,
    requests: Option<Requests>,
    /// How often the kernel had killed for want of memory before.
    memory_kills: Option<u64>,
    /// Held while we live, so that the next start can tell a breadcrumb from a neighbour.
    lock: Option<Flock<File>>,
    record: Record,
    exit: Option<u8>,
}

impl Supervisor {
    pub(super) fn new(state: State, receiver: Receiver, listener: Listener, main: c_int, since: Instant) -> Self {
        Supervisor {
            state,
            receiver,
            listener: Some(listener),
            main,
            reaped: false,
            since,
            delivered: Vec::new(),
            errands: Errands::default(),
            wanted: Vec::new(),
            begin: false,
            requests: None,
            memory_kills: None,
            lock: None,
            record: Record { version: 1, started: file::unix_now(), ..Record::default() },
            exit: None,
        }
    }

    /// Turns until the end. A panic is a fault of ours, but the workload must not pay for it.
    pub(super) fn run(mut self, lives: &Lives<'_>, inherited: Inherited, workdir: Option<&Path>) -> c_int {
        loop {
            let turn = AssertUnwindSafe(|| {
                let over = self.turn();
                self.start_what_is_wanted(lives, inherited, workdir);
                over
            });
            match catch_unwind(turn) {
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
        if !self.wanted.is_empty() || self.begin {
            return None;
        }
        self.wait();
        self.listen();
        self.errands.hear().into_iter().for_each(|message| self.step(Event::Said(message)));
        while let Some(arrived) = self.receiver.next() {
            // Our own write to a closed pipe is no message to the workload.
            if arrived.pid != std::process::id() {
                self.step(Event::Signal(arrived));
            }
        }
        if self.requests.as_ref().is_some_and(Requests::take) {
            self.step(Event::SaveRequested);
        }
        self.errands.tick(self.now());
        if self.state.deadline().is_some_and(|at| self.now() >= at) {
            self.step(Event::Tick);
        }
        None
    }

    fn now(&self) -> Clock {
        self.since.elapsed()
    }

    fn start_what_is_wanted(&mut self, lives: &Lives<'_>, inherited: Inherited, workdir: Option<&Path>) {
        for errand in std::mem::take(&mut self.wanted) {
            self.errands.start(&errand, &self.state.policy, lives, self.now());
        }
        if std::mem::take(&mut self.begin) {
            self.start_again(lives, inherited, workdir);
        }
    }

    /// What the first start did, for the next one. If no process can be made now, the pause was too short: it is an end like another.
    fn start_again(&mut self, lives: &Lives<'_>, inherited: Inherited, workdir: Option<&Path>) {
        self.delivered.clear();
        match super::start(lives, inherited, self.since, workdir, self.state.attempt) {
            Ok((main, listener)) => (self.main, self.listener, self.reaped) = (main, Some(listener), false),
            Err(errno) => {
                tell::write(&format!("cannot start again: {}", errno.desc()), self.state.policy.json);
                self.step(Event::MainEnded(process::Ended::Exited(crate::exit::Exit::Internal.code())));
                self.step(Event::ChildrenGone);
            }
        }
    }

    /// Sleeps until something happens: for ever, when no deadline runs.
    fn wait(&self) {
        let deadline = [self.state.deadline(), self.errands.deadline()].into_iter().flatten().min();
        let timeout = deadline.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_sub(self.now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = vec![readable(self.receiver.fd())];
        fds.extend(self.listener.as_ref().map(|listener| readable(listener.fd())));
        fds.extend(self.requests.as_ref().map(|requests| readable(requests.fd())));
        fds.extend(self.errands.fds());
        let _ = poll(&mut fds, timeout);
    }

    fn listen(&mut self) {
        let Some(listener) = self.listener.as_mut().filter(|listener| listener.is_readable()) else { return };
        let heard = listener.hear();
        for message in heard.messages {
            self.hear(message);
        }
        if heard.closed {
            self.listener = None;
            self.step(Event::DoorClosed);
            memory::drop_touched_text(); // from here PID 1 sleeps
        }
    }

    fn hear(&mut self, message: Message) {
        self.step(Event::Said(message));
        if self.lock.is_none() {
            self.move_in();
        }
    }

    /// The policy has come: the state directory is ours from now on.
    fn move_in(&mut self) {
        let Some(directory) = &self.state.policy.run_dir else { return };
        self.lock = file::lock(Path::new(directory));
        self.requests = Requests::watch(Path::new(directory));
        self.memory_kills = cgroup::memory_kills(&Root::real());
    }

    fn reap(&mut self) {
        loop {
            match process::reap(!process::is_first()) {
                Reaped::One(pid, ended) => self.ended(pid, ended),
                Reaped::Suspended(pid) if pid == self.main => self.step(Event::MainSuspended),
                Reaped::Suspended(_) => {}
                Reaped::NoneYet => return self.look_for_others(),
                Reaped::NoChildren => {
                    self.hear_last_words();
                    return self.step(Event::ChildrenGone);
                }
            }
        }
    }

    fn ended(&mut self, pid: c_int, ended: process::Ended) {
        self.delivered.retain(|known| *known != pid);
        if self.errands.has(pid) {
            return self.errands.reaped(pid).into_iter().for_each(|message| self.step(Event::Said(message)));
        }
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

    /// With the main process gone, errands may be all that is left.
    fn look_for_others(&mut self) {
        if self.reaped && self.errands.any() {
            let others = proc::children(std::process::id() as c_int).into_iter().any(|pid| !self.errands.has(pid));
            if !others {
                self.step(Event::OnlyErrands);
            }
        }
    }

    fn hear_last_words(&mut self) {
        while self.listener.as_ref().is_some_and(Listener::is_readable) {
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
            Action::Ask(number) => self.ask(number),
            Action::DeliverToOrphans => self.deliver_to_orphans(),
            Action::Tree(number) => self.signal_tree(number),
            Action::Kill => self.kill(),
            Action::Say(line) => tell::write(&tell::words(&line), self.state.policy.json),
            Action::Suspend => self.suspend(),
            Action::Send(errand) => self.wanted.push(errand),
            Action::Dump => self.wanted.push(Errand::Dump(self.others())),
            Action::EndErrands => self.errands.end(self.now()),
            Action::Begin => self.begin = true,
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

    /// Only for who is ready: the others would die of it.
    fn ask(&mut self, number: c_int) {
        let chosen = target::choose(self.main, number, self.state.policy.scope, &target::Real).signalled;
        let ready = |pid: &c_int| proc::status(pid.abs()).is_some_and(|status| signal::contains(status.caught, number));
        let ready: Vec<c_int> = chosen.into_iter().filter(ready).collect();
        if ready.is_empty() || self.reaped {
            return self.step(Event::NobodyReady(number));
        }
        ready.into_iter().for_each(|pid| deliver_one(pid, number, true));
    }

    /// Everything that descends from PID 1 and is no errand.
    fn others(&self) -> Vec<c_int> {
        proc::descendants(std::process::id() as c_int).into_iter().filter(|pid| !self.errands.has(*pid)).collect()
    }

    fn deliver_to_orphans(&mut self) {
        for pid in proc::children(std::process::id() as c_int) {
            if !self.delivered.contains(&pid) && !self.errands.has(pid) {
                deliver_one(pid, libc::SIGTERM, false);
                self.delivered.push(pid);
            }
        }
    }

    fn signal_tree(&mut self, number: c_int) {
        for pid in self.others() {
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
        let ending = Ending::of(&self.state, code, self.now(), self.memory_kills);
        if self.state.ran() {
            tell::end(&ending, self.state.policy.json);
        }
        write_termination_log(self.state.refusal().unwrap_or(&ending.words()));
    }

    /// Writes the state file when something changed that a reader would see.
    fn save(&mut self) {
        let Some(directory) = self.state.policy.run_dir.clone() else { return };
        let mut now = self.record.clone();
        now.phase = if self.exit.is_some() { Phase::Ended } else { self.state.phase() };
        now.can_save = self.state.policy.save_signal.is_some() || self.state.policy.save_file.is_some();
        now.watches = self.state.policy.checkpoints.is_some();
        (now.main, now.attempt, now.hung) = (self.main, self.state.attempt, self.state.hung);
        now.saved.clone_from(&self.state.saved);
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
        match self.exit {
            // What is left behind is a breadcrumb, and would be told as a sudden death.
            Some(_) => drop(std::fs::remove_dir_all(&directory)),
            None => drop(file::write(Path::new(&directory), &now)),
        }
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
