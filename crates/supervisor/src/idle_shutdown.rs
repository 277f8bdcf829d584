//! `idle.after` and `lifetime`: a container that nobody uses, or that has lived long enough, is stopped by PID 1 itself, after warnings.
//! Whether it is used is seen by an errand, seldom; what that did not see is never held against anybody. Pure.

use super::action::Action;
use super::clock::{Clock, due};
use super::life::Life;
use super::log_event::LogEvent;
use super::state::State;
use super::stop_plan::Reason;
use protocol::handover::{HelperTask, UsageState};
use std::time::Duration;
use sys::signal::Arrived;

/// So long before the end it is told.
const WARNINGS: [Duration; 4] =
    [Duration::from_secs(3600), Duration::from_secs(600), Duration::from_secs(60), Duration::from_secs(10)];

/// So often within the limit somebody looks, …
const LOOKS: u32 = 8;
/// … but not more often, and not more seldom, than this.
const PACE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// What a look itself may take.
const BLIND: Duration = Duration::from_secs(30);

/// Whose processes take less than this part of one processor only wait.
const PROCESSOR: f64 = 0.1;

/// The whole budget of a stop that is our own, where none is configured: there is no engine that would end it.
const GRACE: Duration = Duration::from_secs(600);

/// What is known of its use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    look_at: Option<Clock>,
    /// When somebody looked last, and the processor time by then.
    looked: Option<(Clock, Option<u64>)>,
    used_at: Clock,
    /// By whom, when that was seen last.
    by: Option<String>,
    /// A warning was given for this much that is left.
    warned: Option<Duration>,
}

impl Usage {
    pub(super) fn deadline(&self) -> Option<Clock> {
        self.look_at
    }

    pub(super) fn disarm(&mut self) {
        self.look_at = None;
    }

    /// Who uses it; none: nobody, or nobody looks.
    pub fn by(&self) -> Option<&str> {
        self.by.as_deref().filter(|_| self.look_at.is_some())
    }

    /// Since when nobody uses it.
    pub fn unused_since(&self) -> Option<Clock> {
        let looks = self.look_at.is_some() && self.looked.is_some();
        (looks && self.by.is_none()).then_some(self.used_at)
    }

    /// The sign that the errand saw, or that its count of processor time is.
    fn sign(&self, seen: &UsageState, now: Clock) -> Option<String> {
        let busy = || {
            let (at, before) = self.looked?;
            let used = Duration::from_millis(seen.processor?.checked_sub(before?)?).as_secs_f64();
            let part = used / now.saturating_sub(at).as_secs_f64().max(0.001);
            (part >= PROCESSOR).then(|| format!("{:.0} % of a CPU", part * 100.0))
        };
        seen.sign.clone().or_else(busy)
    }
}

impl State {
    /// The workload runs: from now on somebody looks.
    pub(super) fn usage_begins(&mut self, now: Clock) {
        self.usage = Usage { used_at: now, ..Usage::default() };
        self.usage.look_at = self.policy.idle.unused.as_ref().map(|idle| now + pace(idle.after));
    }

    /// prepare has told how long it may live.
    pub(super) fn lifetime_begins(&mut self, now: Clock) {
        self.lifetime_at =
            self.policy.idle.lifetime.filter(|_| self.stop.is_none()).map(|limit| next_mark(limit, limit, now));
    }

    pub(super) fn idle_tick(&mut self, now: Clock, act: &mut Vec<Action>) {
        if due(self.lifetime_at, now) {
            self.lifetime_mark(now, act);
        }
        if due(self.usage.look_at, now) {
            let since = self.usage.looked.map_or(self.usage.used_at, |(at, _)| at);
            self.usage.look_at = self.policy.idle.unused.as_ref().map(|idle| now + pace(idle.after));
            act.push(Action::Send(HelperTask::LookForUse { within: now.saturating_sub(since) }));
        }
    }

    /// Either its time is over, or some more of it.
    fn lifetime_mark(&mut self, now: Clock, act: &mut Vec<Action>) {
        let Some(limit) = self.policy.idle.lifetime else { return };
        self.lifetime_at = None;
        // What ends anyway need not be ended.
        if self.stop.is_some() || matches!(self.life, Life::Over(_)) {
            return;
        }
        if now >= limit {
            return self.stop_by_ourselves(Reason::Lifetime(limit), now, act);
        }
        self.lifetime_at = Some(next_mark(limit, limit, now));
        warn(Reason::Lifetime(limit), limit - now, act);
    }

    /// An errand has looked for use.
    pub(super) fn looked_for_use(&mut self, seen: &UsageState, now: Clock, act: &mut Vec<Action>) {
        let Some(after) = self.policy.idle.unused.as_ref().map(|idle| idle.after) else { return };
        if self.usage.look_at.is_none() {
            return;
        }
        self.usage.by = self.usage.sign(seen, now);
        let before = self.usage.looked.replace((now, seen.processor)).map(|(at, _)| at);
        // The first look has no count of processor time to hold its own against, and who did not look for long (a container that was
        // paused) has not seen whether it was used.
        let saw_all = before.is_some_and(|before| now.saturating_sub(before) <= 2 * pace(after) + BLIND);
        if self.usage.by.is_some() || !saw_all {
            (self.usage.used_at, self.usage.warned) = (now, None);
            return;
        }
        let end = self.usage.used_at + after;
        if now >= end {
            return self.stop_by_ourselves(Reason::Idle(after), now, act);
        }
        self.warn_of_idle(after, end.saturating_sub(now), act);
        let next = next_mark(end, after, now).max(now + PACE.0);
        self.usage.look_at = self.usage.look_at.map(|at| at.min(next));
    }

    fn warn_of_idle(&mut self, after: Duration, left: Duration, act: &mut Vec<Action>) {
        let passed = WARNINGS.into_iter().filter(|mark| *mark < after && left <= *mark).min();
        if passed.is_some() && passed != self.usage.warned {
            self.usage.warned = passed;
            warn(Reason::Idle(after), left, act);
        }
    }

    fn stop_by_ourselves(&mut self, reason: Reason, now: Clock, act: &mut Vec<Action>) {
        self.reason = Some(reason);
        if self.policy.stop.grace.is_none() {
            (self.policy.stop.grace, self.policy.stop.grace_from) = (Some(GRACE), "no engine ends it".to_owned());
        }
        self.stop_signal(Arrived { number: libc::SIGTERM, pid: 0, uid: 0, kernel: false }, now, act);
    }
}

fn warn(reason: Reason, left: Duration, act: &mut Vec<Action>) {
    let line = LogEvent::EndsSoon { reason, left };
    act.push(Action::Say(line.clone()));
    act.push(Action::TellTerminals(line));
}

/// The next warning that is due before `end`, or that itself; only those that are shorter than the limit.
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
            play.does(Event::DoorClosed);
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

        /// Lets time pass to this minute; each look sees what `see` says at its second.
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
        assert!(act.contains(&Action::Tree(libc::SIGTERM)), "{act:?}");
    }

    #[test]
    fn what_nobody_uses_is_stopped_after_warnings() {
        let mut play = Play::new(Some(30 * MINUTE), None);
        play.until(100, nobody);
        // Counted from the first look, a minute after the begin.
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
        assert!(play.state.stop().is_none() && play.state.usage.unused_since() == Some(25 * MINUTE));
        play.until(60, typed);
        assert!(play.state.stop().is_some());
    }

    #[test]
    fn processor_time_is_use_and_a_little_of_it_is_not() {
        let share = |percent: u64| move |second: u64| UsageState { sign: None, processor: Some(second * 10 * percent) };
        let mut play = Play::new(Some(30 * MINUTE), None);
        play.until(100, share(50));
        assert_eq!((play.told(), play.state.usage.by()), (vec![], Some("50 % of a CPU")));
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
        // An errand that comes back with nothing, each time.
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
