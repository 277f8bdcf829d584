//! Whether an ended workload is started again in the same container.

use super::action::Action;
use super::clock::{Clock, due};
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use protocol::handover::OnHang;
use std::time::Duration;

/// So many runs in a row without a newer checkpoint are a loop that leads nowhere.
const FRUITLESS: u32 = 3;

/// What is known over several runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RestartState {
    /// Restarts in a row.
    count: u32,
    /// Runs in a row that brought no newer checkpoint.
    fruitless: u32,
    /// This run brought one.
    progress: bool,
    /// When this run's workload began.
    since: Option<Clock>,
    /// When the next one begins.
    at: Option<Clock>,
}

impl RestartState {
    pub fn began(&mut self, now: Clock) {
        (self.since, self.progress) = (Some(now), false);
    }

    /// When this run's workload began; none: it has not.
    pub fn began_at(&self) -> Option<Clock> {
        self.since
    }

    pub fn progressed(&mut self) {
        (self.progress, self.fruitless) = (true, 0);
    }

    pub fn cancel(&mut self) {
        self.at = None;
    }

    pub fn deadline(&self) -> Option<Clock> {
        self.at
    }

    /// Whether the next run begins now; says so once.
    pub fn is_due(&mut self, now: Clock) -> bool {
        let due = due(self.at, now);
        if due {
            (self.at, self.since) = (None, None);
        }
        due
    }
}

impl State {
    /// Decides, and if so, sets the time of the next start.
    pub(super) fn starts_again(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let Some(ended) = self.ended().filter(|_| self.wants_restart()) else { return false };
        self.again = self.counted(now);
        if let Some(why) = self.why_not_again(&self.again) {
            act.push(Action::Say(LogEvent::NoRestart(why)));
            return false;
        }
        let pause = pause(self.policy.restart.pause, self.policy.restart.pause_max, self.again.count);
        self.again.count += 1;
        self.again.at = Some(now + pause);
        self.life = Life::Between(ended);
        act.push(Action::Say(LogEvent::Restarting { attempt: self.attempt + 1, pause }));
        true
    }

    /// What `starts_again` is going to decide once everything is gone.
    pub(super) fn is_to_start_again(&self, now: Clock) -> bool {
        self.wants_restart() && self.why_not_again(&self.counted(now)).is_none()
    }

    /// The counts with the run that has just ended.
    fn counted(&self, now: Clock) -> RestartState {
        let mut again = self.again.clone();
        if self.times(now).ran >= self.policy.restart.healthy {
            again.count = 0;
        }
        if !again.progress {
            again.fruitless += 1;
        }
        again
    }

    fn wants_restart(&self) -> bool {
        let restart = &self.policy.restart;
        let asked_for = self.stop.is_some() || self.timed_out || !self.ran();
        let hung = self.watch.is_aborting() && self.policy.watchdog.action == OnHang::Restart;
        let aborted = self.watch.is_aborting() && self.policy.watchdog.action == OnHang::Abort;
        let code = self.ended().map_or(0, |ended| ended.code());
        let matches = if restart.codes.is_empty() { code != 0 } else { restart.codes.contains(&code) };
        restart.max > 0 && !asked_for && !aborted && (hung || matches)
    }

    fn why_not_again(&self, again: &RestartState) -> Option<&'static str> {
        let watched = self.policy.checkpoint.watched.is_some();
        match () {
            () if again.count >= self.policy.restart.max => Some("restart.max is reached"),
            () if watched && again.fruitless >= FRUITLESS => Some("three runs brought no newer checkpoint"),
            () => None,
        }
    }
}

/// Doubles from one time to the next.
fn pause(first: Duration, most: Duration, count: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(count.min(20))).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = |count| pause(Duration::from_secs(1), Duration::from_secs(60), count).as_secs();
        assert_eq!((0..8).map(seconds).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds(u32::MAX), 60);
    }
}
