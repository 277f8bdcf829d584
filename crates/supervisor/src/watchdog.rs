//! The watchdog: notices that a workload that still runs does nothing any more.

use super::action::Action;
use super::clock::{Clock, due};
use super::log_event::LogEvent;
use super::state::State;
use protocol::handover::{Heartbeat, OnHang, Watchdog};
use std::time::Duration;

/// By then stacks have been told, or never will be: a little more than what the errand may take.
const DUMP_LIMIT: Duration = Duration::from_secs(16);

/// A handler that tells stacks has been called; it needs a moment to write them.
const AFTER_DUMP: Duration = Duration::from_millis(300);

/// From the signal that makes a hanging workload tell its stacks and die, to SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(10);

/// The last signs of life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ProgressWatch {
    look_at: Option<Clock>,
    pulse: Heartbeat,
    output: Clock,
    heartbeat: Clock,
    checkpoint: Clock,
    /// Stacks are being told; then it is ended.
    abort_at: Option<Clock>,
    /// It was told to end because it hangs.
    aborting: bool,
}

impl ProgressWatch {
    /// From now on somebody looks, eight times within the shortest limit.
    pub fn arm(&mut self, limits: &Watchdog, now: Clock) {
        (self.output, self.heartbeat, self.checkpoint) = (now, now, now);
        self.look_at = limits.shortest().map(|limit| now + pace(limit));
    }

    /// Nobody looks any more.
    pub fn disarm(&mut self) {
        (self.look_at, self.abort_at) = (None, None);
    }

    /// Whether the workload was told to end because it hangs.
    pub fn is_aborting(&self) -> bool {
        self.aborting
    }

    /// All stacks are told.
    pub fn dumped(&mut self, now: Clock) {
        self.abort_at = self.abort_at.map(|at| at.min(now + AFTER_DUMP));
    }

    pub fn saved(&mut self, now: Clock) {
        self.checkpoint = now;
    }

    pub fn deadline(&self) -> Option<Clock> {
        [self.look_at, self.abort_at].into_iter().flatten().min()
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

    /// What has been quiet for longer than it may be.
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
}

fn pace(limit: Duration) -> Duration {
    (limit / 8).clamp(Duration::from_millis(100), Duration::from_secs(60))
}

impl State {
    pub(super) fn watch_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.watch.abort_at, now) {
            self.abort(now, act);
        }
        if !due(self.watch.look_at, now) {
            return;
        }
        let limits = self.policy.watchdog;
        self.watch.look_at = limits.shortest().map(|limit| now + pace(limit));
        if limits.output.is_some() || limits.heartbeat.is_some() {
            act.push(Action::Pulse);
        }
        // A checkpoint is told by the errand that watches for it; that limit needs no look.
        self.judge(Watchdog { output: None, heartbeat: None, ..limits }, now, act);
    }

    pub(super) fn pulse(&mut self, pulse: Heartbeat, now: Clock, act: &mut Vec<Action>) {
        self.watch.take(pulse, now);
        if self.watch.look_at.is_some() {
            self.judge(self.policy.watchdog, now, act);
        }
    }

    fn judge(&mut self, limits: Watchdog, now: Clock, act: &mut Vec<Action>) {
        let Some((what, quiet)) = self.watch.overdue(&limits, now) else { return };
        self.hung = true;
        act.push(Action::Say(LogEvent::Hangs { what, quiet }));
        act.push(Action::Dump);
        if limits.action == OnHang::Log {
            return self.watch.arm(&self.policy.watchdog, now);
        }
        // What it is doing must be seen before it is ended.
        self.watch.disarm();
        self.watch.abort_at = Some(now + DUMP_LIMIT);
    }

    fn abort(&mut self, now: Clock, act: &mut Vec<Action>) {
        self.watch.disarm();
        self.watch.aborting = true;
        self.kill_at = Some(now + ABORT_GRACE);
        act.push(Action::Say(LogEvent::Aborting(ABORT_GRACE)));
        act.push(Action::Abort);
    }
}
