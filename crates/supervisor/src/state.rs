//! What PID 1 knows and decides: `step` takes an event and the time, and returns actions.
//!
//! Pure: no system call and no clock of its own, so that a test can try every order of events. The stop protocol, checkpoints, restarts,
//! the watchdog and the other parts know neither each other nor this file. Each gets its part of the policy and the timers, and this file
//! acts on what a part returns.

mod end;
mod history;
mod mirror;
mod stop;
mod view;

use super::action::Action;
use super::checkpoint_requests::CheckpointRequests;
use super::clock::Clock;
use super::event::Event;
use super::idle_shutdown::{self, Usage};
use super::life::{Life, Preparing, Question, Running};
use super::log_event::LogEvent;
use super::restart::RestartState;
use super::sidecars::Sidecars;
use super::signal_policy;
use super::stop_protocol::{PREPARE_GRACE, StopProtocol};
use super::timers::{Timer, Timers};
use protocol::handover::{
    HelperTask, Message, MirrorState, Phase, Policy, SavedCheckpoint, SignalMeaning, StopPolicy, WorkloadKind,
};
use sys::Signal;
use sys::signal::Arrived;

/// Everything that PID 1 decides from.
#[derive(Clone, Debug)]
pub struct State {
    /// How to supervise.
    pub policy: Policy,
    /// The number of this start, from 1.
    pub attempt: u32,
    life: Life,
    timers: Timers,
    stop: StopProtocol,
    checkpoints: CheckpointRequests,
    restarts: RestartState,
    sidecars: Sidecars,
    /// When this start began.
    since: Clock,
    /// The workload's command line, once it is known.
    command: Option<String>,
    /// Why prepare gave up.
    refusal: Option<String>,
    /// Requirements that this start did not install.
    left_alone: Option<String>,
    /// What reaches the workload's server.
    serves_at: Option<String>,
    /// Lines of the history that wait for a first checkpoint.
    history_waits: String,
    /// What of the checkpoints is in the mirror.
    mirror: MirrorState,
    /// PID 1 is a plain init.
    plain: bool,
    /// The end is decided.
    done: bool,
}

impl State {
    /// Makes the state of a child that prepares first.
    pub fn preparing() -> Self {
        let stop = StopPolicy { drain: PREPARE_GRACE, ..StopPolicy::default() };
        State {
            policy: Policy { stop, ..Policy::default() },
            attempt: 1,
            life: Life::Preparing(Preparing::default()),
            timers: Timers::default(),
            stop: StopProtocol::default(),
            checkpoints: CheckpointRequests::default(),
            restarts: RestartState::default(),
            sidecars: Sidecars::default(),
            since: Clock::ZERO,
            command: None,
            refusal: None,
            left_alone: None,
            serves_at: None,
            history_waits: String::new(),
            mirror: MirrorState::default(),
            plain: false,
            done: false,
        }
    }

    /// Makes the state of a plain init, whose child executes the workload at once.
    ///
    /// Signals need not be kept: the child has all of them blocked until exec, so an arriving signal stays pending for the workload.
    pub fn plain(policy: Policy) -> Self {
        let life = Life::Running(Running::default());
        State { policy, plain: true, life, command: Some(String::new()), ..Self::preparing() }
    }

    /// Returns the state for the next start, without what belonged to one run.
    fn renewed(&self, now: Clock) -> Self {
        State {
            since: now,
            policy: self.policy.clone(),
            attempt: self.attempt + 1,
            checkpoints: self.checkpoints.renewed(),
            restarts: self.restarts.clone(),
            history_waits: self.history_waits.clone(),
            mirror: MirrorState { newest: self.mirror.newest.clone(), ..MirrorState::default() },
            ..Self::preparing()
        }
    }

    /// Returns when PID 1 wakes up even without an event.
    pub fn deadline(&self) -> Option<Clock> {
        self.timers.next()
    }

    /// Removes signals that waited for handlers and were delivered.
    pub fn delivered(&mut self, signals: u64) {
        if let Life::Running(running) = &mut self.life {
            running.pending.delivered(signals, &mut self.timers);
        }
    }

    /// Takes an event and its time, and adds the actions that follow. This is the only entry.
    pub fn step(&mut self, event: Event, now: Clock, act: &mut Vec<Action>) {
        match event {
            Event::Signal(arrived) => self.signal(arrived, now, act),
            Event::Said(message) => self.said(message, now, act),
            Event::HandoverClosed => self.handover_closed(now, act),
            Event::MemoryRanOut => self.with_preparing(|preparing| preparing.memory_ran_out = true),
            Event::MainEnded(ended) => self.main_ended(ended, now, act),
            Event::SaveRequested => self.asked_from_inside(now, act),
            Event::NoHandler(signal) => self.not_asked(signal, act),
            Event::ChildEnded if self.stop.is_asked() && self.ended().is_some() => act.push(Action::DeliverToOrphans),
            Event::ChildEnded => {}
            Event::SidecarEnded(index, ended) => {
                let wanted = self.has_sidecars().then_some(self.policy.sidecars.as_slice());
                self.sidecars.ended((index, ended), wanted, &mut self.timers, now, act);
            }
            Event::Awaits(awaited) => StopProtocol::awaits(awaited, &mut self.timers, now),
            Event::TargetsGone => StopProtocol::targets_gone(&mut self.timers, now),
            Event::OnlyHelpers => self.only_helpers(now, act),
            Event::ChildrenGone => self.children_gone(now, act),
            Event::Tick => self.tick(now, act),
        }
    }

    fn with_preparing(&mut self, change: impl FnOnce(&mut Preparing)) {
        if let Life::Preparing(preparing) = &mut self.life {
            change(preparing);
        }
    }

    fn signal(&mut self, mut arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let Some(signal) = signal_policy::rewritten(&self.policy.signals, arrived.signal) else { return };
        arrived.signal = signal;
        match self.meaning(arrived.signal) {
            SignalMeaning::Ignore => {}
            SignalMeaning::Stop => self.stop_signal(arrived, now, act),
            SignalMeaning::Checkpoint => drop(self.save_requested(Some(arrived.signal), now, act)),
            SignalMeaning::Forward => self.forward(arrived.signal, act),
        }
    }

    fn forward(&mut self, signal: Signal, act: &mut Vec<Action>) {
        match &mut self.life {
            Life::Preparing(preparing) => preparing.pending.keep(signal),
            Life::Running(_) => act.push(Action::Forward(signal)),
            Life::Draining(_) => act.push(Action::Tree(signal)),
            Life::BackOff(_) | Life::Held(_) => {}
        }
    }

    /// Returns the current meaning of a signal; HUP stops in every mode as long as there is no workload to forward it to.
    fn meaning(&self, signal: Signal) -> SignalMeaning {
        // SIGCHLD is PID 1's own.
        if signal == Signal::CHLD {
            return SignalMeaning::Ignore;
        }
        if let Some(meaning) = signal_policy::meaning(&self.policy.signals, signal) {
            return meaning;
        }
        match signal {
            _ if self.plain && self.policy.stop.grace.is_none() => SignalMeaning::Forward,
            Signal::TERM | Signal::INT | Signal::QUIT => SignalMeaning::Stop,
            Signal::PWR | Signal::SYSTEMD_HALT if !self.plain => SignalMeaning::Stop,
            Signal::HUP if matches!(self.life, Life::Preparing(_) | Life::Held(_)) && !self.plain => {
                SignalMeaning::Stop
            }
            Signal::HUP if self.policy.kind == WorkloadKind::Train && !self.plain => SignalMeaning::Stop,
            _ => SignalMeaning::Forward,
        }
    }

    fn said(&mut self, message: Message, now: Clock, act: &mut Vec<Action>) {
        match message {
            Message::Policy(policy) => self.take_policy(*policy, now),
            Message::Phase(phase) => self.with_preparing(|preparing| preparing.phase = phase),
            Message::Staged(bytes) => self.with_preparing(|preparing| preparing.staged = Some(bytes)),
            Message::Refused(why) => self.refusal = Some(why),
            Message::Failing(code) if self.stop.is_asked() || code == 0 => {}
            Message::Failing(code) => self.policy.exit.stop_code = Some(code),
            Message::LeftAlone(what) => self.left_alone = Some(what),
            Message::ServesAt(address) => self.serves_at = Some(address),
            Message::Launching(command) => {
                self.command = Some(command);
                self.with_preparing(|preparing| preparing.phase = Phase::Starting);
                self.timers.set(Timer::PrepareTimeout, None);
            }
            // prepare still runs and logs the failure itself, with a hint.
            Message::Failed { .. } => self.with_preparing(|preparing| preparing.exec_failed = true),
            Message::Saved(saved) => self.saved(saved, now, act),
            Message::Answer(yes) => {
                if let Life::Draining(draining) = &mut self.life {
                    draining.done_file = Question::Answered(yes);
                }
            }
            Message::Answers(answer) => self.answered(answer, now, act),
            Message::HistoryWaits(lines) => self.history_waits(&lines),
            Message::HistoryFailed => self.policy.history = None,
            Message::Note(text) => act.push(Action::Say(LogEvent::Note(text))),
            Message::Mirror(mirror) => self.mirror = mirror,
            Message::Notice(notice) => self.stop_by_notice(notice, now, act),
            Message::Pulse(_) | Message::Dumped | Message::Use(_) => self.workload_seen(message, now, act),
        }
    }

    fn take_policy(&mut self, policy: Policy, now: Clock) {
        if self.stop.is_asked() {
            self.timers.stop(&[Timer::PrepareTimeout, Timer::Lifetime]);
        } else {
            self.timers.set(Timer::PrepareTimeout, policy.prepare_timeout.map(|limit| now + limit));
            idle_shutdown::lifetime_begins(&policy.idle, &mut self.timers, now);
        }
        self.policy = policy;
    }

    /// Takes what a helper saw of the workload, which may have ended since.
    fn workload_seen(&mut self, message: Message, now: Clock, act: &mut Vec<Action>) {
        let (Life::Running(running), timers) = (&mut self.life, &mut self.timers) else { return };
        let why = match message {
            Message::Pulse(pulse) => {
                running.watch.seen(pulse, &self.policy.watchdog, timers, now, act);
                None
            }
            Message::Dumped => {
                running.watch.dumped(timers, now);
                None
            }
            Message::Use(seen) => running.usage.seen(&seen, &self.policy.idle, timers, now, act),
            _ => None,
        };
        if let Some(reason) = why {
            self.stop_by_ourselves(reason, now, act);
        }
    }

    /// Takes the end of the handover: after `launching`, and with the child alive, the workload runs.
    ///
    /// Without `launching` the child has died, which `MainEnded` reports.
    fn handover_closed(&mut self, now: Clock, act: &mut Vec<Action>) {
        let pending = match &self.life {
            Life::Preparing(preparing) if self.command.is_some() && !preparing.exec_failed => preparing.pending,
            _ => return,
        };
        let mut running = Running { since: now, pending, ..Running::default() };
        self.restarts.begin();
        running.watch.arm(&self.policy.watchdog, &mut self.timers, now);
        if self.policy.checkpoint.watched.is_some() {
            act.push(Action::Send(HelperTask::Watch));
        }
        act.extend(self.policy.mirror.as_ref().map(|_| Action::Send(HelperTask::Mirror)));
        running.pending.begin(&mut self.timers, now);
        if self.stop.is_asked() {
            self.stop_reaches_workload(act);
        } else {
            running.usage = Usage::begin(&self.policy.idle, &mut self.timers, now);
            act.extend(self.awaited_service().map(Action::Send));
            act.extend(self.policy.preempt.as_ref().map(|_| Action::Send(HelperTask::Preemption)));
            self.sidecars.begin(self.policy.sidecars.len(), now, act);
        }
        self.life = Life::Running(running);
    }

    /// Returns the task of a helper that waits for the workload's service, if anybody is going to be told.
    fn awaited_service(&self) -> Option<HelperTask> {
        let within = self.policy.ready_timeout.filter(|_| self.serves_at.is_some() && self.policy.service.is_some());
        within.map(|within| HelperTask::AwaitService { within })
    }

    /// Logs once that the service answers, or that it does not; a workload that stops or has ended has no address any more.
    fn answered(&self, answer: Result<(), String>, now: Clock, act: &mut Vec<Action>) {
        let (Life::Running(running), Some(address)) = (&self.life, &self.serves_at) else { return };
        if !self.stop.is_asked() {
            let after = now.saturating_sub(running.since);
            act.push(Action::Say(match answer {
                Ok(()) => LogEvent::Ready { address: address.clone(), after },
                Err(why) => LogEvent::NotReady { why, after },
            }));
        }
    }

    /// Takes a request for a checkpoint from inside the container, and counts it so that the asking side sees the result.
    fn asked_from_inside(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.checkpoints.asks += 1;
        if !self.save_requested(None, now, act) {
            self.checkpoints.refusals += 1;
        }
    }

    fn save_requested(&mut self, signal: Option<Signal>, now: Clock, act: &mut Vec<Action>) -> bool {
        let may = self.is_running() && !self.stop.is_asked();
        may && self.checkpoints.request(signal, &self.policy.checkpoint, &mut self.timers, now, act)
    }

    fn saved(&mut self, saved: SavedCheckpoint, now: Clock, act: &mut Vec<Action>) {
        if self.checkpoints.saved(saved, self.is_running(), &mut self.timers, now, act) {
            self.write_what_waits(act);
            self.restarts.progressed();
            if let Life::Running(running) = &mut self.life {
                running.watch.saved(now);
            }
        }
    }

    fn tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.preparing_tick(now, act);
        self.settle_tick(now, act);
        self.pending_tick(now, act);
        self.checkpoints_tick(now, act);
        self.workload_tick(now, act);
        self.end_tick(now, act);
        self.upload_tick(now, act);
        if self.timers.take_due(Timer::Restart, now) {
            *self = self.renewed(now);
            act.push(Action::Begin);
        }
    }

    fn pending_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if let Life::Running(running) = &mut self.life {
            act.extend(running.pending.tick(&mut self.timers, now).map(Action::Release));
        }
    }

    fn checkpoints_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        let unsaved = self.is_running() && self.saved_nothing_since_stop();
        let unsaved = self.stop.plan().filter(|_| unsaved);
        if self.checkpoints.tick(unsaved, &mut self.timers, now, act) {
            self.deliver(act);
        }
    }

    /// Handles the deadlines of the watchdog, the sidecars and the look at the container's use.
    fn workload_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if let Life::Running(running) = &mut self.life {
            running.watch.tick(&self.policy.watchdog, &mut self.timers, now, act);
        }
        self.sidecars.tick(&mut self.timers, now, act);
        let ends = self.stop.is_asked() || matches!(self.life, Life::Draining(_));
        if let Some(reason) = idle_shutdown::lifetime_tick(&self.policy.idle, ends, &mut self.timers, now, act) {
            self.stop_by_ourselves(reason, now, act);
        }
        if let Life::Running(running) = &mut self.life {
            running.usage.tick(&self.policy.idle, &mut self.timers, now, act);
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
