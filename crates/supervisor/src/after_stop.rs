//! The time of `hooks.after_stop`, which a helper runs when the workload has ended for good.
//!
//! The hooks run before the container ends or is held, and must be over before the engine sends SIGKILL.

use protocol::handover::AfterStop;
use std::time::Duration;

/// Time from the end of a hook's limit to the end of its last process: TERM, five seconds, KILL, and a moment.
const ENDING: Duration = Duration::from_secs(6);

/// Time for hooks where no limit is set.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);

/// How long hooks may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HookTime {
    /// Time for all hooks together.
    pub run: Duration,
    /// Time for the hooks and the processes that they leave behind, which are not waited for any longer than a hook itself.
    pub kill: Duration,
}

impl HookTime {
    /// Divides what is left of a grace; `None` means that only the hooks' own limit counts.
    pub(crate) fn of(hooks: &AfterStop, grace: Option<Duration>) -> Self {
        let run = time(hooks.timeout.unwrap_or(UNLIMITED), grace);
        let kill = run + ENDING;
        HookTime { run, kill: grace.map_or(kill, |left| kill.min(left)) }
    }
}

/// Returns how long hooks may take so that they end within the rest of a grace, or half of the rest when it is very short.
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
