//! Decides whether an ended workload is started again in the same container.

use protocol::handover::{OnHang, Restart};
use std::time::Duration;

/// Number of runs in a row without a newer checkpoint after which another start is not worth it.
const FRUITLESS: u32 = 3;

/// The counts over several runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestartState {
    /// Restarts in a row.
    count: u32,
    /// Runs in a row without a newer checkpoint.
    fruitless: u32,
    /// This run completed a newer checkpoint.
    progress: bool,
}

/// A run that has ended by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedRun {
    /// The exit code of the run.
    pub code: u8,
    /// The duration of the run.
    pub ran: Duration,
    /// The watchdog ended the run, because it hung.
    pub aborted: bool,
    /// What the watchdog does with a workload that hangs.
    pub on_hang: OnHang,
    /// A checkpoint directory was watched.
    pub watched: bool,
}

/// The decision after an end that the policy answers with another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextRun {
    /// The next run begins after this pause.
    After(Duration),
    /// There is no next run, for this reason.
    Refused(&'static str),
}

impl RestartState {
    /// Notes that the workload runs.
    pub(crate) fn begin(&mut self) {
        self.progress = false;
    }

    /// Notes that a newer checkpoint is complete.
    pub(crate) fn progressed(&mut self) {
        (self.progress, self.fruitless) = (true, 0);
    }

    /// Decides what follows the end of a run; `None` if the policy does not answer this end with another run.
    pub(crate) fn step(&mut self, run: EndedRun, policy: &Restart) -> Option<NextRun> {
        wants_restart(run, policy).then(|| {
            *self = self.counted(run, policy);
            match self.refusal(run, policy) {
                Some(why) => NextRun::Refused(why),
                None => NextRun::After(self.count_start(policy)),
            }
        })
    }

    /// Returns whether `step` would decide for another run.
    pub(crate) fn would_start(&self, run: EndedRun, policy: &Restart) -> bool {
        wants_restart(run, policy) && self.counted(run, policy).refusal(run, policy).is_none()
    }

    /// Returns the counts including the run that has just ended.
    fn counted(&self, run: EndedRun, policy: &Restart) -> RestartState {
        RestartState {
            count: if run.ran >= policy.healthy { 0 } else { self.count },
            fruitless: if self.progress { self.fruitless } else { self.fruitless + 1 },
            progress: self.progress,
        }
    }

    fn refusal(&self, run: EndedRun, policy: &Restart) -> Option<&'static str> {
        match () {
            () if self.count >= policy.max => Some("restart.max is reached"),
            () if run.watched && self.fruitless >= FRUITLESS => Some("three runs brought no newer checkpoint"),
            () => None,
        }
    }

    fn count_start(&mut self, policy: &Restart) -> Duration {
        let pause = pause(policy.pause, policy.pause_max, self.count);
        self.count += 1;
        pause
    }
}

fn wants_restart(run: EndedRun, policy: &Restart) -> bool {
    let hung = run.aborted && run.on_hang == OnHang::Restart;
    let given_up = run.aborted && run.on_hang == OnHang::Abort;
    let matches = if policy.codes.is_empty() { run.code != 0 } else { policy.codes.contains(&run.code) };
    policy.max > 0 && !given_up && (hung || matches)
}

/// Returns the pause, which doubles from one restart to the next.
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
