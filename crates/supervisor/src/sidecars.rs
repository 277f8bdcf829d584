//! Sidecars: modes that run beside the main one (`mode: jupyter,ssh`). Pure, like the rest of the state.
//!
//! Sidecars begin when the main workload runs and end with it. Their exit codes do not count, and a failed sidecar is started again a few
//! times.

use super::action::Action;
use super::clock::{Clock, due};
use super::log_event::LogEvent;
use super::timers::{Timer, Timers};
use protocol::exit_code::{Exit, FailureFamily};
use std::time::Duration;
use sys::process::Ended;

/// Most restarts in a row of a sidecar that fails.
const RESTARTS: u32 = 5;
/// The first pause before a restart, which doubles from one restart to the next up to `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a restart.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A sidecar that ran this long was healthy, and restarts are counted from 0 again.
const HEALTHY: Duration = Duration::from_secs(600);
/// The pause between two kills: a walk over the process tree can miss a fork, so a kill is repeated.
const KILL_AGAIN: Duration = Duration::from_millis(200);
const KILLS: u32 = 5;

/// The phase of a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidecarPhase {
    /// The sidecar was started, and has not ended.
    Runs,
    /// The sidecar has failed and is started again at this time.
    Waits(Clock),
    /// The sidecar has ended for good.
    Over,
}

/// One sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sidecar {
    stage: SidecarPhase,
    since: Clock,
    /// Restarts in a row.
    count: u32,
    /// All starts of this sidecar.
    starts: u32,
}

impl Sidecar {
    /// Takes the sidecar's end; returns the pause before its next start, or `None` if there is none.
    fn ended(&mut self, ended: Ended, now: Clock) -> Option<Duration> {
        if now.saturating_sub(self.since) >= HEALTHY {
            self.count = 0;
        }
        let again = (may_help(ended) && self.count < RESTARTS).then(|| pause(self.count))?;
        (self.stage, self.count) = (SidecarPhase::Waits(now + again), self.count + 1);
        Some(again)
    }

    /// Starts the sidecar if its pause is over; returns whether it does.
    fn tick(&mut self, now: Clock) -> bool {
        let due = matches!(self.stage, SidecarPhase::Waits(until) if due(Some(until), now));
        if due {
            (self.stage, self.since) = (SidecarPhase::Runs, now);
            self.starts += 1;
        }
        due
    }
}

/// All sidecars of one run, in the policy's order; empty if there are none or the workload does not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidecars {
    all: Vec<Sidecar>,
    kills: u32,
}

impl Sidecars {
    /// Starts this number of sidecars, because the workload runs.
    pub fn begin(&mut self, count: usize, now: Clock, act: &mut Vec<Action>) {
        self.all = vec![Sidecar { stage: SidecarPhase::Runs, since: now, count: 0, starts: 1 }; count];
        act.extend((0..count).map(Action::BeginSidecar));
    }

    /// Returns the phase and the number of starts of each sidecar.
    pub fn stages(&self) -> impl Iterator<Item = (SidecarPhase, u32)> + '_ {
        self.all.iter().map(|sidecar| (sidecar.stage, sidecar.starts))
    }

    /// Returns whether this sidecar was started, and has not ended.
    pub fn runs(&self, index: usize) -> bool {
        self.all.get(index).is_some_and(|sidecar| sidecar.stage == SidecarPhase::Runs)
    }

    /// Takes the end of a sidecar, and logs it only while sidecars are `wanted`.
    pub fn ended(
        &mut self,
        (index, ended): (usize, Ended),
        wanted: Option<&[String]>,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) {
        let Some(sidecar) = self.all.get_mut(index) else { return };
        sidecar.stage = SidecarPhase::Over;
        if let Some(modes) = wanted {
            let again = sidecar.ended(ended, now);
            let mode = modes.get(index).cloned().unwrap_or_default();
            act.push(Action::Say(LogEvent::SidecarEnded { mode, ended, again }));
        }
        self.schedule(timers);
    }

    /// Starts the sidecars that are due.
    pub fn tick(&mut self, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        if timers.is_due(Timer::SidecarStart, now) {
            let begin = |(index, sidecar): (usize, &mut Sidecar)| sidecar.tick(now).then_some(index);
            act.extend(self.all.iter_mut().enumerate().filter_map(begin).map(Action::BeginSidecar));
            self.schedule(timers);
        }
        if timers.is_due(Timer::SidecarKill, now) {
            self.kills += 1;
            let more = self.any_runs() && self.kills < KILLS;
            timers.set(Timer::SidecarKill, more.then_some(now + KILL_AGAIN));
            act.push(Action::KillSidecars);
        }
    }

    /// Starts no more sidecars.
    pub fn settle(&mut self, timers: &mut Timers) {
        for sidecar in &mut self.all {
            if sidecar.stage != SidecarPhase::Runs {
                sidecar.stage = SidecarPhase::Over;
            }
        }
        self.schedule(timers);
    }

    /// Takes the end of the main process, after which sidecars get the time of leftover processes after a natural end.
    ///
    /// The main process's stop may have had no time limit, because the workload may be saving; sidecars have nothing to save.
    pub fn drain(&mut self, time: Duration, timers: &mut Timers, now: Clock) {
        self.settle(timers);
        timers.set(Timer::SidecarKill, self.any_runs().then(|| now + time));
    }

    fn any_runs(&self) -> bool {
        self.all.iter().any(|sidecar| sidecar.stage == SidecarPhase::Runs)
    }

    /// Sets the timer to the sidecar that starts next.
    fn schedule(&self, timers: &mut Timers) {
        let waits = self.all.iter().filter_map(|sidecar| match sidecar.stage {
            SidecarPhase::Waits(until) => Some(until),
            _ => None,
        });
        timers.set(Timer::SidecarStart, waits.min());
    }
}

/// Returns whether another start may help; an end with 0 was intended.
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
    use crate::state::State;
    use protocol::handover::{Message, Policy, StopPolicy};
    use sys::Signal;
    use sys::signal::Arrived;

    const BEGIN: [Action; 2] = [Action::BeginSidecar(0), Action::BeginSidecar(1)];
    const TERM: Event = Event::Signal(Arrived { signal: Signal::TERM, pid: None, uid: 0, kernel: false });

    fn running() -> (State, Vec<Action>) {
        let mut state = State::preparing();
        let drain = Duration::from_secs(5);
        let stop = StopPolicy { drain, ..StopPolicy::default() };
        let policy = Policy { sidecars: vec!["lab".into(), "ssh".into()], stop, ..Policy::default() };
        does(&mut state, 0, Event::Said(Message::Policy(Box::new(policy))));
        does(&mut state, 0, Event::Said(Message::Launching("python".into())));
        let act = does(&mut state, 0, Event::HandoverClosed);
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
        assert_eq!(does(&mut state, 10, Event::SidecarEnded(1, Ended::Exited(1))), []);
        assert!(!state.wants_sidecar(1));
        assert_eq!(state.deadline(), Some(Duration::from_secs(11)));
        assert_eq!(does(&mut state, 11, Event::Tick), [Action::BeginSidecar(1)]);
        assert!(state.wants_sidecar(0) && state.wants_sidecar(1));
    }

    #[test]
    fn one_that_fails_again_and_again_is_given_up_and_one_that_lasted_counts_anew() {
        let (mut state, _) = running();
        let fails = |state: &mut State, now: Clock| {
            state.step(Event::SidecarEnded(0, Ended::Killed(Signal::KILL)), now, &mut Vec::new());
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
        assert_eq!(state.sidecars().stages().next(), Some((SidecarPhase::Over, 8)));
    }

    #[test]
    fn an_end_that_was_wanted_or_that_no_other_start_mends_is_the_end() {
        for code in [0, 64, 78, 115, 127] {
            let (mut state, _) = running();
            does(&mut state, 1, Event::SidecarEnded(0, Ended::Exited(code)));
            assert_eq!(state.deadline(), None, "{code}");
        }
    }

    #[test]
    fn they_end_with_the_workload_and_never_count() {
        let (mut state, _) = running();
        does(&mut state, 1, Event::SidecarEnded(0, Ended::Exited(3)));
        does(&mut state, 1, Event::MainEnded(Ended::Exited(0)));
        // The sidecar that waited for its next start waits no more.
        assert!(!state.wants_sidecar(0) && !state.wants_sidecar(1));
        assert_eq!(does(&mut state, 2, Event::Tick), [Action::Tree(Signal::TERM)]);
        does(&mut state, 3, Event::SidecarEnded(1, Ended::Killed(Signal::TERM)));
        assert_eq!(does(&mut state, 3, Event::ChildrenGone), [Action::Exit(0)]);
    }

    #[test]
    fn a_stop_without_a_grace_kills_them_but_not_the_workload() {
        let (mut state, _) = running();
        does(&mut state, 1, TERM);
        assert_eq!(state.deadline(), None);
        assert_eq!(does(&mut state, 100, Event::MainEnded(Ended::Exited(0))), [Action::DeliverToOrphans]);
        does(&mut state, 101, Event::Tick);
        assert_eq!(does(&mut state, 105, Event::Tick), [Action::KillSidecars]);
        does(&mut state, 105, Event::SidecarEnded(0, Ended::Killed(Signal::KILL)));
        does(&mut state, 105, Event::SidecarEnded(1, Ended::Killed(Signal::KILL)));
        assert_eq!(does(&mut state, 105, Event::ChildrenGone), [Action::Exit(0)]);
    }

    #[test]
    fn a_stop_before_the_workload_runs_begins_none() {
        let mut state = State::preparing();
        let policy = Policy { sidecars: vec!["lab".into()], ..Policy::default() };
        does(&mut state, 0, Event::Said(Message::Policy(Box::new(policy))));
        does(&mut state, 0, Event::Said(Message::Launching("python".into())));
        does(&mut state, 0, TERM);
        assert_eq!(does(&mut state, 0, Event::HandoverClosed), []);
    }
}
