//! The event loop of PID 1: it waits, passes what happened to the state, and carries out the answer (`act.rs`). All side effects of PID 1
//! begin here.

mod act;

use super::action::Action;
use super::awake_clock::{AwakeClock, WATCHED};
use super::clock::{Clock, due};
use super::event::Event;
use super::failures::Failures;
use super::gpu_users::GpuUser;
use super::guard::keep_turning;
use super::handover_reader::HandoverReader;
use super::helpers::{self, Helpers};
use super::idle_work::IdleWork;
use super::log::Log;
use super::log_words;
use super::memory_kills::MemoryKills;
use super::requests::Requests;
use super::sleep::{WakeReason, WakeSources};
use super::start_sidecars::StartedSidecars;
use super::state::State;
use super::state_writer::StateWriter;
use super::workload::Workload;
use super::{ChildMains, FirstStart};
use nix::errno::Errno;
use protocol::handover::{HelperTask, Level, Message};
use std::path::{Path, PathBuf};
use std::time::Instant;
use sys::process::{self, Reaped};
use sys::signal::{Arrived, InheritedSignals, SignalReceiver};
use sys::{Pid, Signal, proc};

/// The most ended children that one turn takes, so that an endless stream of them does not hide other events.
const BATCH: u32 = 1000;

/// The state of PID 1, and everything that its side effects need.
pub(crate) struct EventLoop {
    state: State,
    receiver: SignalReceiver,
    listener: Option<HandoverReader>,
    workload: Workload,
    clock: AwakeClock,
    /// The time as of the last look at the clock. A look is a system call in the static binary (strace shows it), and a turn
    /// takes no time that matters.
    now: Clock,
    /// The working directory of PID 1 at its start, in which the next start begins.
    workdir: Option<PathBuf>,
    helpers: Helpers,
    /// A buffer for the actions of the state, kept so that a signal allocates nothing.
    actions: Vec<Action>,
    /// Helpers that the state asked for in this turn; they start where `run` has the entry points of children.
    wanted: Vec<HelperTask>,
    begin: bool,
    started_sidecars: StartedSidecars,
    requests: Option<Requests>,
    memory_kills: MemoryKills,
    /// The processes that were named because they have a GPU open.
    gpu_users: Vec<GpuUser>,
    state_writer: StateWriter,
    /// Something happened that a reader of the state file might see.
    news: bool,
    idle_work: IdleWork,
    failures: Failures,
    /// The signal that asked for the stop, and who sent it.
    stopped_by: Option<String>,
    /// The end has been logged.
    accounted: bool,
    exit: Option<u8>,
}

impl EventLoop {
    #[inline(never)] // so that the copies that are made here end with this frame
    pub(super) fn new(state: impl FnOnce() -> State, first: FirstStart, since: Instant) -> Self {
        EventLoop {
            state: state(),
            receiver: SignalReceiver::default(),
            listener: first.listener,
            workload: Workload::of(first.main),
            clock: AwakeClock::of(since),
            now: Clock::ZERO,
            workdir: first.workdir,
            helpers: Helpers::default(),
            actions: Vec::new(),
            wanted: Vec::new(),
            begin: false,
            started_sidecars: StartedSidecars::default(),
            requests: None,
            memory_kills: MemoryKills::default(),
            gpu_users: Vec::new(),
            state_writer: StateWriter::new(),
            news: true,
            idle_work: IdleWork::default(),
            failures: Failures::default(),
            stopped_by: None,
            accounted: false,
            exit: None,
        }
    }

    /// Runs until the end, and returns the exit code.
    pub(super) fn run(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) -> u8 {
        self.state_writer.begin(&self.state);
        keep_turning(|| {
            let over = self.turn();
            self.start_what_is_wanted(child_mains, inherited);
            over
        })
    }

    fn turn(&mut self) -> Option<u8> {
        if self.failures.is_due(self.now) {
            self.workload.unsent().send_again();
        }
        // A child that ended before the first wait has sent its SIGCHLD already, so the loop reaps first.
        let more = self.reap();
        if let Some(code) = self.exit.or_else(|| super::guardian::end_with_front(self.log())) {
            return Some(code);
        }
        self.write_state();
        if self.wants() {
            self.news = true;
            return None;
        }
        let woken = self.sleep(more);
        self.now = self.clock.now();
        // The handover is read whole before any signal: a signal after exec is the workload's, and the handover's end marks the exec.
        self.hear_out();
        if self.helpers.any() {
            self.helpers.hear().into_iter().for_each(|message| self.step(Event::Said(message)));
        }
        woken.signals.into_iter().flatten().for_each(|arrived| self.received(arrived));
        if woken.asked && self.requests.as_ref().is_some_and(Requests::take) {
            self.step(Event::SaveRequested);
        }
        self.helpers.tick(self.now);
        if self.state.deadline().is_some_and(|at| self.now >= at) {
            self.step(Event::Tick);
        }
        None
    }

    /// Returns whether a process is to be started.
    fn wants(&self) -> bool {
        !self.wanted.is_empty() || self.begin || self.started_sidecars.any_wanted()
    }

    fn received(&mut self, arrived: Arrived) {
        // A SIGPIPE by PID 1's own write to a closed pipe is not for the workload. (SIGCHLD has the child's pid.)
        if arrived.signal == Signal::CHLD || arrived.pid != Some(Pid::own()) {
            self.step(Event::Signal(arrived));
        }
    }

    fn start_what_is_wanted(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) {
        if !self.wants() {
            return;
        }
        for helper in std::mem::take(&mut self.wanted) {
            if let Err(errno) = self.helpers.start(&helper, &self.state.policy, child_mains, self.now) {
                self.failures.tell(Log::of(&self.state.policy.report), helpers::name(&helper), errno);
            }
        }
        if std::mem::take(&mut self.begin) {
            self.start_again(child_mains, inherited);
        }
        for index in self.started_sidecars.start(&self.state, child_mains, inherited, self.workdir.as_deref()) {
            let lost = process::Ended::Exited(protocol::exit_code::Exit::Internal.code());
            self.step(Event::SidecarEnded(index, lost));
        }
    }

    /// Starts the workload again. If no process can be made, that counts as an end of the main process.
    fn start_again(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) {
        self.memory_kills.begin_again();
        let back = || {
            let _ = self.workdir.as_deref().map(nix::unistd::chdir);
        };
        match super::start(child_mains, inherited, self.clock.began(), self.state.attempt, back) {
            Ok((main, listener)) => (self.workload, self.listener) = (Workload::of(main), listener),
            Err(errno) => {
                self.log().write(Level::Error, &format!("cannot start again: {}", protocol::errno::words(errno)));
                self.step(Event::MainEnded(process::Ended::Exited(protocol::exit_code::Exit::Internal.code())));
                self.step(Event::ChildrenGone);
            }
        }
    }

    /// Sleeps until an event or the next deadline; not at all if there is `more` to reap.
    fn sleep(&mut self, more: bool) -> WakeReason {
        if let Some(errno) = self.workload.unsent().failure() {
            self.unanswered("kill (tried again)", errno);
        }
        let settled = self.idle_work.take_due(self.now);
        let quiet = self.listener.as_ref().and_then(|listener| listener.quiet_until(self.now));
        let work = [self.failures.deadline(), self.state_writer.deadline(), self.idle_work.deadline()];
        let own = work.into_iter().chain([more.then_some(Clock::ZERO), quiet]);
        let mut deadline = own.chain([self.state.deadline(), self.helpers.deadline()]).flatten().min();
        if deadline.is_some() {
            self.now = self.clock.now();
        }
        if self.state.has_grace() {
            deadline = deadline.map(|at| at.min(self.now + WATCHED));
        }
        let sources = WakeSources {
            signals: &self.receiver,
            handover: self.listener.as_ref().filter(|_| quiet.is_none()).map(HandoverReader::fd),
            requests: self.requests.as_ref().map(Requests::fd),
            helpers: &self.helpers,
        };
        if settled {
            sys::memory::give_back_data();
        }
        let woken = sources.sleep(deadline.map(|at| at.saturating_sub(self.now)), settled);
        if let Some(time) = self.clock.woke(deadline) {
            self.log().write(Level::Info, &log_words::suspended(time));
        }
        woken
    }

    /// Notes a failed system call, which is made again after a pause.
    fn unanswered(&mut self, call: &'static str, errno: Errno) {
        self.failures.again(self.now);
        self.failures.tell(Log::of(&self.state.policy.report), call, errno);
    }

    fn listen(&mut self) {
        self.listener.iter_mut().for_each(HandoverReader::hear);
        while let Some(message) = self.listener.as_mut().and_then(HandoverReader::next) {
            self.hear(message);
        }
        if self.listener.as_ref().is_some_and(|listener| !listener.is_open()) {
            self.listener = None;
            self.step(Event::HandoverClosed);
        }
    }

    fn hear(&mut self, message: Message) {
        let policy = matches!(message, Message::Policy(_));
        self.step(Event::Said(message));
        if policy && !self.state_writer.is_named() {
            self.move_in();
        }
    }

    /// Moves into the state directory that the policy names.
    fn move_in(&mut self) {
        let policy = &self.state.policy;
        match policy.run_dir.as_deref().map(Path::new) {
            Some(directory) => self.state_writer.move_in(directory, policy.run_dir_made, self.now),
            None => self.begin_to_count_memory_kills(),
        }
    }

    /// Writes the state file if a reader might see news, and begins to watch for requests.
    fn write_state(&mut self) {
        if !std::mem::take(&mut self.news) && !due(self.state_writer.deadline(), self.now) {
            return;
        }
        let silent = !self.state_writer.is_written();
        self.idle_work.touched(self.now);
        let main = self.workload.main();
        let requests =
            self.state_writer.keep(&self.state, main, &self.started_sidecars, self.stopped_by.as_deref(), self.now);
        self.requests = requests.or(self.requests.take());
        if silent && self.state_writer.is_written() {
            // Not earlier: a command that has ended by now had hardly time to use up its memory.
            self.begin_to_count_memory_kills();
        }
    }

    fn begin_to_count_memory_kills(&mut self) {
        let workload = &self.workload;
        self.memory_kills.begin(|| !workload.is_gone() && !process::has_ended(workload.main()));
    }

    /// Reaps ended children, at most a batch; returns whether there may be more.
    fn reap(&mut self) -> bool {
        let mut others = false;
        for _ in 0..BATCH {
            match process::reap() {
                Reaped::One(pid, ended) => others |= self.ended(pid, ended),
                Reaped::Suspended(pid, by) if pid == self.workload.main() => self.workload.suspended(by),
                Reaped::Suspended(..) => {}
                Reaped::NoneYet => {
                    self.others_ended(others);
                    self.find_other_processes();
                    return false;
                }
                Reaped::Unknown(errno) => {
                    self.others_ended(others);
                    self.unanswered("wait4 (tried again)", errno);
                    return false;
                }
                Reaped::NoChildren => {
                    self.hear_out();
                    self.step(Event::ChildrenGone);
                    return false;
                }
            }
        }
        self.others_ended(others);
        true
    }

    /// Acts on ended children once for a whole batch, because the look at the other processes is costly.
    fn others_ended(&mut self, any: bool) {
        if any {
            self.step(Event::ChildEnded);
        }
    }

    /// Passes on the end of a child; returns whether it was neither the main process nor a helper.
    fn ended(&mut self, pid: Pid, ended: process::Ended) -> bool {
        if self.helpers.has(pid) {
            self.helpers.reaped(pid).into_iter().for_each(|message| self.step(Event::Said(message)));
            return false;
        }
        if self.workload.reaped(pid) {
            // The last messages of prepare decide what its end means, so they are read first.
            self.hear_out();
            self.memory_kills.explain(ended).then(|| self.step(Event::MemoryRanOut));
            self.step(Event::MainEnded(ended));
            return false;
        }
        if let Some(index) = self.started_sidecars.reaped(pid, self.workload.unsent()) {
            self.step(Event::SidecarEnded(index, ended));
            return true;
        }
        if self.state.policy.report.tell_orphans {
            self.log().write(Level::Info, &format!("reaped orphan {pid}: {}", log_words::how(ended)));
        }
        true
    }

    /// Finds out, once the main process is gone, whether only helpers are left.
    fn find_other_processes(&mut self) {
        if self.workload.is_gone() && self.helpers.any() {
            // Where the children cannot be listed, other children may exist.
            let others = proc::known_children(Pid::own())
                .map_or(true, |children| children.into_iter().any(|pid| !self.helpers.has(pid)));
            match others {
                true => {}
                false if self.helpers.any_alive() => self.step(Event::OnlyHelpers),
                false => self.step(Event::ChildrenGone),
            }
        }
    }

    fn hear_out(&mut self) {
        while self.listener.as_ref().is_some_and(HandoverReader::is_readable) {
            self.listen();
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        let passing = matches!(event, Event::Signal(_) | Event::ChildEnded);
        self.state.step(event, self.now, &mut actions);
        // An ended orphan or a signal that only passes through is no news; there may be thousands.
        self.news |= !(passing && actions.iter().all(|action| matches!(action, Action::Forward(_))));
        actions.drain(..).for_each(|action| self.act(action));
        self.remember_sender();
        self.actions = actions;
    }
}
