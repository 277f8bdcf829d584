//! The watchdog: notices that a running workload shows no progress any more.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::timers::{Timer, Timers};
use protocol::handover::{Heartbeat, OnHang, Watchdog};
use std::time::Duration;

/// Longest wait for the stacks in the log: a little more than the helper's own limit.
const DUMP_LIMIT: Duration = Duration::from_secs(16);

/// Time that a trainer's handler needs to write its stacks after its signal.
const AFTER_DUMP: Duration = Duration::from_millis(300);

/// Time from the signal that makes a hanging workload print its stacks and die, to SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(10);

/// The finding of the watchdog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HangVerdict {
    /// The workload showed no progress for too long.
    pub hung: bool,
    /// The workload is being ended for that.
    pub aborting: bool,
}

/// The last signs of life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ProgressWatch {
    pulse: Heartbeat,
    output: Clock,
    heartbeat: Clock,
    checkpoint: Clock,
    verdict: HangVerdict,
}

impl ProgressWatch {
    /// Starts to look, eight times within the shortest limit.
    pub(crate) fn arm(&mut self, limits: &Watchdog, timers: &mut Timers, now: Clock) {
        (self.output, self.heartbeat, self.checkpoint) = (now, now, now);
        timers.set(Timer::WatchdogLook, limits.shortest().map(|limit| now + pace(limit)));
    }

    /// Returns the finding so far.
    pub(crate) fn verdict(&self) -> HangVerdict {
        self.verdict
    }

    /// Notes that all stacks are logged.
    pub(crate) fn dumped(&self, timers: &mut Timers, now: Clock) {
        if timers.runs(Timer::WatchdogAbort) {
            timers.advance(Timer::WatchdogAbort, Some(now + AFTER_DUMP));
        }
    }

    /// Notes that a new checkpoint is complete.
    pub(crate) fn saved(&mut self, now: Clock) {
        self.checkpoint = now;
    }

    /// Handles the deadlines of the watchdog.
    pub(crate) fn tick(&mut self, limits: &Watchdog, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
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
        // A message reports each complete checkpoint, so that limit needs no helper.
        self.judge(&Watchdog { output: None, heartbeat: None, ..*limits }, limits, timers, now, act);
    }

    /// Takes the signs of life that a helper saw.
    pub(crate) fn seen(
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
        // Where the kernel does not count the written bytes, silence means nothing.
        if pulse.written.is_none() || pulse.written != self.pulse.written {
            self.output = now;
        }
        if pulse.heartbeat > self.pulse.heartbeat {
            self.heartbeat = now;
        }
        self.pulse = pulse;
    }

    /// Judges by some of the limits, and reacts as the whole policy says.
    fn judge(&mut self, by: &Watchdog, limits: &Watchdog, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        let Some((what, quiet)) = self.overdue(by, now) else { return };
        self.verdict.hung = true;
        act.push(Action::Say(LogEvent::Hangs { what, quiet }));
        act.push(Action::Dump);
        if limits.action == OnHang::Log {
            return self.arm(limits, timers, now);
        }
        // The stacks must be logged before the workload is ended.
        disarm(timers);
        timers.set(Timer::WatchdogAbort, now + DUMP_LIMIT);
    }

    /// Returns which sign of life has been missing for longer than its limit.
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

/// Stops looking.
pub(crate) fn disarm(timers: &mut Timers) {
    timers.stop(&[Timer::WatchdogLook, Timer::WatchdogAbort]);
}

fn pace(limit: Duration) -> Duration {
    (limit / 8).clamp(Duration::from_millis(100), Duration::from_secs(60))
}
