//! `hooks.after_stop`: what the image's author wants to be done when the workload has ended for good, before the container ends or is
//! held. A helper does it; it must be over before the engine's patience is.

use protocol::handover::AfterStop;
use std::time::Duration;

/// From the end of a hook's time to the last that may be left of it: TERM, five seconds, KILL, and a moment.
const ENDING: Duration = Duration::from_secs(6);

/// What hooks may take where no limit is set.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);

/// How long hooks may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookTime {
    /// All of them together.
    pub run: Duration,
    /// The hooks and what they leave behind, which is not waited for any longer than a hook itself.
    pub kill: Duration,
}

impl HookTime {
    /// Divides what is left of a grace; `None`: there is no limit but the hooks' own.
    pub fn of(hooks: &AfterStop, grace: Option<Duration>) -> Self {
        let run = time(hooks.timeout.unwrap_or(UNLIMITED), grace);
        let kill = run + ENDING;
        HookTime { run, kill: grace.map_or(kill, |left| kill.min(left)) }
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
