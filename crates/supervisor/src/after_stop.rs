//! `hooks.after_stop`: what the image's author wants to be done when the workload has ended for good, before the container ends or is
//! held. An errand does it; it must be over before the engine's patience is.

use super::action::Action;
use super::clock::Clock;
use super::state::State;
use protocol::handover::HelperTask;
use std::time::Duration;

/// From the end of a hook's time to the last that may be left of it: TERM, five seconds, KILL, and a moment.
const ENDING: Duration = Duration::from_secs(6);

/// What hooks may take where nobody set a limit.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);

impl State {
    /// Whether there is something to be done first; it is sent once.
    pub(super) fn has_hooks(&mut self, now: Clock, act: &mut Vec<Action>) -> bool {
        let Some(hooks) = self.policy.stop.after_stop.as_ref().filter(|_| self.ran() && !self.hooked) else {
            return false;
        };
        if self.is_to_start_again(now) {
            return false;
        }
        let grace = self.stop.and(self.kill_at).map(|at| at.saturating_sub(now));
        let time = time(hooks.timeout.unwrap_or(UNLIMITED), grace);
        self.hooked = true;
        (self.settle_at, self.term_at, self.name_at) = (None, None, None);
        // What a hook leaves behind is not waited for any longer than the hook itself.
        let kill_at = now + time + ENDING;
        self.kill_at = Some(grace.map_or(kill_at, |left| kill_at.min(now + left)));
        act.push(Action::Send(HelperTask::AfterStop { time, code: self.code() }));
        true
    }
}

/// How long hooks may take so that they are over within what is left of a grace: half of it when it is very short.
fn time(limit: Duration, grace: Option<Duration>) -> Duration {
    grace.map_or(limit, |left| limit.min(left.saturating_sub(ENDING).max(left / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_over_within_the_grace() {
        let seconds =
            |limit, grace: Option<u64>| time(Duration::from_secs(limit), grace.map(Duration::from_secs)).as_secs();
        assert_eq!(
            [seconds(60, None), seconds(60, Some(600)), seconds(60, Some(26)), seconds(60, Some(4))],
            [60, 60, 20, 2]
        );
    }
}
