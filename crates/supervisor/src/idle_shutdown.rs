//! `idle.after` and `lifetime`: PID 1 stops an unused or too old container by itself, after warnings. Pure.
//!
//! A helper looks now and then whether the container is used. A failed look never counts as disuse.

use super::action::Action;
use super::clock::Clock;
use super::log_event::LogEvent;
use super::stop_plan::Reason;
use super::timers::{Timer, Timers};
use protocol::handover::{HelperTask, IdlePolicy, UsageState};
use std::time::Duration;

/// Times before the end at which a warning is logged.
const WARNINGS: [Duration; 4] =
    [Duration::from_secs(3600), Duration::from_secs(600), Duration::from_secs(60), Duration::from_secs(10)];

/// Number of looks within the limit.
const LOOKS: u32 = 8;
/// Shortest and longest pause between two looks.
const PACE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// Longest time that a look itself may take.
const BLIND: Duration = Duration::from_secs(30);

/// Share of one processor below which the workload only waits.
const PROCESSOR: f64 = 0.1;

/// The whole budget of a stop by PID 1 itself where none is configured: no engine would end that stop.
pub(crate) const GRACE: Duration = Duration::from_secs(600);

/// What is known of the container's use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// The time of the last look, and the processor time by then.
    looked: Option<(Clock, Option<u64>)>,
    used_at: Clock,
    /// The sign of use that was seen last.
    by: Option<String>,
    /// Remaining time that the last warning was given for.
    warned: Option<Duration>,
}

impl Usage {
    /// Starts to look, because the workload runs.
    pub(crate) fn begin(policy: &IdlePolicy, timers: &mut Timers, now: Clock) -> Self {
        look_later(policy, timers, now);
        Usage { used_at: now, ..Usage::default() }
    }

    /// Returns who uses the container; `None` if no use was seen.
    pub(crate) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Returns since when the container is unused.
    pub(crate) fn unused_since(&self) -> Option<Clock> {
        (self.looked.is_some() && self.by.is_none()).then_some(self.used_at)
    }

    /// Starts a look when it is due.
    pub(crate) fn tick(&self, policy: &IdlePolicy, timers: &mut Timers, now: Clock, act: &mut Vec<Action>) {
        if timers.is_due(Timer::UsageLook, now) {
            let since = self.looked.map_or(self.used_at, |(at, _)| at);
            look_later(policy, timers, now);
            act.push(Action::Send(HelperTask::LookForUse { within: now.saturating_sub(since) }));
        }
    }

    /// Takes the result of a look; returns why the container is stopped now, if it is.
    pub(crate) fn seen(
        &mut self,
        seen: &UsageState,
        policy: &IdlePolicy,
        timers: &mut Timers,
        now: Clock,
        act: &mut Vec<Action>,
    ) -> Option<Reason> {
        let after = policy.unused.as_ref().filter(|_| timers.runs(Timer::UsageLook))?.after;
        if !self.stayed_unused(seen, after, now) {
            (self.used_at, self.warned) = (now, None);
            return None;
        }
        let end = self.used_at + after;
        if now >= end {
            return Some(Reason::Idle(after));
        }
        self.warn_of_idle(after, end.saturating_sub(now), act);
        timers.advance(Timer::UsageLook, Some(next_mark(end, after, now).max(now + PACE.0)));
        None
    }

    /// Returns whether a look found no use and was able to see it.
    fn stayed_unused(&mut self, seen: &UsageState, after: Duration, now: Clock) -> bool {
        self.by = self.sign(seen, now);
        let before = self.looked.replace((now, seen.processor)).map(|(at, _)| at);
        // The first look has no earlier processor time to compare with. After a long gap (a container that was paused) trainit cannot say
        // whether the container was used.
        let saw_all = before.is_some_and(|before| now.saturating_sub(before) <= 2 * pace(after) + BLIND);
        self.by.is_none() && saw_all
    }

    /// Returns the sign of use that the helper saw, or that its processor time gives.
    fn sign(&self, seen: &UsageState, now: Clock) -> Option<String> {
        let busy = || {
            let (at, before) = self.looked?;
            let used = Duration::from_millis(seen.processor?.checked_sub(before?)?).as_secs_f64();
            let part = used / now.saturating_sub(at).as_secs_f64().max(0.001);
            (part >= PROCESSOR).then(|| format!("{:.0} % of a CPU", part * 100.0))
        };
        seen.sign.clone().or_else(busy)
    }

    fn warn_of_idle(&mut self, after: Duration, left: Duration, act: &mut Vec<Action>) {
        let passed = WARNINGS.into_iter().filter(|mark| *mark < after && left <= *mark).min();
        if passed.is_some() && passed != self.warned {
            self.warned = passed;
            warn(Reason::Idle(after), left, act);
        }
    }
}

fn look_later(policy: &IdlePolicy, timers: &mut Timers, now: Clock) {
    timers.set(Timer::UsageLook, policy.unused.as_ref().map(|idle| now + pace(idle.after)));
}

/// Starts to count the container's lifetime, from the start of PID 1.
pub(crate) fn lifetime_begins(policy: &IdlePolicy, timers: &mut Timers, now: Clock) {
    timers.set(Timer::Lifetime, policy.lifetime.map(|limit| next_mark(limit, limit, now)));
}

/// Handles the deadlines of the lifetime, unless the container ends anyway; returns why the container is stopped now, if it is.
pub(crate) fn lifetime_tick(
    policy: &IdlePolicy,
    ends: bool,
    timers: &mut Timers,
    now: Clock,
    act: &mut Vec<Action>,
) -> Option<Reason> {
    let limit = policy.lifetime.filter(|_| timers.is_due(Timer::Lifetime, now))?;
    timers.set(Timer::Lifetime, None);
    if ends {
        return None;
    }
    if now >= limit {
        return Some(Reason::Lifetime(limit));
    }
    timers.set(Timer::Lifetime, next_mark(limit, limit, now));
    warn(Reason::Lifetime(limit), limit - now, act);
    None
}

fn warn(reason: Reason, left: Duration, act: &mut Vec<Action>) {
    let line = LogEvent::EndsSoon { reason, left };
    act.push(Action::Say(line.clone()));
    act.push(Action::TellTerminals(line));
}

/// Returns the next warning before `end`, or `end` itself; only warnings that are shorter than the limit count.
fn next_mark(end: Clock, limit: Duration, now: Clock) -> Clock {
    let marks = WARNINGS.into_iter().filter(|mark| *mark < limit).filter_map(|mark| end.checked_sub(mark));
    marks.filter(|at| *at > now).min().unwrap_or(end)
}

fn pace(limit: Duration) -> Duration {
    (limit / LOOKS).clamp(PACE.0, PACE.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::log_words;
    use crate::state::State;
    use protocol::handover::{Idle, IdlePolicy, Message, Policy, WorkloadKind};

    const MINUTE: Duration = Duration::from_secs(60);

    struct Play {
        state: State,
        now: Clock,
        lines: Vec<(u64, String)>,
    }

    impl Play {
        fn new(idle: Option<Duration>, lifetime: Option<Duration>) -> Self {
            let mut play = Play { state: State::preparing(), now: Clock::ZERO, lines: Vec::new() };
            let idle = idle.map(|after| Idle { after, ..Idle::default() });
            play.does(Event::Said(Message::Policy(Box::new(Policy {
                kind: WorkloadKind::Build,
                idle: IdlePolicy { unused: idle, lifetime },
                ..Policy::default()
            }))));
            play.does(Event::Said(Message::Launching("bash".into())));
            play.does(Event::HandoverClosed);
            play
        }

        fn does(&mut self, event: Event) -> Vec<Action> {
            let mut act = Vec::new();
            self.state.step(event, self.now, &mut act);
            let lines = act.iter().filter_map(|action| match action {
                Action::Say(line) => Some((self.now.as_secs(), log_words::words(line))),
                _ => None,
            });
            self.lines.extend(lines);
            act
        }

        /// Lets time pass to this minute; each look sees what `see` returns for its second.
        fn until(&mut self, minute: u64, see: impl Fn(u64) -> UsageState) {
            let to = Duration::from_secs(minute * 60);
            while let Some(at) = self.state.deadline().filter(|at| *at <= to && self.state.stop().is_none()) {
                self.now = at;
                let looks = |action: &Action| matches!(action, Action::Send(HelperTask::LookForUse { .. }));
                if self.does(Event::Tick).iter().any(looks) {
                    self.does(Event::Said(Message::Use(see(at.as_secs()))));
                }
            }
            self.now = to;
        }

        fn told(&self) -> Vec<(u64, &str)> {
            self.lines.iter().map(|(at, line)| (*at / 60, line.split(':').next().unwrap_or_default())).collect()
        }
    }

    fn nobody(_: u64) -> UsageState {
        UsageState::default()
    }

    #[test]
    fn a_lifetime_ends_after_warnings_at_fixed_times() {
        let mut play = Play::new(None, Some(120 * MINUTE));
        play.until(200, nobody);
        let soon = ["this container ends in 1 h", "this container ends in 10 min", "this container ends in 1 min"];
        let last = "this container ends in 10 s";
        let end = "lifetime (2 h)";
        assert_eq!(play.told(), [(60, soon[0]), (110, soon[1]), (119, soon[2]), (119, last), (120, end)]);
        assert_eq!(play.state.policy.stop.grace, Some(GRACE));
        assert_eq!(play.state.reason(), Some(Reason::Lifetime(120 * MINUTE)));
    }

    #[test]
    fn a_lifetime_that_is_over_while_it_prepares_stops_that() {
        let mut state = State::preparing();
        let policy = Policy { idle: IdlePolicy { unused: None, lifetime: Some(MINUTE) }, ..Policy::default() };
        state.step(Event::Said(Message::Policy(Box::new(policy))), 2 * MINUTE, &mut Vec::new());
        let mut act = Vec::new();
        state.step(Event::Tick, 2 * MINUTE, &mut act);
        assert!(act.contains(&Action::Tree(sys::Signal::TERM)), "{act:?}");
    }

    #[test]
    fn what_nobody_uses_is_stopped_after_warnings() {
        let mut play = Play::new(Some(30 * MINUTE), None);
        play.until(100, nobody);
        // The time counts from the first look, a minute after the start.
        let told = play.told();
        let at: Vec<u64> = told.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [21, 30, 30, 31], "{told:?}");
        assert!(told[0].1.starts_with("nobody uses this container") && told[3].1 == "idle.after (not used for 30 min)");
    }

    #[test]
    fn use_puts_the_end_off_and_warnings_begin_anew() {
        let mut play = Play::new(Some(30 * MINUTE), None);
        let typed = |second| UsageState { sign: (second == 25 * 60).then(|| "somebody types".into()), processor: None };
        play.until(53, typed);
        assert_eq!(play.told().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [21, 45]);
        assert!(play.state.stop().is_none() && play.state.unused_since() == Some(25 * MINUTE));
        play.until(60, typed);
        assert!(play.state.stop().is_some());
    }

    #[test]
    fn processor_time_is_use_and_a_little_of_it_is_not() {
        let share = |percent: u64| move |second: u64| UsageState { sign: None, processor: Some(second * 10 * percent) };
        let mut play = Play::new(Some(30 * MINUTE), None);
        play.until(100, share(50));
        assert_eq!((play.told(), play.state.used_by()), (vec![], Some("50 % of a CPU")));
        play.until(200, share(3));
        assert!(play.state.stop().is_some());
    }

    #[test]
    fn who_could_not_look_holds_nothing_against_anybody() {
        let mut play = Play::new(Some(30 * MINUTE), None);
        play.until(20, nobody);
        // A container that was paused.
        play.now = 600 * MINUTE;
        play.does(Event::Tick);
        play.does(Event::Said(Message::Use(UsageState::default())));
        assert!(play.state.stop().is_none());
        // A helper returns without a result each time.
        play.now = 601 * MINUTE;
        (0..100).for_each(|_| {
            play.now += MINUTE;
            play.does(Event::Tick);
        });
        assert!(play.state.stop().is_none() && play.state.deadline().is_some());
    }

    #[test]
    fn where_nothing_is_wanted_nobody_wakes_up() {
        assert_eq!(Play::new(None, None).state.deadline(), None);
    }
}
