//! What PID 1 knows and decides: `step` takes an event and the time, and answers with actions. Pure: no system call, no
//! clock of its own, so that every order of events can be tried in a test.

use super::outcome::{self, Account};
use super::stop::{Budget, Stop};
use crate::handover::{Kind, Meaning, Message, Phase, Policy};
use crate::sys::process::Ended;
use crate::sys::signal::{self, Arrived};
use std::ffi::c_int;
use std::time::Duration;

/// Time since PID 1 started; never goes back.
pub type Clock = Duration;

/// A moment for what was forked last to end by itself, or to set its traps, before it is told to (measured in two-lives).
const SETTLE: Duration = Duration::from_millis(100);
/// What installers and probes get between TERM and KILL when a stop comes before the workload runs.
const PREPARE_GRACE: Duration = Duration::from_secs(5);
/// A walk over the tree can miss a fork, so a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(200);
/// After so many kills what is left cannot be killed (it waits for a dead file system or driver): it is named and given up.
const KILLS: u32 = 15;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal arrived.
    Signal(Arrived),
    /// prepare said something.
    Said(Message),
    /// prepare's end of the handover is closed: by exec, or by its death.
    DoorClosed,
    /// The main process ended.
    MainEnded(Ended),
    /// Some other child ended.
    ChildEnded,
    /// The main process was stopped by job control.
    MainSuspended,
    /// There is no child any more.
    ChildrenGone,
    /// A deadline passed.
    Tick,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A signal for the main process, as it arrived.
    Forward(c_int),
    /// Signals that came before the workload was there: for those of them that it catches.
    Release(u64),
    /// The stop signal, to whom the policy says; once.
    Deliver {
        /// What is sent.
        number: c_int,
        /// trainit chose the number itself, so the target must be ready for it.
        chosen: bool,
    },
    /// TERM for what became our child since the stop was delivered.
    DeliverToOrphans,
    /// A signal for every descendant.
    Tree(c_int),
    /// SIGKILL for everything.
    Kill,
    /// A line for the person who reads the log.
    Say(Line),
    /// Job control stopped the workload: stop as well, so that the calling shell gets its terminal back.
    Suspend,
    /// The end.
    Exit(u8),
}

/// A line of PID 1's, as data; `tell` turns it into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A stop begins.
    Stopping(Stop),
    /// The same signal again; nothing changes.
    Again(c_int),
    /// Time for checkpoints is over: everything gets TERM.
    Escalating {
        /// Until SIGKILL.
        left: Duration,
    },
    /// The budget is used up.
    Killing,
    /// These could not be killed.
    GivenUp,
    /// `prepare.timeout` is over.
    PrepareTimeout(Duration),
    /// exec failed.
    CannotRun {
        /// What was looked up.
        name: String,
        /// Why.
        errno: i32,
    },
}

/// Where the main process is in its two lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Preparing,
    Running,
    Over(Ended),
}

/// Everything PID 1 decides from.
#[derive(Clone, Debug)]
pub struct State {
    /// How to supervise.
    pub policy: Policy,
    /// What prepare said it was doing.
    phase: Phase,
    life: Life,
    launching: Option<String>,
    exec_failed: bool,
    refused: Option<String>,
    /// A plain init: forwards 1:1 and means nothing by it.
    plain: bool,
    held: u64,
    stop: Option<Stop>,
    interrupts: u32,
    settle_at: Option<Clock>,
    term_at: Option<Clock>,
    kill_at: Option<Clock>,
    kills: u32,
    prepare_until: Option<Clock>,
    timed_out: bool,
    done: bool,
}

impl State {
    /// The child prepares first.
    pub fn preparing() -> Self {
        State {
            policy: Policy { drain: PREPARE_GRACE, ..Policy::default() },
            phase: Phase::Checking,
            life: Life::Preparing,
            launching: None,
            exec_failed: false,
            refused: None,
            plain: false,
            held: 0,
            stop: None,
            interrupts: 0,
            settle_at: None,
            term_at: None,
            kill_at: None,
            kills: 0,
            prepare_until: None,
            timed_out: false,
            done: false,
        }
    }

    /// The child executes the workload at once: an init and nothing else.
    pub fn plain(policy: Policy) -> Self {
        // Signals need not be held: until exec the child has all of them blocked, so what arrives stays pending for the workload.
        State { policy, plain: true, life: Life::Running, launching: Some(String::new()), ..Self::preparing() }
    }

    /// What to show as the phase.
    pub fn phase(&self) -> Phase {
        match self.life {
            _ if self.stop.is_some() => Phase::Stopping,
            Life::Preparing => self.phase,
            Life::Running => Phase::Running,
            Life::Over(_) => Phase::Ended,
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

    /// The stop in progress.
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// How the main process ended.
    pub fn ended(&self) -> Option<Ended> {
        match self.life {
            Life::Over(ended) => Some(ended),
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

    /// When to wake up even if nothing happens.
    pub fn deadline(&self) -> Option<Clock> {
        [self.settle_at, self.term_at, self.kill_at, self.prepare_until].into_iter().flatten().min()
    }

    /// The one entry: what happened, and when.
    pub fn step(&mut self, event: Event, now: Clock, act: &mut Vec<Action>) {
        match event {
            Event::Signal(arrived) => self.signal(arrived, now, act),
            Event::Said(message) => self.said(message, act),
            Event::DoorClosed => self.door_closed(act),
            Event::MainEnded(ended) => self.main_ended(ended, now, act),
            Event::MainSuspended => act.push(Action::Suspend),
            Event::ChildEnded if self.stop.is_some() && self.ended().is_some() => act.push(Action::DeliverToOrphans),
            Event::ChildEnded => {}
            Event::ChildrenGone => self.children_gone(act),
            Event::Tick => self.tick(now, act),
        }
    }

    fn signal(&mut self, mut arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        if let Some((_, to)) = self.policy.rewrite.iter().find(|(from, _)| *from == arrived.number) {
            arrived.number = *to;
        }
        let number = arrived.number;
        match self.meaning(number) {
            Meaning::Ignore => {}
            Meaning::Stop => self.stop_signal(arrived, now, act),
            // A workload that is not there yet cannot save; one that runs gets the signal itself.
            Meaning::Checkpoint | Meaning::Forward => match self.life {
                Life::Preparing => self.held |= signal::bit(number),
                Life::Running => act.push(Action::Forward(number)),
                Life::Over(_) => act.push(Action::Tree(number)),
            },
        }
    }

    /// What a signal means now. Before the workload runs, its policy for HUP does not count: HUP stops.
    fn meaning(&self, number: c_int) -> Meaning {
        if let Some((_, meaning)) = self.policy.on.iter().find(|(n, _)| *n == number) {
            return *meaning;
        }
        match number {
            0 | libc::SIGCHLD => Meaning::Ignore,
            _ if self.plain && self.policy.grace.is_none() => Meaning::Forward,
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => Meaning::Stop,
            libc::SIGPWR | SYSTEMD_HALT if !self.plain => Meaning::Stop,
            libc::SIGHUP if self.life == Life::Preparing && !self.plain => Meaning::Stop,
            libc::SIGHUP if self.policy.kind == Kind::Train && !self.plain => Meaning::Stop,
            _ => Meaning::Forward,
        }
    }

    fn stop_signal(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        if arrived.number == libc::SIGINT {
            self.interrupts += 1;
        }
        match self.stop {
            None if self.ended().is_some() => self.leave_at_once(arrived.number, now, act),
            None => self.begin_stop(arrived, now, act),
            Some(_) if arrived.number == libc::SIGINT => self.hurry(now, act),
            // Engines repeat SIGTERM (Slurm, a second `docker stop`): that must never cost a checkpoint.
            Some(_) => act.push(Action::Say(Line::Again(arrived.number))),
        }
    }

    fn begin_stop(&mut self, arrived: Arrived, now: Clock, act: &mut Vec<Action>) {
        let preparing = self.life == Life::Preparing;
        let grace = if preparing { Some(PREPARE_GRACE) } else { self.policy.grace };
        let number = super::stop::outgoing(self.policy.signal, arrived.number, self.plain);
        let stop = Stop { arrived, number, grace, at: now, preparing };
        self.stop = Some(stop);
        self.settle_at = None;
        self.budget(grace.map(|grace| Budget::of(now, grace)));
        if preparing {
            act.push(Action::Tree(libc::SIGTERM));
            // Nothing of a workload is lost yet, so TERM is not repeated: KILL comes next.
            self.term_at = None;
        } else {
            if !self.plain {
                act.push(Action::Say(Line::Stopping(stop)));
            }
            act.push(Action::Deliver { number, chosen: number != arrived.number && number != libc::SIGTERM });
        }
    }

    /// The workload had ended by itself; what is left of it need not be waited for any longer than usual.
    fn leave_at_once(&mut self, number: c_int, now: Clock, act: &mut Vec<Action>) {
        self.settle_at = None;
        self.kill_at.get_or_insert(now + self.policy.drain);
        act.push(Action::Tree(number));
    }

    fn budget(&mut self, budget: Option<Budget>) {
        self.term_at = budget.map(|budget| budget.term_at);
        self.kill_at = budget.map(|budget| budget.kill_at);
    }

    /// A person at a terminal presses Ctrl-C again: twice means now, thrice means kill.
    fn hurry(&mut self, now: Clock, act: &mut Vec<Action>) {
        match self.interrupts {
            0..=1 => act.push(Action::Say(Line::Again(libc::SIGINT))),
            2 => self.escalate(now, act),
            _ => self.kill_at = Some(now),
        }
        if self.kill_at == Some(now) {
            self.kill(now, act);
        }
    }

    fn escalate(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.term_at = None;
        let left = self.kill_at.map_or(Duration::MAX, |at| at.saturating_sub(now));
        act.push(Action::Say(Line::Escalating { left }));
        act.push(Action::Tree(libc::SIGTERM));
    }

    fn said(&mut self, message: Message, act: &mut Vec<Action>) {
        match message {
            Message::Policy(policy) => {
                self.prepare_until = policy.prepare_timeout;
                self.policy = *policy;
            }
            Message::Phase(phase) => self.phase = phase,
            Message::Refused(why) => self.refused = Some(why),
            Message::Launching(command) => {
                self.launching = Some(command);
                self.phase = Phase::Starting;
                self.prepare_until = None;
            }
            Message::Failed { errno, name } => {
                self.exec_failed = true;
                // prepare is still there and says it better, with a hint; an init's child has nothing to say it with.
                if self.plain {
                    act.push(Action::Say(Line::CannotRun { name, errno }));
                }
            }
        }
    }

    /// `launching`, then end of file, and still alive: the workload runs. Without `launching` it is a death, told by `MainEnded`.
    fn door_closed(&mut self, act: &mut Vec<Action>) {
        if self.life != Life::Preparing || self.launching.is_none() || self.exec_failed {
            return;
        }
        self.life = Life::Running;
        self.phase = Phase::Running;
        if self.held != 0 {
            act.push(Action::Release(std::mem::take(&mut self.held)));
        }
        if let Some(stop) = &mut self.stop {
            // The stop came a moment too late for prepare: what runs now is a workload, with a workload's budget.
            (stop.preparing, stop.grace) = (false, self.policy.grace);
            let budget = stop.grace.map(|grace| Budget::of(stop.at, grace));
            self.budget(budget);
        }
    }

    fn main_ended(&mut self, ended: Ended, now: Clock, act: &mut Vec<Action>) {
        let ran = self.life == Life::Running;
        self.life = Life::Over(ended);
        (self.prepare_until, self.held) = (None, 0);
        if self.stop.is_some() {
            act.push(Action::DeliverToOrphans);
        } else if ran {
            self.settle_at = Some(now + SETTLE);
        } else {
            act.push(Action::Tree(libc::SIGTERM));
            self.kill_at = Some(now + SETTLE);
        }
    }

    fn children_gone(&mut self, act: &mut Vec<Action>) {
        if !self.done {
            self.done = true;
            act.push(Action::Exit(self.code()));
        }
    }

    fn tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        let due = |at: Option<Clock>| at.is_some_and(|at| now >= at);
        if due(self.prepare_until) {
            self.prepare_timeout(now, act);
        }
        if due(self.settle_at) {
            self.settle_at = None;
            act.push(Action::Tree(libc::SIGTERM));
            self.kill_at = Some(now + self.policy.drain);
        }
        if due(self.term_at) && !due(self.kill_at) {
            self.escalate(now, act);
        }
        if due(self.kill_at) {
            self.kill(now, act);
        }
    }

    fn prepare_timeout(&mut self, now: Clock, act: &mut Vec<Action>) {
        let limit = self.prepare_until.take().unwrap_or_default();
        self.timed_out = true;
        act.push(Action::Say(Line::PrepareTimeout(limit)));
        act.push(Action::Tree(libc::SIGTERM));
        self.kill_at = Some(now + PREPARE_GRACE);
    }

    fn kill(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.term_at = None;
        self.kills += 1;
        if self.kills == 1 && self.ended().is_none() {
            act.push(Action::Say(Line::Killing));
        }
        if self.kills > KILLS {
            self.kill_at = None;
            act.push(Action::Say(Line::GivenUp));
            return self.children_gone(act);
        }
        self.kill_at = Some(now + KILL_AGAIN);
        act.push(Action::Kill);
    }

    fn code(&self) -> u8 {
        let account = Account {
            ended: self.ended(),
            ran: self.ran(),
            stop: self.stop,
            killed: self.killed(),
            timed_out: self.timed_out,
            plain: self.plain,
        };
        outcome::code(&account, &self.policy)
    }
}

/// What systemd sends to a container's init that it wants to halt: SIGRTMIN+3.
const SYSTEMD_HALT: c_int = 37;

#[cfg(test)]
mod tests;
