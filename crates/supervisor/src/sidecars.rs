//! Companions: modes that run beside the main one (`mode: jupyter,ssh`). They begin when its workload runs and end with it, do not
//! count for the exit code, and are started again a few times when they fail. Pure, like the rest of the state.

use super::action::Action;
use super::clock::{Clock, due};
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use protocol::exit_code::{Exit, FailureFamily};
use std::time::Duration;
use sys::process::Ended;

/// So often in a row one that fails is started again.
const RESTARTS: u32 = 5;
/// The first pause before that; it doubles from one time to the next …
const PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// One that ran so long was healthy: counting begins anew.
const HEALTHY: Duration = Duration::from_secs(600);
/// A walk over a tree can miss a fork, so a kill is repeated; so often.
const KILL_AGAIN: Duration = Duration::from_millis(200);
const KILLS: u32 = 5;

/// Where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidecarPhase {
    /// It was started, and has not ended.
    Runs,
    /// It has failed and is started again then.
    Waits(Clock),
    /// It has ended for good.
    Over,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sidecar {
    stage: SidecarPhase,
    since: Clock,
    /// Restarts in a row.
    count: u32,
    /// All starts.
    starts: u32,
}

/// All of one run, in the order of the policy's; empty: there are none, or the workload does not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidecars {
    all: Vec<Sidecar>,
    kill_at: Option<Clock>,
    kills: u32,
}

impl Sidecars {
    pub(super) fn deadline(&self) -> Option<Clock> {
        let waits = self.all.iter().filter_map(|sidecar| match sidecar.stage {
            SidecarPhase::Waits(until) => Some(until),
            _ => None,
        });
        waits.chain(self.kill_at).min()
    }

    /// Where each is, and how often it was started.
    pub fn stages(&self) -> impl Iterator<Item = (SidecarPhase, u32)> + '_ {
        self.all.iter().map(|sidecar| (sidecar.stage, sidecar.starts))
    }

    fn any_runs(&self) -> bool {
        self.all.iter().any(|sidecar| sidecar.stage == SidecarPhase::Runs)
    }

    /// None is started any more.
    pub(super) fn settle(&mut self) {
        for sidecar in &mut self.all {
            if sidecar.stage != SidecarPhase::Runs {
                sidecar.stage = SidecarPhase::Over;
            }
        }
    }
}

impl State {
    /// The workload runs: they begin.
    pub(super) fn sidecars_begin(&mut self, now: Clock, act: &mut Vec<Action>) {
        let one = Sidecar { stage: SidecarPhase::Runs, since: now, count: 0, starts: 1 };
        self.sidecars.all = self.policy.sidecars.iter().map(|_| one).collect();
        act.extend((0..self.sidecars.all.len()).map(Action::BeginCompanion));
    }

    /// Whether this one may be started: the workload may have ended since that was decided.
    pub fn wants_sidecar(&self, index: usize) -> bool {
        let runs = self.sidecars.all.get(index).is_some_and(|sidecar| sidecar.stage == SidecarPhase::Runs);
        runs && self.has_sidecars()
    }

    fn has_sidecars(&self) -> bool {
        self.life == Life::Running && self.stop.is_none()
    }

    pub(super) fn sidecar_ended(&mut self, index: usize, ended: Ended, now: Clock, act: &mut Vec<Action>) {
        let wanted = self.has_sidecars();
        let Some(sidecar) = self.sidecars.all.get_mut(index) else { return };
        sidecar.stage = SidecarPhase::Over;
        if !wanted {
            return;
        }
        if now.saturating_sub(sidecar.since) >= HEALTHY {
            sidecar.count = 0;
        }
        let again = (may_help(ended) && sidecar.count < RESTARTS).then(|| pause(sidecar.count));
        if let Some(pause) = again {
            (sidecar.stage, sidecar.count) = (SidecarPhase::Waits(now + pause), sidecar.count + 1);
        }
        let mode = self.policy.sidecars.get(index).cloned().unwrap_or_default();
        act.push(Action::Say(LogEvent::CompanionEnded { mode, ended, again }));
    }

    pub(super) fn sidecars_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        for (index, sidecar) in self.sidecars.all.iter_mut().enumerate() {
            if matches!(sidecar.stage, SidecarPhase::Waits(until) if due(Some(until), now)) {
                (sidecar.stage, sidecar.since) = (SidecarPhase::Runs, now);
                sidecar.starts += 1;
                act.push(Action::BeginCompanion(index));
            }
        }
        if due(self.sidecars.kill_at, now) {
            self.sidecars.kills += 1;
            let more = self.sidecars.any_runs() && self.sidecars.kills < KILLS;
            self.sidecars.kill_at = more.then_some(now + KILL_AGAIN);
            act.push(Action::KillCompanions);
        }
    }

    /// The main process has ended. Who asked for that may have given no time limit, because the workload may be saving; they have
    /// nothing to save, so they get what leftovers get after a natural end.
    pub(super) fn sidecars_drain(&mut self, now: Clock) {
        self.sidecars.settle();
        self.sidecars.kill_at = self.sidecars.any_runs().then(|| now + self.policy.stop.drain);
    }
}

/// Whether another start may help. An end with 0 is one that somebody wanted.
fn may_help(ended: Ended) -> bool {
    let of_a_start = [Exit::Success, Exit::Usage, Exit::Config, Exit::NotFound, Exit::NotExecutable];
    let permanent = of_a_start.into_iter().chain(FailureFamily::ALL.map(Exit::Permanent));
    permanent.map(|exit| Ended::Exited(exit.code())).all(|end| end != ended)
}

fn pause(count: u32) -> Duration {
    PAUSE.saturating_mul(2u32.saturating_pow(count.min(20))).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use protocol::handover::{Message, Policy, StopPolicy};
    use sys::signal::Arrived;

    const BEGIN: [Action; 2] = [Action::BeginCompanion(0), Action::BeginCompanion(1)];
    const TERM: Event = Event::Signal(Arrived { number: libc::SIGTERM, pid: 0, uid: 0, kernel: false });

    fn running() -> (State, Vec<Action>) {
        let mut state = State::preparing();
        let drain = Duration::from_secs(5);
        let stop = StopPolicy { drain, ..StopPolicy::default() };
        let policy = Policy { sidecars: vec!["lab".into(), "ssh".into()], stop, ..Policy::default() };
        does(&mut state, 0, Event::Said(Message::Policy(Box::new(policy))));
        does(&mut state, 0, Event::Said(Message::Launching("python".into())));
        let act = does(&mut state, 0, Event::DoorClosed);
        (state, act)
    }

    fn does(state: &mut State, seconds: u64, event: Event) -> Vec<Action> {
        let mut act = Vec::new();
        state.step(event, Duration::from_secs(seconds), &mut act);
        act.retain(|action| !matches!(action, Action::Say(_)));
        act
    }

    #[test]
    fn they_begin_when_the_workload_runs_and_one_that_fails_begins_again() {
        let (mut state, act) = running();
        assert_eq!(act, BEGIN);
        assert_eq!(does(&mut state, 10, Event::CompanionEnded(1, Ended::Exited(1))), []);
        assert!(!state.wants_sidecar(1));
        assert_eq!(state.deadline(), Some(Duration::from_secs(11)));
        assert_eq!(does(&mut state, 11, Event::Tick), [Action::BeginCompanion(1)]);
        assert!(state.wants_sidecar(0) && state.wants_sidecar(1));
    }

    #[test]
    fn one_that_fails_again_and_again_is_given_up_and_one_that_lasted_counts_anew() {
        let (mut state, _) = running();
        let fails = |state: &mut State, now: Clock| {
            state.step(Event::CompanionEnded(0, Ended::Killed(9)), now, &mut Vec::new());
            let next = state.deadline();
            next.inspect(|at| state.step(Event::Tick, *at, &mut Vec::new()))
        };
        let mut now = HEALTHY;
        let mut pauses = Vec::new();
        while let Some(next) = fails(&mut state, now) {
            pauses.push((next - now).as_secs());
            now = next + if pauses.len() == 2 { HEALTHY } else { Duration::ZERO };
        }
        assert_eq!(pauses, [1, 2, 1, 2, 4, 8, 16]);
        assert_eq!(state.sidecars.stages().next(), Some((SidecarPhase::Over, 8)));
    }

    #[test]
    fn an_end_that_was_wanted_or_that_no_other_start_mends_is_the_end() {
        for code in [0, 64, 78, 115, 127] {
            let (mut state, _) = running();
            does(&mut state, 1, Event::CompanionEnded(0, Ended::Exited(code)));
            assert_eq!(state.deadline(), None, "{code}");
        }
    }

    #[test]
    fn they_end_with_the_workload_and_never_count() {
        let (mut state, _) = running();
        does(&mut state, 1, Event::CompanionEnded(0, Ended::Exited(3)));
        does(&mut state, 1, Event::MainEnded(Ended::Exited(0)));
        // The one that waited for its next start waits no more.
        assert!(!state.wants_sidecar(0) && !state.wants_sidecar(1));
        assert_eq!(does(&mut state, 2, Event::Tick), [Action::Tree(libc::SIGTERM)]);
        does(&mut state, 3, Event::CompanionEnded(1, Ended::Killed(15)));
        assert_eq!(does(&mut state, 3, Event::ChildrenGone), [Action::Exit(0)]);
    }

    #[test]
    fn a_stop_without_a_grace_kills_them_but_not_the_workload() {
        let (mut state, _) = running();
        does(&mut state, 1, TERM);
        assert_eq!(state.deadline(), None);
        assert_eq!(does(&mut state, 100, Event::MainEnded(Ended::Exited(0))), [Action::DeliverToOrphans]);
        does(&mut state, 101, Event::Tick);
        assert_eq!(does(&mut state, 105, Event::Tick), [Action::KillCompanions]);
        does(&mut state, 105, Event::CompanionEnded(0, Ended::Killed(9)));
        does(&mut state, 105, Event::CompanionEnded(1, Ended::Killed(9)));
        assert_eq!(does(&mut state, 105, Event::ChildrenGone), [Action::Exit(0)]);
    }

    #[test]
    fn a_stop_before_the_workload_runs_begins_none() {
        let mut state = State::preparing();
        let policy = Policy { sidecars: vec!["lab".into()], ..Policy::default() };
        does(&mut state, 0, Event::Said(Message::Policy(Box::new(policy))));
        does(&mut state, 0, Event::Said(Message::Launching("python".into())));
        does(&mut state, 0, TERM);
        assert_eq!(does(&mut state, 0, Event::DoorClosed), []);
    }
}
