//! Properties that hold in every order of events, whatever the policy is.

use super::*;
use crate::stop_protocol::{KILLS, PREPARE_GRACE};
use proptest::prelude::*;
use proptest::{collection, option};
use protocol::handover::{
    AfterStop, CheckpointPolicy, Checkpoints, Cloud, ExitPolicy, Heartbeat, HistoryPolicy, HoldPolicy, Idle,
    IdlePolicy, MirrorPolicy, Notice, NoticeKind, OnHang, Preempt, RequeuePolicy, Restart, SignalPolicy, StopPolicy,
    UsageState, Watchdog,
};
use std::time::Duration;
use sys::process::Ended;

mod mirror;

/// Events, each with its milliseconds after the event before it; `None` means exactly at the next deadline.
type Script = Vec<(Event, Option<u64>)>;

/// Plays events against a state and records the actions with their times.
struct Simulation {
    state: State,
    now: Clock,
    done: Vec<(Clock, Action)>,
}

impl Simulation {
    fn new() -> Self {
        Simulation { state: State::preparing(), now: Clock::ZERO, done: Vec::new() }
    }

    fn running(policy: Policy) -> Self {
        let mut play = Simulation::new();
        play.does(Event::Said(Message::Policy(Box::new(policy))));
        play.does(Event::Said(Message::Launching("python".into())));
        play.does(Event::HandoverClosed);
        play
    }

    /// Plays an event after a pause; deadlines in between come first, as in PID 1.
    fn after(&mut self, pause: Option<u64>, event: Event) {
        let wanted = pause.map_or(self.state.deadline().unwrap_or(self.now), |ms| self.now + Duration::from_millis(ms));
        self.pass(wanted);
        self.does(event);
    }

    /// Lets time pass, with a tick at each deadline.
    fn pass(&mut self, to: Clock) {
        while let Some(at) = self.state.deadline().filter(|at| *at <= to && !self.state.done) {
            self.now = self.now.max(at);
            self.does(Event::Tick);
            let next = self.state.deadline();
            assert!(next.is_none_or(|next| next > self.now), "busy at {:?}: {next:?} {:?}", self.now, self.state);
        }
        self.now = self.now.max(to);
    }

    fn does(&mut self, event: Event) {
        let mut act = Vec::new();
        self.state.step(event, self.now, &mut act);
        let begins = act.iter().any(|action| matches!(action, Action::BeginSidecar(_)));
        assert!(!begins || self.state.is_running() && self.state.stop().is_none(), "{:?}", self.done);
        self.done.extend(act.into_iter().map(|action| (self.now, action)));
    }

    fn play(&mut self, script: Script) {
        for (event, pause) in script {
            if self.state.done {
                return;
            }
            self.after(pause, event);
        }
    }

    fn count(&self, wanted: impl Fn(&Action) -> bool) -> usize {
        self.done.iter().filter(|(_, action)| wanted(action)).count()
    }

    fn first(&self, wanted: impl Fn(&Action) -> bool) -> Option<Clock> {
        self.done.iter().find(|(_, action)| wanted(action)).map(|(at, _)| *at)
    }
}

fn signal(signal: Signal) -> Event {
    Event::Signal(Arrived { signal, pid: None, uid: 0, kernel: false })
}

fn is_kill(action: &Action) -> bool {
    *action == Action::Kill
}

fn is_deliver(action: &Action) -> bool {
    matches!(action, Action::Deliver { .. })
}

fn is_exit(action: &Action) -> bool {
    matches!(action, Action::Exit(_))
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn restarts() -> impl Strategy<Value = Restart> {
    (0u32..4, collection::vec(any::<u8>(), 0..3), seconds(0..5), seconds(5..20), seconds(0..60))
        .prop_map(|(max, codes, pause, pause_max, healthy)| Restart { max, codes, pause, pause_max, healthy })
}

fn watchdogs() -> impl Strategy<Value = Watchdog> {
    let limit = || option::of(seconds(1..60));
    let action = prop_oneof![Just(OnHang::Log), Just(OnHang::Restart), Just(OnHang::Abort)];
    (limit(), limit(), limit(), action).prop_map(|(output, heartbeat, checkpoint, action)| Watchdog {
        output,
        heartbeat,
        checkpoint,
        action,
        stack_signal: None,
    })
}

fn limits_of_use() -> impl Strategy<Value = (Option<Idle>, Option<Duration>)> {
    let idle = seconds(2..5000).prop_map(|after| Idle { after, ..Idle::default() });
    (option::of(idle), option::of(seconds(6..5000)))
}

fn policies() -> impl Strategy<Value = Policy> {
    let parts = (
        option::of(seconds(0..60)),
        prop_oneof![Just(WorkloadKind::Train), Just(WorkloadKind::Build)],
        any::<[bool; 10]>(),
        restarts(),
        watchdogs(),
        option::of(seconds(1..20)),
        0usize..3,
        limits_of_use(),
    );
    parts.prop_map(|(grace, kind, flags, restart, watchdog, prepare_timeout, sidecars, (unused, lifetime))| {
        let [watched, signal, file, done, held, hooked, noticed, requeued, history, mirror] = flags;
        Policy {
            kind,
            restart,
            watchdog,
            prepare_timeout,
            stop: StopPolicy {
                grace,
                drain: Duration::from_secs(5),
                after_stop: hooked.then(AfterStop::default),
                done_file: done.then(|| "/done".into()),
                ..StopPolicy::default()
            },
            exit: ExitPolicy { stop_code: Some(143), ..ExitPolicy::default() },
            checkpoint: CheckpointPolicy {
                watched: watched.then(Checkpoints::default),
                signal: signal.then_some(libc::SIGUSR1),
                request_file: file.then(|| "/save".into()),
            },
            preempt: noticed.then_some(Preempt { cloud: Cloud::Aws, address: None }),
            requeue: requeued.then(RequeuePolicy::default),
            hold: held.then(|| HoldPolicy { time: Duration::from_secs(1800), look: "a\nb".into() }),
            sidecars: vec!["lab".into(); sidecars],
            history: history.then(HistoryPolicy::default),
            mirror: mirror.then(MirrorPolicy::default),
            idle: IdlePolicy { unused, lifetime },
            signals: SignalPolicy { on: vec![(libc::SIGUSR2, SignalMeaning::Checkpoint)], ..SignalPolicy::default() },
            ..Policy::default()
        }
    })
}

fn with_grace(mut policy: Policy, grace: Option<Duration>) -> Policy {
    policy.stop.grace = grace;
    policy
}

/// Generates every message that may come from prepare, helpers and the container.
fn words() -> impl Strategy<Value = Event> {
    let saved = any::<bool>().prop_map(|fresh| Message::Saved(SavedCheckpoint { fresh, ..SavedCheckpoint::default() }));
    let pulse = (option::of(0u64..3), 0u64..3)
        .prop_map(|(written, beat)| Message::Pulse(Heartbeat { written, heartbeat: beat as f64 }));
    prop_oneof![
        policies().prop_map(|policy| Message::Policy(Box::new(policy))),
        Just(Message::Launching("x".into())),
        Just(Message::Failed { errno: 2, name: "x".into() }),
        saved,
        pulse,
        any::<bool>().prop_map(Message::Answer),
        (option::of("x"), option::of(0u64..9))
            .prop_map(|(sign, processor)| Message::Use(UsageState { sign, processor })),
        Just(Message::Dumped),
        Just(Message::ServesAt("http://x/".into())),
        any::<bool>().prop_map(|up| Message::Answers(if up { Ok(()) } else { Err("x".into()) })),
        Just(Message::HistoryWaits("x\n".into())),
        Just(Message::HistoryFailed),
        any::<[bool; 2]>().prop_map(|[complete, refused]| Message::Mirror(MirrorState {
            complete,
            refused,
            ..MirrorState::default()
        })),
    ]
    .prop_map(Event::Said)
}

/// Generates notices of a cloud, which are stops.
fn notices() -> impl Strategy<Value = Event> {
    let left = option::of(seconds(0..200));
    left.prop_map(|left| Event::Said(Message::Notice(Notice { kind: NoticeKind::AwsSpot, left })))
}

fn signals() -> impl Strategy<Value = Event> {
    let named = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::USR2];
    prop_oneof![4 => proptest::sample::select(named.to_vec()), 1 => (1..=64).prop_filter_map("a signal", Signal::new)]
        .prop_map(signal)
}

fn ends() -> impl Strategy<Value = Event> {
    let ended = prop_oneof![
        (0u8..3).prop_map(Ended::Exited),
        Just(Ended::Killed(Signal::KILL)),
        Just(Ended::Killed(Signal::TERM))
    ];
    prop_oneof![
        ended.prop_map(Event::MainEnded),
        Just(Event::ChildrenGone),
        Just(Event::ChildEnded),
        Just(Event::OnlyHelpers),
        sidecars_end(),
    ]
}

fn sidecars_end() -> impl Strategy<Value = Event> {
    let ended = prop_oneof![Just(Ended::Exited(0)), Just(Ended::Exited(1)), Just(Ended::Killed(Signal::KILL))];
    (0usize..3, ended).prop_map(|(index, ended)| Event::SidecarEnded(index, ended))
}

fn others() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::HandoverClosed),
        Just(Event::SaveRequested),
        Just(Event::NoHandler(Signal::USR1)),
        Just(Event::Tick),
    ]
}

fn pauses() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![1 => Just(None), 3 => (0u64..8_000).prop_map(Some)]
}

fn scripts(events: impl Strategy<Value = Event>) -> impl Strategy<Value = Script> {
    collection::vec((events, pauses()), 0..40)
}

/// Generates every event that may happen while the main process is there.
fn before_the_end() -> impl Strategy<Value = Event> {
    prop_oneof![signals(), words(), others(), notices()]
}

fn anything() -> impl Strategy<Value = Event> {
    prop_oneof![2 => signals(), 2 => words(), 1 => others(), 1 => ends(), 1 => notices()]
}

/// Generates events that a running workload and its helpers cause, without a person's Ctrl-C.
fn while_it_saves() -> impl Strategy<Value = Event> {
    let heard = words().prop_filter("one policy", |event| !matches!(event, Event::Said(Message::Policy(_))));
    let quiet = signals().prop_filter("no interrupts", |event| *event != signal(Signal::INT));
    prop_oneof![quiet, heard, others(), Just(Event::ChildEnded), Just(Event::OnlyHelpers), sidecars_end()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_end_comes_once_and_only_when_everything_is_gone(script in scripts(before_the_end()), code: u8) {
        let mut play = Simulation::new();
        play.play(script);
        // The state may end with children left only after KILLS fruitless kills.
        prop_assert!(play.count(is_exit) == 0 || play.state.stop.kills() > KILLS);
        // A workload that ends now is not started again.
        play.state.policy.restart.max = 0;
        play.state.policy.stop.done_file = None;
        play.state.policy.hold = None;
        play.state.policy.stop.after_stop = None;
        play.state.policy.history = None;
        play.state.policy.requeue = None;
        play.does(Event::MainEnded(Ended::Exited(code)));
        play.does(Event::ChildrenGone);
        prop_assert_eq!(play.count(is_exit), 1);
    }

    #[test]
    fn no_order_of_events_is_busy_or_ends_twice(script in scripts(anything())) {
        let mut play = Simulation::new();
        for (event, pause) in script {
            play.after(pause, event);
        }
        play.pass(play.now + Duration::from_secs(3600));
        prop_assert!(play.count(is_exit) <= 1);
    }

    #[test]
    fn the_end_of_each_attempt_is_recorded_once(policy in policies(), script in scripts(anything())) {
        let mut play = Simulation::running(Policy { history: Some(HistoryPolicy::default()), ..policy });
        for (event, pause) in script {
            if !matches!(event, Event::Said(Message::Policy(_) | Message::HistoryFailed)) {
                play.after(pause, event);
            }
        }
        // Each answer lets the end go on to its next question.
        (0..5).for_each(|_| play.does(Event::ChildrenGone));
        play.pass(play.now + Duration::from_secs(3600));
        let attempts = 1 + play.count(|action| *action == Action::Begin);
        let recorded = play.count(|action| matches!(action, Action::WriteEnd { .. }));
        prop_assert!(recorded == attempts || recorded + 1 == attempts, "{recorded} of {attempts}: {:?}", play.done);
    }

    #[test]
    fn with_a_grace_everything_is_killed_when_it_is_over(policy in policies(), grace in 0u64..60, script in scripts(while_it_saves())) {
        let mut play = Simulation::running(with_grace(policy, Some(Duration::from_secs(grace))));
        play.does(signal(Signal::TERM));
        let end = play.now + Duration::from_secs(grace);
        play.play(script);
        play.pass(end);
        prop_assert_eq!(play.first(is_kill), Some(end), "{:?}", play.done);
    }

    #[test]
    fn without_a_grace_nothing_is_killed(policy in policies(), script in scripts(while_it_saves()), main_ends: bool) {
        let mut play = Simulation::running(with_grace(policy, None));
        play.does(signal(Signal::TERM));
        play.play(script);
        if main_ends {
            play.does(Event::MainEnded(Ended::Exited(0)));
        }
        play.pass(play.now + Duration::from_secs(100_000));
        prop_assert_eq!(play.count(is_kill), 0, "{:?}", play.done);
    }

    #[test]
    fn only_the_third_interrupt_kills_without_a_grace(policy in policies(), interrupts in 1usize..5) {
        let mut play = Simulation::running(with_grace(policy, None));
        (0..interrupts).for_each(|_| play.after(Some(1000), signal(Signal::INT)));
        prop_assert_eq!(play.count(is_kill) > 0, interrupts > 2);
        prop_assert_eq!(play.count(|action| *action == Action::Tree(Signal::TERM)), usize::from(interrupts > 1));
    }

    #[test]
    fn a_stop_is_delivered_at_most_once(asks: bool, grace in option::of(seconds(2..40)), script in scripts(while_saving_for_a_stop())) {
        let signal_to_save = asks.then_some(libc::SIGUSR1);
        let checkpoint = CheckpointPolicy { watched: Some(Checkpoints::default()), signal: signal_to_save, request_file: None };
        let mut play = Simulation::running(with_grace(Policy { checkpoint, ..Policy::default() }, grace));
        play.does(signal(Signal::TERM));
        play.play(script);
        play.pass(play.now + Duration::from_secs(3600));
        let all = play.first(|action| *action == Action::Tree(Signal::TERM));
        let one = play.first(is_deliver);
        prop_assert!(play.count(is_deliver) <= 1 && (asks || one.is_some()), "{:?}", play.done);
        // The stop signal is not sent again after every process got it.
        prop_assert!(all.is_none() || one.is_none() || one <= all, "{:?}", play.done);
    }

    #[test]
    fn a_stop_between_two_runs_is_the_end(grace in option::of(seconds(0..9)), gone in 0u64..6_000, stop in 0u64..12_000) {
        let restart = Restart { max: 9, pause: Duration::from_secs(2), pause_max: Duration::from_secs(2), ..Restart::default() };
        let stops = StopPolicy { grace, drain: Duration::from_secs(3), ..StopPolicy::default() };
        let exit = ExitPolicy { stop_code: Some(143), ..ExitPolicy::default() };
        let mut play = Simulation::running(Policy { stop: stops, restart, exit, ..Policy::default() });
        play.after(Some(10), Event::MainEnded(Ended::Exited(1)));
        let mut events = [(gone, Event::ChildrenGone), (stop, signal(Signal::TERM))];
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            play.pass(Duration::from_millis(at));
            play.does(event);
        }
        play.pass(Duration::from_secs(100));
        let began = play.count(|action| *action == Action::Begin);
        // The next run either begins before the stop, or never.
        prop_assert_eq!(began, usize::from(stop >= gone.max(10) + 2000), "{:?}", play.done);
        prop_assert_eq!(began == 0, play.done.iter().any(|(_, action)| *action == Action::Exit(143)), "{:?}", play.done);
    }

    #[test]
    fn a_stop_while_preparing_is_over_within_five_seconds(policy in policies(), script in scripts(while_preparing())) {
        let mut play = Simulation::new();
        play.does(Event::Said(Message::Policy(Box::new(policy))));
        play.does(signal(Signal::TERM));
        let end = play.now + PREPARE_GRACE;
        play.play(script);
        play.pass(end);
        prop_assert!(play.first(is_kill).is_some_and(|at| at <= end), "{:?}", play.done);
    }

    #[test]
    fn a_stop_is_never_followed_by_a_start(policy in policies(), before in scripts(anything()), after in scripts(anything())) {
        let mut play = Simulation::running(policy);
        play.play(before);
        if !play.state.done {
            play.does(signal(Signal::TERM));
            let stopped = play.done.len();
            play.play(after);
            play.pass(play.now + Duration::from_secs(3600));
            prop_assert!(!play.done[stopped..].iter().any(|(_, action)| *action == Action::Begin), "{:?}", play.done);
        }
    }

    #[test]
    fn no_sidecar_is_started_but_while_the_workload_runs(policy in policies(), script in scripts(anything())) {
        let mut play = Simulation::new();
        play.does(Event::Said(Message::Policy(Box::new(policy))));
        // `does` checks each event.
        script.into_iter().for_each(|(event, pause)| play.after(pause, event));
    }

    #[test]
    fn a_container_stops_by_itself_once_and_never_before_its_lifetime(policy in policies(), limit in 2u64..5000, script in scripts(while_it_saves())) {
        let lifetime = Some(Duration::from_secs(limit));
        let mut play = Simulation::running(Policy { idle: IdlePolicy { unused: None, lifetime }, ..policy });
        play.play(script);
        play.pass(Duration::from_secs(6000));
        let asked = |action: &Action| matches!(action, Action::Say(LogEvent::Stopping { reason: Some(_), .. }));
        let first = play.first(asked);
        prop_assert!(play.count(asked) <= 1 && first.is_none_or(|at| Some(at) >= lifetime), "{:?}", play.done);
        prop_assert!(first.is_some() || play.state.stop().is_some() || play.state.done, "{:?}", play.done);
    }

    #[test]
    fn a_repeated_term_never_brings_a_deadline_forward(grace in 1u64..10_000, times in collection::vec(0u64..9_000, 1..10)) {
        let mut play = Simulation::running(with_grace(Policy::default(), Some(Duration::from_secs(grace))));
        play.does(signal(Signal::TERM));
        let before = play.state.deadline();
        for ms in times {
            play.now = Duration::from_millis(ms);
            play.does(signal(Signal::TERM));
            prop_assert_eq!(play.state.deadline(), before);
        }
    }
}

/// Generates events that may happen while a stop waits for a checkpoint.
fn while_saving_for_a_stop() -> impl Strategy<Value = Event> {
    let saved = Event::Said(Message::Saved(SavedCheckpoint { fresh: true, ..SavedCheckpoint::default() }));
    let interrupt = signal(Signal::INT);
    prop_oneof![1 => Just(saved), 1 => signals(), 2 => Just(interrupt), 1 => Just(Event::NoHandler(Signal::USR1))]
}

/// Generates messages that may come before the workload is there.
fn while_preparing() -> impl Strategy<Value = Event> {
    let heard = words().prop_filter("it does not launch", |event| !matches!(event, Event::Said(Message::Launching(_))));
    prop_oneof![signals(), heard, Just(Event::Tick), Just(Event::HandoverClosed), Just(Event::ChildEnded)]
}
