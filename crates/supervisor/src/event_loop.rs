//! One turn after the other: wait, tell the state what happened, do what it answers. All side effects of PID 1 are here.

mod act;

use super::action::Action;
use super::clock::{Clock, due};
use super::event::Event;
use super::failures::Failures;
use super::gpu_users::GpuUser;
use super::guard::keep_turning;
use super::handover_reader::HandoverReader;
use super::helpers::{self, Helpers};
use super::idle_work::IdleWork;
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
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::time::Instant;
use sys::proc;
use sys::process::{self, Reaped};
use sys::signal::{Arrived, InheritedSignals, SignalReceiver};

/// So many ended children are taken in one turn: with them coming in without end, all else is still seen.
const BATCH: u32 = 1000;

/// PID 1 at work.
pub(crate) struct EventLoop {
    state: State,
    receiver: SignalReceiver,
    listener: Option<HandoverReader>,
    workload: Workload,
    since: Instant,
    /// The time since then, when PID 1 last had to know it: a turn takes none that matters, and asking is a system call in the
    /// static binary (strace shows it).
    now: Clock,
    /// Where PID 1 was when it started; there the next start begins.
    workdir: Option<PathBuf>,
    helpers: Helpers,
    /// Room for what the state answers, kept so that a signal costs no heap.
    actions: Vec<Action>,
    /// Errands and starts that the state asked for in this turn; they need what `run` was given.
    wanted: Vec<HelperTask>,
    begin: bool,
    started_sidecars: StartedSidecars,
    requests: Option<Requests>,
    memory_kills: MemoryKills,
    /// Who was named because of a GPU.
    gpu_users: Vec<GpuUser>,
    state_writer: StateWriter,
    /// Something happened that a reader of the diary might see.
    news: bool,
    idle_work: IdleWork,
    failures: Failures,
    /// The signal that asked for the stop, and who sent it.
    stopped_by: Option<String>,
    /// How it ended is told.
    accounted: bool,
    exit: Option<u8>,
}

impl EventLoop {
    #[inline(never)] // the copies that are made here go with this frame
    pub(super) fn new(state: impl FnOnce() -> State, first: FirstStart, since: Instant) -> Self {
        EventLoop {
            state: state(),
            receiver: SignalReceiver::default(),
            listener: first.listener,
            workload: Workload::of(first.main),
            since,
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

    /// Turns until the end.
    pub(super) fn run(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) -> c_int {
        self.state_writer.begin(&self.state);
        let code = keep_turning(|| {
            let over = self.turn();
            self.start_what_is_wanted(child_mains, inherited);
            over
        });
        c_int::from(code)
    }

    fn turn(&mut self) -> Option<u8> {
        if self.failures.is_due(self.now) {
            self.workload.unsent().send_again();
        }
        // What ended before the first wait has sent its SIGCHLD to nobody: reap first.
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
        self.now = self.since.elapsed();
        // All of it, before any signal: what came after exec is the workload's, and prepare's end says that it was after.
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

    /// Whether something is to be started.
    fn wants(&self) -> bool {
        !self.wanted.is_empty() || self.begin || self.started_sidecars.any_wanted()
    }

    fn received(&mut self, arrived: Arrived) {
        // Our own write to a closed pipe is no message to the workload. (A child's end comes with that child's pid.)
        if arrived.number == libc::SIGCHLD || arrived.pid != std::process::id() {
            self.step(Event::Signal(arrived));
        }
    }

    fn start_what_is_wanted(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) {
        if !self.wants() {
            return;
        }
        for helper in std::mem::take(&mut self.wanted) {
            if let Err(errno) = self.helpers.start(&helper, &self.state.policy, child_mains, self.now) {
                self.failures.tell(self.log(), helpers::name(&helper), errno);
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

    /// What the first start did, for the next one. If no process can be made now, the pause was too short: it is an end like another.
    fn start_again(&mut self, child_mains: &ChildMains<'_>, inherited: InheritedSignals) {
        self.memory_kills.begin_again();
        let back = || {
            let _ = self.workdir.as_deref().map(nix::unistd::chdir);
        };
        match super::start(child_mains, inherited, self.since, self.state.attempt, back) {
            Ok((main, listener)) => (self.workload, self.listener) = (Workload::of(main), listener),
            Err(errno) => {
                self.log().write(Level::Error, &format!("cannot start again: {}", errno.desc()));
                self.step(Event::MainEnded(process::Ended::Exited(protocol::exit_code::Exit::Internal.code())));
                self.step(Event::ChildrenGone);
            }
        }
    }

    /// Sleeps until something happens: for ever, when no deadline runs; not at all when there is more to do.
    fn sleep(&mut self, more: bool) -> WakeReason {
        if let Some(errno) = self.workload.unsent().failure() {
            self.unanswered("kill (tried again)", errno);
        }
        let settled = self.idle_work.take_due(self.now);
        let quiet = self.listener.as_ref().and_then(|listener| listener.quiet_until(self.now));
        let work = [self.failures.deadline(), self.state_writer.deadline(), self.idle_work.deadline()];
        let own = work.into_iter().chain([more.then_some(Clock::ZERO), quiet]);
        let deadline = own.chain([self.state.deadline(), self.helpers.deadline()]).flatten().min();
        if deadline.is_some() {
            self.now = self.since.elapsed();
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
        sources.sleep(deadline.map(|at| at.saturating_sub(self.now)), settled)
    }

    /// A call that the kernel gave no answer to is made again after a pause.
    fn unanswered(&mut self, call: &'static str, errno: Errno) {
        self.failures.again(self.now);
        self.failures.tell(self.log(), call, errno);
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

    /// The policy has come: the state directory is ours from now on.
    fn move_in(&mut self) {
        let policy = &self.state.policy;
        match policy.run_dir.as_deref().map(Path::new) {
            Some(directory) => self.state_writer.move_in(directory, policy.run_dir_made, self.now),
            None => self.begin_to_count_memory_kills(),
        }
    }

    /// From the first words in it on, there is also somebody to ask.
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
            // Not before: who has ended by then had no time to use up its memory.
            self.begin_to_count_memory_kills();
        }
        if self.state_writer.takes_requests() {
            self.requests = Requests::wanted(&self.state.policy, self.state_writer.open());
        }
    }

    fn begin_to_count_memory_kills(&mut self) {
        let workload = &self.workload;
        self.memory_kills.begin(|| !workload.is_gone() && !process::has_ended(workload.main()));
    }

    /// Takes what has ended, up to a batch. Says whether there may be more.
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

    /// Once for a whole batch: what follows looks at every process.
    fn others_ended(&mut self, any: bool) {
        if any {
            self.step(Event::ChildEnded);
        }
    }

    /// Says whether it was neither the main process nor an errand.
    fn ended(&mut self, pid: c_int, ended: process::Ended) -> bool {
        if self.helpers.has(pid) {
            self.helpers.reaped(pid).into_iter().for_each(|message| self.step(Event::Said(message)));
            return false;
        }
        if self.workload.reaped(pid) {
            // What prepare said before its end decides what the end means.
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

    /// With the main process gone, errands may be all that is left.
    fn find_other_processes(&mut self) {
        if self.workload.is_gone() && self.helpers.any() {
            // What cannot be known may be there.
            let others = proc::known_children(process::own_pid())
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
        // Orphans by the thousand, or signals that only pass through, are none.
        self.news |= !(passing && actions.iter().all(|action| matches!(action, Action::Forward(_))));
        actions.drain(..).for_each(|action| self.act(action));
        self.remember_sender();
        self.actions = actions;
    }
}
