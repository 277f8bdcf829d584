//! How the event loop carries out the actions of the state.

use super::EventLoop;
use crate::action::Action;
use crate::attempt_end;
use crate::delivery::Awaited;
use crate::event::Event;
use crate::exit_summary::ExitSummary;
use crate::gpu_users;
use crate::guard::guarded;
use crate::log::Log;
use crate::log_event::LogEvent;
use crate::log_words;
use crate::termination_log;
use protocol::handover::{HelperTask, Level, Scope};
use std::cell::LazyCell;
use std::time::Duration;
use sys::{Pid, Root, Signal, proc, process};

impl EventLoop {
    pub(super) fn act(&mut self, action: Action) {
        // Signals that are passed on may be many, and they touch little memory.
        if !matches!(action, Action::Forward(_)) {
            self.idle_work.touched(self.now);
        }
        let scope = self.state.policy.signals.scope;
        match action {
            Action::Forward(signal) => self.workload.forward(signal, scope),
            Action::Release(held) => self.release(held),
            Action::Deliver { .. }
            | Action::Abort
            | Action::HangUp
            | Action::DeliverToOrphans
            | Action::DeliverStronger(_)
            | Action::ReleaseSpared => self.deliver(action, scope),
            Action::Ask(signal) if self.workload.ask(signal, scope) => {}
            Action::Ask(signal) => self.step(Event::NoHandler(signal)),
            Action::LookAtTargets => self.look_at_targets(),
            Action::Tree(signal) => self.signal_tree(signal),
            Action::Kill => self.kill(),
            Action::Say(line) => self.log().say(&line),
            Action::TellTerminals(line) => self.wanted.push(HelperTask::TellTerminals(log_words::words(&line))),
            Action::Pulse => {
                let others = self.started_sidecars.all().into_iter().chain(self.helpers.pids());
                self.wanted.push(HelperTask::Pulse(others.map(Pid::number).collect()));
            }
            Action::Send(helper) => self.wanted.push(helper),
            Action::Dump => self.wanted.push(HelperTask::Dump(self.main_tree().into_iter().map(Pid::number).collect())),
            Action::NameLeft(left) => self.name_left(left),
            Action::NameKilled => self.name_killed(),
            Action::EndHelpers => self.helpers.end(self.now),
            Action::EndUpload => self.helpers.end_upload(self.now),
            Action::Begin => self.begin_again(),
            Action::BeginSidecar(index) => self.started_sidecars.want(index),
            Action::KillSidecars => self.started_sidecars.kill(self.workload.unsent()),
            Action::WriteEnd { code, over, waiting } => self.write_end(code, over, waiting),
            Action::Account(code) => self.account(code),
            Action::Exit(code) => self.finish(code),
        }
    }

    /// Delivers a stop signal, or goes on with a delivery.
    fn deliver(&mut self, action: Action, scope: Scope) {
        let workload = &mut self.workload;
        match action {
            Action::Deliver { signal, chosen } => {
                let is_as_asked = workload.deliver(signal, scope, chosen);
                if !is_as_asked {
                    self.log().say(&LogEvent::TermInstead(signal));
                }
            }
            Action::HangUp => workload.hang_up(),
            Action::DeliverToOrphans => workload.deliver_to_orphans(&self.helpers),
            Action::Abort => {
                workload.deliver(Signal::ABRT, scope, true);
                return;
            }
            Action::DeliverStronger(signal) => {
                let (delivery, unsent) = workload.delivery();
                return delivery.deliver_stronger(signal, unsent);
            }
            Action::ReleaseSpared => {
                let (delivery, unsent) = workload.delivery();
                return delivery.release_spared(unsent);
            }
            _ => {}
        }
        self.await_delivery();
    }

    /// Passes on what the delivery of a stop signal waits for.
    fn await_delivery(&mut self) {
        let awaited = self.workload.delivery().0.awaits();
        if awaited != Awaited::default() {
            self.step(Event::Awaits(awaited));
        }
    }

    /// Looks at the processes that were told of a stop, and at the traps that decide about others.
    fn look_at_targets(&mut self) {
        let (delivery, unsent) = self.workload.delivery();
        delivery.look_at_traps(unsent);
        let (awaited, over) = (delivery.awaits(), !delivery.saves());
        if awaited.targets && over {
            self.step(Event::TargetsGone);
        } else if awaited != Awaited::default() {
            self.step(Event::Awaits(awaited));
        }
    }

    /// Returns the processes of the main mode, also after its end.
    fn main_tree(&self) -> Vec<Pid> {
        let (mut tree, started_sidecars) = (self.workload.tree(&self.helpers), self.started_sidecars.all());
        tree.retain(|pid| !started_sidecars.contains(pid));
        tree
    }

    /// Begins the next run, and names the processes that still hold GPU memory: the last run has none left, but a session may.
    fn begin_again(&mut self) {
        self.begin = true;
        if process::is_first() {
            self.name_gpu_users(&proc::pids());
        }
    }

    fn signal_tree(&mut self, signal: Signal) {
        if self.workload.is_gone() {
            self.name_gpu_users(&self.workload.tree(&self.helpers));
        }
        self.workload.signal_tree(signal, &self.helpers);
    }

    fn kill(&mut self) {
        self.name_gpu_users(&self.workload.tree(&self.helpers));
        self.workload.kill(&self.helpers);
    }

    /// Logs the processes that keep a GPU from the next job, each once.
    fn name_gpu_users(&mut self, among: &[Pid]) {
        let found = gpu_users::new_gpu_users(&Root::real(), among, &mut self.gpu_users);
        if !found.is_empty() {
            self.log().write(Level::Warn, &log_words::holding(&found));
        }
    }

    pub(super) fn log(&self) -> Log<'_> {
        Log::of(&self.state.policy.report)
    }

    fn name_left(&self, left: Option<Duration>) {
        let tree = self.workload.tree(&self.helpers);
        if !tree.is_empty() {
            self.log().write(Level::Info, &log_words::waiting_for(&tree, left));
        }
    }

    fn name_killed(&self) {
        let tree = self.workload.tree(&self.helpers);
        if !tree.is_empty() && !self.state.is_plain() {
            self.log().write(Level::Warn, &log_words::killed(&tree));
        }
    }

    /// Remembers the sender of the stop while it still exists.
    pub(super) fn remember_sender(&mut self) {
        if let (Some(stop), None) = (self.state.stop(), &self.stopped_by) {
            self.stopped_by = Some(log_words::asked_by(stop, self.state.reason()));
        }
    }

    fn release(&mut self, held: u64) {
        let caught = self.workload.catches(held);
        for signal in Signal::all().filter(|signal| signal.is_in(caught)) {
            self.workload.forward(signal, self.state.policy.signals.scope);
        }
        self.state.delivered(caught);
    }

    /// Has a helper write the end of the attempt to the history.
    fn write_end(&mut self, code: u8, over: bool, waiting: String) {
        self.remember_sender();
        let end = attempt_end::of(&self.state, code, over, self.now, self.stopped_by.clone(), &self.memory_kills);
        self.wanted.push(HelperTask::WriteEnd { waiting, end: Box::new(end) });
    }

    fn finish(&mut self, code: u8) {
        self.exit = Some(code);
        guarded(|| self.state_writer.close());
        if !self.accounted && !self.state.is_plain() {
            self.account(code);
        }
    }

    /// Writes how the run ended: to the log, and to the termination log for Kubernetes.
    fn account(&mut self, code: u8) {
        self.accounted = true;
        self.remember_sender();
        let (now, stopped_by) = (self.now, self.stopped_by.take());
        // The summary is made only if it is written.
        let ending = LazyCell::new(|| ExitSummary::of(&self.state, code, now, stopped_by, &self.memory_kills));
        // The reason of a failed preparation is in the log already, unless prepare was killed.
        let untold = self.state.ran() || self.state.stop().is_some();
        if self.state.prepare_killed().is_some() || untold && self.log().tells(Level::Warn) {
            self.log().end(&ending);
        }
        termination_log::log(|| self.state.refusal().map_or_else(|| ending.words(), str::to_owned));
    }
}
