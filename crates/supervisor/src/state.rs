//! What PID 1 knows and decides: `step` takes an event and the time, and answers with actions. Pure: no system call, no clock of
//! its own, so that every order of events can be tried in a test. The stop protocol, checkpoints, restarts and the watchdog are
//! parts of it with a file each.

use super::action::Action;
use super::clock::{Clock, Times, due};
use super::event::Event;
use super::idle_shutdown::Usage;
use super::killed_preparation::KilledPreparation;
use super::life::Life;
use super::log_event::LogEvent;
use super::sidecars::Sidecars;
use super::stop_plan::{Reason, StopPlan};
use protocol::handover::{
    HelperTask, Message, Phase, Policy, SavedCheckpoint, SignalMeaning, StopPolicy, WorkloadKind,
};
use std::ffi::c_int;
use std::time::Duration;
use sys::process::Ended;
use sys::signal::Arrived;

/// A moment for what was forked last to end by itself, or to set its traps, before it is told to (measured in two-lives).
const SETTLE: Duration = Duration::from_millis(100);

/// What systemd sends to a container's init that it wants to halt: SIGRTMIN+3.
const SYSTEMD_HALT: c_int = 37;

/// Everything PID 1 decides from.
#[derive(Clone, Debug)]
pub struct State {
    /// How to supervise.
    pub policy: Policy,
    /// Which start this is, from 1.
    pub attempt: u32,
    /// The newest complete checkpoint that is known.
    pub saved: Option<SavedCheckpoint>,
    /// The watchdog found that nothing happens any more.
    pub hung: bool,
    /// How often somebody in the container has asked for a checkpoint.
    pub asks: u32,
    /// How often that came to nothing at once.
    pub refusals: u32,
    pub(super) life: Life,
    since: Clock,
    phase: Phase,
    launching: Option<String>,
    exec_failed: bool,
    refused: Option<String>,
    memory_ran_out: bool,
    pub(super) kill_reported: bool,
    prepare_killed: Option<KilledPreparation>,
    plain: bool,
    pub(super) held: super::pending_signals::PendingSignals,
    pub(super) stop: Option<StopPlan>,
    pub(super) interrupts: u32,
    pub(super) settle_at: Option<Clock>,
    pub(super) term_at: Option<Clock>,
    pub(super) kill_at: Option<Clock>,
    /// Whom a stop still waits for is told.
    pub(super) name_at: Option<Clock>,
    pub(super) kills: u32,
    pub(super) hold_until: Option<Clock>,
    prepare_until: Option<Clock>,
    pub(super) timed_out: bool,
    pub(super) saving: super::checkpoint_requests::Saving,
    pub(super) again: super::restart::RestartState,
    pub(super) watch: super::watchdog::ProgressWatch,
    pub(super) sidecars: Sidecars,
    pub(super) usage: Usage,
    /// The next warning of `lifetime`, or its end.
    pub(super) lifetime_at: Option<Clock>,
    /// Why PID 1 asked for the stop by itself.
    pub(super) reason: Option<Reason>,
    /// `stop.done_file` was asked for, and the answer.
    pub(super) complete: Option<Option<bool>>,
    /// `hooks.after_stop` ran, or run now.
    pub(super) hooked: bool,
    pub(super) done: bool,
    /// When the workload's main process ended.
    over_at: Option<Clock>,
}

impl State {
    /// The child prepares first.
    pub fn preparing() -> Self {
        State {
            policy: Policy {
                stop: StopPolicy { drain: super::stop_protocol::PREPARE_GRACE, ..StopPolicy::default() },
                ..Policy::default()
            },
            attempt: 1,
            saved: None,
            hung: false,
            asks: 0,
            refusals: 0,
            life: Life::Preparing,
            since: Clock::ZERO,
            phase: Phase::Configuring,
            launching: None,
            exec_failed: false,
            refused: None,
            memory_ran_out: false,
            kill_reported: false,
            prepare_killed: None,
            plain: false,
            held: Default::default(),
            stop: None,
            interrupts: 0,
            settle_at: None,
            term_at: None,
            kill_at: None,
            name_at: None,
            kills: 0,
            hold_until: None,
            prepare_until: None,
            timed_out: false,
            saving: Default::default(),
            again: Default::default(),
            watch: Default::default(),
            sidecars: Default::default(),
            usage: Default::default(),
            lifetime_at: None,
            reason: None,
            complete: None,
            hooked: false,
            done: false,
            over_at: None,
        }
    }

    /// The child executes the workload at once: an init and nothing else. Signals need not be held: until exec the child has all of
    /// them blocked, so what arrives stays pending for the workload.
    pub fn plain(policy: Policy) -> Self {
        State { policy, plain: true, life: Life::Running, launching: Some(String::new()), ..Self::preparing() }
    }

    /// For the next start: what belonged to one run is forgotten.
    pub(super) fn renewed(&self, now: Clock) -> Self {
        State {
            since: now,
            policy: self.policy.clone(),
            attempt: self.attempt + 1,
            saved: self.saved.clone(),
            asks: self.asks,
            refusals: self.refusals,
            again: self.again.clone(),
            ..Self::preparing()
        }
    }

    /// What to show as the phase.
    pub fn phase(&self) -> Phase {
        match self.life {
            _ if self.stop.is_some() => Phase::Stopping,
            Life::Preparing => self.phase,
            Life::Running if self.saving.is_asked() => Phase::Checkpointing,
            Life::Running => Phase::Running,
            Life::Over(_) => Phase::Stopping,
            Life::Between(_) => Phase::Starting,
            Life::Held(_) => Phase::Holding,
        }
    }

    /// The command line that runs, once it is known.
    pub fn command(&self) -> Option<&str> {
        self.launching.as_deref()
    }

    /// Why prepare gave up, if it did.
    pub fn refusal(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// That prepare was killed, if it was.
    pub fn prepare_killed(&self) -> Option<&KilledPreparation> {
        self.prepare_killed.as_ref()
    }

    /// Whether the main process still prepares.
    pub fn is_preparing(&self) -> bool {
        self.life == Life::Preparing
    }

    /// Why PID 1 asked for it by itself.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The stop in progress.
    pub fn stop(&self) -> Option<&StopPlan> {
        self.stop.as_ref()
    }

    /// How the main process ended.
    pub fn ended(&self) -> Option<Ended> {
        match self.life {
            Life::Over(ended) | Life::Between(ended) | Life::Held(ended) => Some(ended),
            _ => None,
        }
    }

    /// Whether the workload itself ever ran.
    pub fn ran(&self) -> bool {
        self.launching.is_some() && !self.exec_failed && self.life != Life::Preparing
    }

    /// Whether trainit had to kill.
    pub fn killed(&self) -> bool {
        self.kills > 0
    }

    /// Whether this is an init and nothing else.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// How long each part took so far.
    pub fn times(&self, now: Clock) -> Times {
        let began = self.again.began_at();
        let stopped = self.stop.map(|stop| stop.at);
        let ended = [stopped, self.over_at].into_iter().flatten().min();
        Times {
            prepared: began.or(ended).unwrap_or(now).saturating_sub(self.since),
            ran: began.map_or(Clock::ZERO, |began| ended.unwrap_or(now).saturating_sub(began)),
            stopping: stopped.map(|stopped| now.saturating_sub(stopped)),
        }
    }

    /// From now on it is being stopped; preparing has no other deadline then.
    pub(super) fn begin_stop(&mut self, stop: StopPlan) {
        (self.stop, self.prepare_until) = (Some(stop), None);
        self.sidecars.settle();
        self.usage.disarm();
        self.lifetime_at = None;
    }

    /// When to wake up even if nothing happens.
    pub fn deadline(&self) -> Option<Clock> {
        let own = [self.settle_at, self.term_at, self.kill_at, self.name_at, self.prepare_until, self.hold_until];
        let parts = [self.held.deadline(), self.saving.deadline(), self.again.deadline(), self.watch.deadline()];
        let more = [self.sidecars.deadline(), self.usage.deadline(), self.lifetime_at];
        own.into_iter().chain(parts).chain(more).flatten().min()
    }

    /// The one entry: what happened, and when.
    pub fn step(&mut self, event: Event, now: Clock, act: &mut Vec<Action>) {
        match event {
            Event::Signal(arrived) => self.signal(arrived, now, act),
            Event::Said(message) => self.said(message, now, act),
            Event::DoorClosed => self.door_closed(now, act),
            Event::MemoryRanOut => self.memory_ran_out = true,
            Event::MainEnded(ended) => self.main_ended(ended, now, act),
            Event::SaveRequested => self.asked_from_inside(now, act),
            Event::NobodyReady(number) => self.nobody_ready(number, act),
            Event::ChildEnded if self.stop.is_some() && self.ended().is_some() => act.push(Action::DeliverToOrphans),
            Event::ChildEnded => {}
            Event::CompanionEnded(index, ended) => self.sidecar_ended(index, ended, now, act),
            Event::OnlyErrands => act.push(Action::EndErrands),
            Event::ChildrenGone => self.children_gone(now, act),
            Event::Tick => self.tick(now, act),
        }
    }

    fn signal(&mut self, mut arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        if let Some((_, to)) = self.policy.signals.rewrite.iter().find(|(from, _)| *from == arrived.number) {
            arrived.number = *to;
        }
        match self.meaning(arrived.number) {
            SignalMeaning::Ignore => {}
            SignalMeaning::Stop => self.stop_signal(arrived, now, act),
            SignalMeaning::Checkpoint => drop(self.save_requested(Some(arrived.number), now, act)),
            SignalMeaning::Forward => self.forward(arrived.number, act),
        }
    }

    fn forward(&mut self, number: c_int, act: &mut Vec<Action>) {
        match self.life {
            Life::Preparing => self.held.keep(number),
            Life::Running => act.push(Action::Forward(number)),
            Life::Over(_) => act.push(Action::Tree(number)),
            Life::Between(_) | Life::Held(_) => {}
        }
    }

    /// What a signal means now. HUP stops whatever the mode is while nothing is there to forward it to.
    fn meaning(&self, number: c_int) -> SignalMeaning {
        // SIGCHLD is PID 1's own.
        if [0, libc::SIGCHLD].contains(&number) {
            return SignalMeaning::Ignore;
        }
        if let Some((_, meaning)) = self.policy.signals.on.iter().find(|(n, _)| *n == number) {
            return *meaning;
        }
        match number {
            _ if self.plain && self.policy.stop.grace.is_none() => SignalMeaning::Forward,
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => SignalMeaning::Stop,
            libc::SIGPWR | SYSTEMD_HALT if !self.plain => SignalMeaning::Stop,
            libc::SIGHUP if matches!(self.life, Life::Preparing | Life::Held(_)) && !self.plain => SignalMeaning::Stop,
            libc::SIGHUP if self.policy.kind == WorkloadKind::Train && !self.plain => SignalMeaning::Stop,
            _ => SignalMeaning::Forward,
        }
    }

    fn said(&mut self, message: Message, now: Clock, act: &mut Vec<Action>) {
        match message {
            Message::Policy(policy) => {
                self.prepare_until = policy.prepare_timeout.filter(|_| self.stop.is_none()).map(|limit| now + limit);
                self.policy = *policy;
                self.lifetime_begins(now);
            }
            Message::Phase(phase) => self.phase = phase,
            Message::Refused(why) => self.refused = Some(why),
            Message::Launching(command) => {
                self.launching = Some(command);
                self.phase = Phase::Starting;
                self.prepare_until = None;
            }
            // prepare is still there and tells it, with a hint.
            Message::Failed { .. } => self.exec_failed = true,
            Message::Saved(saved) => self.saved(saved, now, act),
            Message::Pulse(pulse) => self.pulse(pulse, now, act),
            Message::Answer(yes) => self.complete = Some(Some(yes)),
            Message::Note(text) => act.push(Action::Say(LogEvent::Note(text))),
            Message::Dumped => self.watch.dumped(now),
            Message::Use(seen) => self.looked_for_use(&seen, now, act),
        }
    }

    /// `launching`, then end of file, and still alive: the workload runs. Without `launching` it is a death, told by `MainEnded`.
    fn door_closed(&mut self, now: Clock, act: &mut Vec<Action>) {
        if self.life != Life::Preparing || self.launching.is_none() || self.exec_failed {
            return;
        }
        self.life = Life::Running;
        self.phase = Phase::Running;
        self.again.began(now);
        self.watch.arm(&self.policy.watchdog, now);
        if self.policy.checkpoint.watched.is_some() {
            act.push(Action::Send(HelperTask::Watch));
        }
        self.held.begin(now);
        self.stop_reaches_workload(act);
        if self.stop.is_none() {
            self.usage_begins(now);
            self.sidecars_begin(now, act);
        }
    }

    fn main_ended(&mut self, ended: Ended, now: Clock, act: &mut Vec<Action>) {
        let ran = self.life == Life::Running;
        if self.is_preparing() && self.stop.is_none() && !self.timed_out {
            self.prepare_killed = KilledPreparation::of(ended, self.phase, self.memory_ran_out);
        }
        self.life = Life::Over(ended);
        (self.prepare_until, self.hold_until, self.over_at) = (None, None, Some(now));
        self.held.forget();
        self.watch.disarm();
        self.saving.forget();
        self.sidecars_drain(now);
        self.usage.disarm();
        if self.stop.is_some() {
            self.stopped_main_ended(now, act);
        } else if ran {
            self.settle_at = Some(now + SETTLE);
        } else {
            act.push(Action::Tree(libc::SIGTERM));
            self.kill_at = Some(now + SETTLE);
        }
    }

    fn tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.prepare_until, now) {
            let limit = self.prepare_until.take().unwrap_or_default();
            self.prepare_timed_out(limit, now, act);
        }
        if due(self.settle_at, now) {
            self.settle_at = None;
            act.push(Action::Tree(libc::SIGTERM));
            self.kill_at = Some(now + self.policy.stop.drain);
        }
        if let Some(held) = self.held.look(now) {
            act.push(Action::Release(held));
        }
        self.saving_tick(now, act);
        self.watch_tick(now, act);
        self.sidecars_tick(now, act);
        self.idle_tick(now, act);
        self.stop_tick(now, act);
        self.holding_tick(now, act);
        if self.again.is_due(now) {
            *self = self.renewed(now);
            act.push(Action::Begin);
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
