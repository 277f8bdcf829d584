//! The watchdog: notices that a workload that still runs does nothing any more.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::timers::{Timer, Timers};
use protocol::handover::{Heartbeat, OnHang, Watchdog};
use std::time::Duration;

/// By then stacks have been told, or never will be: a little more than what the helper may take.
const DUMP_LIMIT: Duration = Duration::from_secs(16);

/// A handler that tells stacks has been called; it needs a moment to write them.
const AFTER_DUMP: Duration = Duration::from_millis(300);

/// From the signal that makes a hanging workload tell its stacks and die, to SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(10);

/// What the watchdog has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HangVerdict {
    /// Nothing happened for too long.
    pub hung: bool,
    /// The workload was told to end because of that.
    pub aborting: bool,
}

/// The last signs of life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProgressWatch {
    pulse: Heartbeat,
    output: Clock,
    heartbeat: Clock,
    checkpoint: Clock,
    verdict: HangVerdict,
}

impl ProgressWatch {
    /// Looks from now on, eight times within the shortest limit.
    pub fn arm(&mut self, limits: &Watchdog, timers: &mut Timers, now: Clock) {
        (self.output, self.heartbeat, self.checkpoint) = (now, now, now);
        timers.set(Timer::WatchdogLook, limits.shortest().map(|limit| now + pace(limit)));
    }

    /// Returns what was found so far.
    pub fn verdict(&self) -> HangVerdict {
        self.verdict
    }

    /// Notes that all stacks are logged.
    pub fn dumped(&self, timers: &mut Timers, now: Clock) {
        if timers.runs(Timer::WatchdogAbort) {
            timers.advance(Timer::WatchdogAbort, Some(now + AFTER_DUMP));
        }
    }

    /// Notes that a new checkpoint is complete.
    pub fn saved(&mut self, now: Clock) {
        self.checkpoint = now;
    }

    /// Lets time pass.
    pub fn tick(&mut self, limits: &Watchdog, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        if timers.is_due(Timer::WatchdogAbort, now) {
            self.abort(timers, now, act);
        }
        if !timers.is_due(Timer::WatchdogLook, now) {
            return;
        }
        timers.set(Timer::WatchdogLook, limits.shortest().map(|limit| now + pace(limit)));
        if limits.output.is_some() || limits.heartbeat.is_some() {
            act.push(Action::Pulse);
        }
        // A helper says when a checkpoint is complete; that limit needs no look.
        self.judge(&Watchdog { output: None, heartbeat: None, ..*limits }, limits, timers, now, act);
    }

    /// Takes what a helper saw.
    pub fn seen(
        &mut self,
        pulse: Heartbeat,
        limits: &Watchdog,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) {
        self.take(pulse, now);
        if timers.runs(Timer::WatchdogLook) {
            self.judge(limits, limits, timers, now, act);
        }
    }

    fn take(&mut self, pulse: Heartbeat, now: Clock) {
        // Where the kernel does not tell what they write, silence means nothing.
        if pulse.written.is_none() || pulse.written != self.pulse.written {
            self.output = now;
        }
        if pulse.heartbeat > self.pulse.heartbeat {
            self.heartbeat = now;
        }
        self.pulse = pulse;
    }

    /// Judges by some of the limits, and answers as all of them say.
    fn judge(&mut self, by: &Watchdog, limits: &Watchdog, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        let Some((what, quiet)) = self.overdue(by, now) else { return };
        self.verdict.hung = true;
        act.push(Action::Say(LogEvent::Hangs { what, quiet }));
        act.push(Action::Dump);
        if limits.action == OnHang::Log {
            return self.arm(limits, timers, now);
        }
        // What it is doing must be seen before it is ended.
        disarm(timers);
        timers.set(Timer::WatchdogAbort, now + DUMP_LIMIT);
    }

    /// Returns what has been quiet for longer than it may be.
    fn overdue(&self, limits: &Watchdog, now: Clock) -> Option<(&'static str, Duration)> {
        let signs = [
            ("no process has written anything", limits.output, self.output),
            ("the heartbeat file has not been touched", limits.heartbeat, self.heartbeat),
            ("no new checkpoint is complete", limits.checkpoint, self.checkpoint),
        ];
        let quiet = |since: Clock| now.saturating_sub(since);
        let over = signs.into_iter().find(|(_, limit, since)| limit.is_some_and(|limit| quiet(*since) >= limit));
        over.map(|(what, _, since)| (what, quiet(since)))
    }

    fn abort(&mut self, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        disarm(timers);
        self.verdict.aborting = true;
        timers.set(Timer::Kill, now + ABORT_GRACE);
        act.push(Action::Say(LogEvent::Aborting(ABORT_GRACE)));
        act.push(Action::Abort);
    }
}

/// Looks no more.
pub fn disarm(timers: &mut Timers) {
    timers.stop(&[Timer::WatchdogLook, Timer::WatchdogAbort]);
}

fn pace(limit: Duration) -> Duration {
    (limit / 8).clamp(Duration::from_millis(100), Duration::from_secs(60))
}
