//! Orders of events, each as a table of events and PID 1's actions.

use super::*;
use protocol::handover::{
    AfterStop, CheckpointPolicy, Checkpoints, ExitPolicy, HistoryPolicy, HoldPolicy, MirrorPolicy, ReportPolicy,
    Restart, SavedCheckpoint, StopPolicy,
};
use std::time::Duration;
use sys::process::Ended;

mod delivery;
mod interruption;

fn at(seconds: f64) -> Clock {
    Duration::from_secs_f64(seconds)
}

fn signal(signal: Signal) -> Event {
    Event::Signal(Arrived { signal, pid: None, uid: 0, kernel: false })
}

struct Play(State);

impl Play {
    fn running(policy: Policy) -> Self {
        let mut play = Play(State::preparing());
        play.does(0.0, Event::Said(Message::Policy(Box::new(policy))));
        play.does(0.0, Event::Said(Message::Launching("python".into())));
        play.does(0.0, Event::HandoverClosed);
        play
    }

    fn does(&mut self, seconds: f64, event: Event) -> Vec<Action> {
        let mut act = Vec::new();
        self.0.step(event, at(seconds), &mut act);
        act.retain(|action| !matches!(action, Action::Say(_)));
        act
    }

    /// Lets time pass up to the next deadline.
    fn tick(&mut self) -> (f64, Vec<Action>) {
        let now = self.0.deadline().expect("a deadline").as_secs_f64();
        (now, self.does(now, Event::Tick))
    }
}

fn train(grace: Option<u64>) -> Policy {
    let grace = grace.map(Duration::from_secs);
    Policy {
        stop: StopPolicy { grace, drain: Duration::from_secs(5), ..StopPolicy::default() },
        exit: ExitPolicy { stop_code: Some(143), ..ExitPolicy::default() },
        ..Policy::default()
    }
}

const TERM: Signal = Signal::TERM;
const DELIVER: Action = Action::Deliver { signal: TERM, chosen: false };

#[test]
fn a_natural_end_waits_a_moment_then_drains_then_kills() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(10.0, Event::MainEnded(Ended::Exited(3))), []);
    assert_eq!(play.tick(), (10.1, vec![Action::Tree(TERM)]));
    assert_eq!(play.tick(), (11.1, vec![Action::NameLeft(Some(Duration::from_secs(4)))]));
    assert_eq!(play.tick(), (15.1, vec![Action::NameKilled, Action::Kill]));
    assert_eq!(play.does(15.2, Event::ChildrenGone), [Action::Exit(3)]);
}

fn mirrored(policy: Policy) -> Policy {
    Policy { mirror: Some(MirrorPolicy::default()), ..policy }
}

fn mirror(complete: bool) -> Event {
    Event::Said(Message::Mirror(MirrorState { complete, ..MirrorState::default() }))
}

#[test]
fn a_natural_end_waits_for_the_upload_and_is_no_success_without_it() {
    for (complete, code) in [(true, 0), (false, 213)] {
        let mut play = Play::running(mirrored(train(Some(30))));
        assert_eq!(play.does(10.0, Event::MainEnded(Ended::Exited(0))), []);
        assert_eq!(play.does(10.0, Event::OnlyHelpers), [Action::EndHelpers]);
        assert_eq!((play.0.phase(), play.0.deadline()), (Phase::Mirroring, None));
        play.does(900.0, mirror(complete));
        assert_eq!(play.does(900.0, Event::ChildrenGone), [Action::Exit(code)]);
    }
}

#[test]
fn a_stop_gives_the_upload_what_is_left_of_the_grace() {
    let mut play = Play::running(mirrored(train(Some(30))));
    play.does(1.0, signal(TERM));
    play.does(5.0, Event::MainEnded(Ended::Exited(0)));
    assert_eq!(play.does(5.0, Event::OnlyHelpers), [Action::EndHelpers]);
    assert_eq!(play.tick(), (29.0, vec![Action::EndUpload]));
    assert_eq!(play.0.deadline(), None);
    assert_eq!(play.does(29.1, Event::ChildrenGone), [Action::Exit(143)]);
}

#[test]
fn a_stop_while_only_an_upload_is_left_has_the_grace_and_tells_what_is_missing() {
    let mut play = Play::running(mirrored(train(Some(30))));
    play.does(10.0, Event::MainEnded(Ended::Exited(0)));
    play.does(10.0, Event::OnlyHelpers);
    assert_eq!(play.does(20.0, signal(TERM)), []);
    assert_eq!(play.tick(), (48.0, vec![Action::EndUpload]));
    assert_eq!(play.does(48.1, Event::ChildrenGone), [Action::Exit(213)]);
}

#[test]
fn without_a_grace_a_workload_that_saves_is_never_killed() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(TERM)), [DELIVER]);
    assert_eq!(play.0.deadline(), None);
    assert_eq!(play.does(2.0, signal(TERM)), []);
    assert_eq!(play.does(900.0, Event::MainEnded(Ended::Exited(0))), [Action::DeliverToOrphans]);
    assert_eq!(play.tick(), (901.0, vec![Action::NameLeft(None)]));
    assert_eq!(play.0.deadline(), None);
    assert_eq!(play.does(950.0, Event::ChildrenGone), [Action::Exit(143)]);
}

#[test]
fn a_grace_ends_with_term_for_all_and_then_kill() {
    let mut play = Play::running(train(Some(30)));
    assert_eq!(play.does(1.0, signal(TERM)), [DELIVER]);
    assert_eq!(play.tick(), (28.0, vec![Action::Tree(TERM)]));
    assert_eq!(play.tick(), (31.0, vec![Action::Kill]));
    assert_eq!(play.does(31.1, Event::MainEnded(Ended::Killed(Signal::KILL))), [Action::DeliverToOrphans]);
    assert_eq!(play.does(31.1, Event::ChildrenGone), [Action::Exit(137)]);
}

#[test]
fn interrupt_twice_means_now_and_thrice_means_kill() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(Signal::INT)), [Action::Deliver { signal: Signal::INT, chosen: false }]);
    assert_eq!(play.does(2.0, signal(Signal::INT)), [Action::Tree(TERM)]);
    assert_eq!(play.does(3.0, signal(Signal::INT)), [Action::Kill]);
}

#[test]
fn a_stop_while_preparing_ends_everything_within_five_seconds() {
    let mut play = Play(State::preparing());
    assert_eq!(play.does(1.0, signal(TERM)), [Action::Tree(TERM)]);
    assert_eq!(play.tick(), (6.0, vec![Action::Kill]));
    play.does(6.0, Event::MainEnded(Ended::Killed(Signal::KILL)));
    assert_eq!(play.does(6.1, Event::ChildrenGone), [Action::Exit(143)]);
}

#[test]
fn a_stop_in_the_moment_of_exec_has_the_workloads_budget() {
    let mut play = Play(State::preparing());
    play.does(0.0, Event::Said(Message::Policy(Box::new(train(Some(60))))));
    play.does(0.5, Event::Said(Message::Launching("python".into())));
    assert_eq!(play.does(1.0, signal(TERM)), [Action::Tree(TERM)]);
    play.does(1.0, Event::HandoverClosed);
    assert_eq!(play.0.deadline(), Some(at(55.0)));
}

#[test]
fn a_stop_of_a_start_that_fails_with_the_other_nodes_changes_no_code() {
    for (failing_first, code) in [(true, 111), (false, 143)] {
        let mut play = Play(State::preparing());
        play.does(0.0, Event::Said(Message::Policy(Box::new(train(None)))));
        let mut events = [Event::Said(Message::Failing(111)), signal(TERM)];
        events.rotate_left(usize::from(!failing_first));
        events.into_iter().for_each(|event| drop(play.does(1.0, event)));
        play.does(1.1, Event::HandoverClosed);
        play.does(1.1, Event::MainEnded(Ended::Killed(TERM)));
        assert_eq!(play.does(1.2, Event::ChildrenGone), [Action::Exit(code)]);
    }
}

#[test]
fn a_failed_preparation_keeps_its_code_and_leaves_nothing() {
    let mut play = Play(State::preparing());
    assert_eq!(play.does(1.0, Event::MainEnded(Ended::Exited(111))), [Action::Tree(TERM)]);
    assert_eq!(play.tick(), (1.1, vec![Action::Kill]));
    assert_eq!(play.does(1.2, Event::ChildrenGone), [Action::Exit(111)]);
}

#[test]
fn requirements_that_were_left_alone_are_named_only_when_python_failed_by_itself() {
    let missed = |ended, stopped: bool| {
        let mut play = Play(State::preparing());
        play.does(0.0, Event::Said(Message::Policy(Box::new(train(Some(60))))));
        play.does(0.1, Event::Said(Message::LeftAlone("src/requirements.txt".into())));
        play.does(0.5, Event::Said(Message::Launching("python".into())));
        play.does(0.6, Event::HandoverClosed);
        if stopped {
            play.does(1.0, signal(TERM));
        }
        play.does(2.0, Event::MainEnded(ended));
        play.0.perhaps_missed().map(str::to_owned)
    };
    assert_eq!(missed(Ended::Exited(1), false).as_deref(), Some("src/requirements.txt"));
    assert_eq!(missed(Ended::Exited(1), true), None);
    assert_eq!(missed(Ended::Exited(0), false), None);
}

#[test]
fn a_killed_preparation_says_during_what_and_leaves_a_report() {
    let mut play = Play(State::preparing());
    let policy = Policy { report: ReportPolicy { file: Some("/r".into()), ..ReportPolicy::default() }, ..train(None) };
    play.does(0.0, Event::Said(Message::Policy(Box::new(policy))));
    play.does(0.1, Event::Said(Message::Phase(Phase::Installing)));
    play.does(1.0, Event::MemoryRanOut);
    assert_eq!(play.does(1.0, Event::MainEnded(Ended::Killed(Signal::KILL))), [Action::Tree(TERM)]);
    let how = "killed by SIGKILL while installing dependencies".to_owned();
    assert_eq!(play.does(1.2, Event::ChildrenGone), [Action::Send(HelperTask::Report { how, code: 214 })]);
    assert_eq!(play.does(1.3, Event::ChildrenGone), [Action::Exit(214)]);
}

#[test]
fn a_preparation_that_was_told_to_end_is_not_taken_for_a_killed_one() {
    let mut play = Play(State::preparing());
    play.does(1.0, signal(TERM));
    play.does(6.0, Event::MainEnded(Ended::Killed(Signal::KILL)));
    assert_eq!(play.0.prepare_killed(), None);
    let mut play = Play(State::preparing());
    let policy = Policy { prepare_timeout: Some(Duration::from_secs(2)), ..train(None) };
    play.does(0.0, Event::Said(Message::Policy(Box::new(policy))));
    play.tick();
    play.does(7.0, Event::MainEnded(Ended::Killed(Signal::KILL)));
    assert_eq!(play.0.prepare_killed(), None);
}

#[test]
fn only_a_killed_preparation_that_failed_is_held() {
    for (signal, held) in [(Signal::KILL, true), (Signal::INT, false)] {
        let mut play = Play(State::preparing());
        let hold = Some(HoldPolicy { time: Duration::from_secs(60), look: String::new() });
        play.does(0.0, Event::Said(Message::Policy(Box::new(Policy { hold, ..train(None) }))));
        play.does(1.0, Event::MainEnded(Ended::Killed(signal)));
        play.does(1.1, Event::ChildrenGone);
        assert_eq!(play.0.phase() == Phase::Holding, held, "{signal}");
    }
}

#[test]
fn prepare_timeout_ends_with_118() {
    let mut play = Play(State::preparing());
    let policy = Policy { prepare_timeout: Some(Duration::from_secs(2)), ..train(None) };
    play.does(0.0, Event::Said(Message::Policy(Box::new(policy))));
    assert_eq!(play.tick(), (2.0, vec![Action::Tree(TERM)]));
    play.does(2.1, Event::MainEnded(Ended::Killed(TERM)));
    assert_eq!(play.does(2.1, Event::ChildrenGone), [Action::Exit(118)]);
}

#[test]
fn other_signals_are_held_until_the_workload_is_there() {
    let mut play = Play(State::preparing());
    assert_eq!(play.does(0.1, signal(Signal::USR1)), []);
    play.does(0.2, Event::Said(Message::Launching("python".into())));
    assert_eq!(play.does(0.3, Event::HandoverClosed), []);
    assert_eq!(play.does(0.31, signal(Signal::USR2)), [Action::Forward(Signal::USR2)]);
    assert_eq!(play.tick(), (0.35, vec![Action::Release(Signal::USR1.bit())]));
}

#[test]
fn hang_up_stops_a_training_and_is_forwarded_to_a_shell() {
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, signal(Signal::HUP)), [DELIVER]);
    let mut play = Play::running(Policy { kind: WorkloadKind::Build, ..train(None) });
    assert_eq!(play.does(1.0, signal(Signal::HUP)), [Action::Forward(Signal::HUP)]);
}

#[test]
fn what_cannot_be_killed_is_given_up() {
    let mut play = Play::running(train(Some(1)));
    play.does(0.0, signal(TERM));
    let mut last = Vec::new();
    while play.0.deadline().is_some() {
        last = play.tick().1;
    }
    assert_eq!(last, [Action::Exit(137)]);
}

#[test]
fn a_plain_init_forwards_everything_and_means_nothing_by_it() {
    let mut play = Play(State::plain(Policy::default()));
    let real_time = [34, 64].map(|number| Signal::new(number).unwrap());
    for arrived in [TERM, Signal::INT, Signal::HUP, Signal::PWR].into_iter().chain(real_time) {
        assert_eq!(play.does(1.0, signal(arrived)), [Action::Forward(arrived)]);
    }
    play.does(2.0, Event::MainEnded(Ended::Killed(TERM)));
    assert_eq!(play.does(2.0, Event::ChildrenGone), [Action::Exit(143)]);
}

fn held(kind: WorkloadKind) -> Policy {
    Policy {
        kind,
        hold: Some(HoldPolicy { time: Duration::from_secs(60), look: "look\nend it".into() }),
        ..train(Some(30))
    }
}

#[test]
fn a_failed_training_is_held_until_the_time_is_over_and_ends_with_its_code() {
    let mut play = Play::running(held(WorkloadKind::Train));
    play.does(10.0, Event::MainEnded(Ended::Exited(3)));
    assert_eq!(play.does(10.05, Event::ChildrenGone), [Action::Account(3)]);
    assert_eq!((play.0.phase(), play.0.deadline()), (Phase::Holding, Some(at(70.05))));
    // A person who looks into the container leaves orphans, and a request fails.
    for event in [Event::ChildrenGone, Event::ChildEnded, Event::SaveRequested, signal(Signal::USR1)] {
        assert_eq!(play.does(20.0, event), []);
    }
    assert_eq!(play.tick(), (70.05, vec![Action::Exit(3)]));
}

#[test]
fn a_stop_ends_what_is_held_at_once_and_changes_no_code() {
    for arrived in [TERM, Signal::INT, Signal::HUP] {
        let mut play = Play(State::preparing());
        play.does(0.0, Event::Said(Message::Policy(Box::new(held(WorkloadKind::Build)))));
        play.does(1.0, Event::MainEnded(Ended::Exited(111)));
        assert_eq!(play.does(1.0, Event::ChildrenGone), [Action::Account(111)]);
        assert_eq!(play.does(2.0, signal(arrived)), [Action::Exit(111)]);
        assert_eq!(play.0.phase(), Phase::Stopping);
    }
}

#[test]
fn what_was_stopped_ended_well_or_is_a_shell_is_not_held() {
    let mut stopped = Play::running(held(WorkloadKind::Train));
    stopped.does(1.0, signal(TERM));
    stopped.does(2.0, Event::MainEnded(Ended::Exited(7)));
    assert_eq!(stopped.does(2.0, Event::ChildrenGone), [Action::Exit(7)]);
    for (kind, code) in [(WorkloadKind::Train, 0), (WorkloadKind::Build, 7)] {
        let mut play = Play::running(held(kind));
        play.does(2.0, Event::MainEnded(Ended::Exited(code)));
        assert_eq!(play.does(2.0, Event::ChildrenGone), [Action::Exit(code)]);
    }
}

#[test]
fn restarts_come_before_the_hold() {
    let restart = Restart { max: 1, ..Restart::default() };
    let mut play = Play::running(Policy { restart, ..held(WorkloadKind::Train) });
    play.does(1.0, Event::MainEnded(Ended::Exited(3)));
    assert_eq!(play.does(1.0, Event::ChildrenGone), []);
    assert_eq!(play.does(1.0, Event::Tick), [Action::Begin]);
    play.does(2.0, Event::MainEnded(Ended::Exited(4)));
    assert_eq!(play.does(2.0, Event::ChildrenGone), [Action::Account(4)]);
}

fn hooked(mut policy: Policy) -> Policy {
    policy.stop.after_stop = Some(AfterStop {
        paths: vec!["/hooks".into()],
        timeout: Some(Duration::from_secs(60)),
        ..AfterStop::default()
    });
    policy
}

#[test]
fn hooks_run_when_all_is_gone_and_before_it_is_held() {
    let mut play = Play::running(hooked(held(WorkloadKind::Train)));
    play.does(1.0, Event::MainEnded(Ended::Exited(3)));
    let time = Duration::from_secs(60);
    assert_eq!(play.does(1.0, Event::ChildrenGone), [Action::Send(HelperTask::AfterStop { time, code: 3 })]);
    // Processes that the hooks leave behind are killed in the end.
    assert_eq!(play.0.deadline(), Some(at(67.0)));
    assert_eq!(play.does(2.0, Event::ChildrenGone), [Action::Account(3)]);
    // Within a grace the hooks have less time, and they have none after a workload that never ran.
    let mut play = Play::running(hooked(train(Some(30))));
    play.does(1.0, signal(TERM));
    play.does(11.0, Event::MainEnded(Ended::Exited(0)));
    let time = Duration::from_secs(14);
    assert_eq!(play.does(11.0, Event::ChildrenGone), [Action::Send(HelperTask::AfterStop { time, code: 143 })]);
    assert_eq!(play.0.deadline(), Some(at(31.0)));
    let mut play = Play(State::preparing());
    play.does(0.0, Event::Said(Message::Policy(Box::new(hooked(train(None))))));
    play.does(1.0, Event::MainEnded(Ended::Exited(111)));
    assert_eq!(play.does(1.0, Event::ChildrenGone), [Action::Exit(111)]);
}

#[test]
fn the_end_is_recorded_before_hooks_which_keep_what_is_left_of_the_grace() {
    let recorded = |policy: Policy| Policy { history: Some(HistoryPolicy::default()), ..policy };
    let mut play = Play::running(recorded(hooked(train(Some(30)))));
    play.does(1.0, signal(TERM));
    play.does(11.0, Event::MainEnded(Ended::Exited(0)));
    let end = |code, over, waiting: &str| Action::WriteEnd { code, over, waiting: waiting.into() };
    assert_eq!(play.does(11.0, Event::ChildrenGone), [end(143, false, "")]);
    // Nothing is killed, and no code changes, while that is written.
    assert_eq!(play.0.deadline(), None);
    let time = Duration::from_secs(12);
    assert_eq!(play.does(13.0, Event::ChildrenGone), [Action::Send(HelperTask::AfterStop { time, code: 143 })]);
    // Lines that wait for a first checkpoint are kept from run to run, and are written with that checkpoint.
    let restart = Restart { max: 2, ..Restart::default() };
    let mut play = Play::running(recorded(Policy { restart, ..watched(30) }));
    play.does(0.5, Event::Said(Message::HistoryWaits("a\n".into())));
    play.does(1.0, Event::MainEnded(Ended::Exited(3)));
    assert_eq!(play.does(1.0, Event::ChildrenGone), [end(3, false, "a\n")]);
    play.does(1.1, Event::Said(Message::HistoryWaits("a\nb\n".into())));
    play.does(1.1, Event::ChildrenGone);
    assert_eq!(play.does(1.1, Event::Tick), [Action::Begin]);
    let policy = play.0.policy.clone();
    play.does(1.2, Event::Said(Message::Policy(Box::new(policy))));
    play.does(1.2, Event::Said(Message::Launching("python".into())));
    play.does(1.2, Event::HandoverClosed);
    let saved = Event::Said(Message::Saved(SavedCheckpoint { fresh: true, ..SavedCheckpoint::default() }));
    assert_eq!(play.does(2.0, saved), [Action::Send(HelperTask::WriteHistory("a\nb\n".into()))]);
    play.does(3.0, Event::MainEnded(Ended::Exited(0)));
    assert_eq!(play.does(3.0, Event::ChildrenGone), [end(0, true, "")]);
    assert_eq!(play.does(3.0, Event::ChildrenGone), [Action::Exit(0)]);
}

fn watched(grace: u64) -> Policy {
    let checkpoint = CheckpointPolicy { watched: Some(Checkpoints::default()), ..CheckpointPolicy::default() };
    Policy { checkpoint, ..train(Some(grace)) }
}

#[test]
fn a_stop_that_brings_no_checkpoint_is_looked_into_at_half_of_the_time_for_saving() {
    let mut play = Play::running(watched(100));
    play.does(10.0, signal(TERM));
    assert_eq!(play.tick(), (55.0, vec![Action::Dump]));
    assert_eq!(play.tick(), (100.0, vec![Action::Tree(TERM)]));
}

#[test]
fn nobody_worries_about_a_checkpoint_that_came_a_short_grace_or_a_workload_that_has_ended() {
    let mut saved = Play::running(watched(100));
    saved.does(10.0, signal(TERM));
    saved.does(20.0, Event::Said(Message::Saved(SavedCheckpoint { fresh: true, ..SavedCheckpoint::default() })));
    assert_eq!(saved.tick(), (55.0, vec![]));
    let mut short = Play::running(watched(20));
    short.does(10.0, signal(TERM));
    assert_eq!(short.tick(), (28.0, vec![Action::Tree(TERM)]));
    let mut ended = Play::running(watched(100));
    ended.does(10.0, signal(TERM));
    ended.does(12.0, Event::MainEnded(Ended::Exited(0)));
    while let Some(at) = ended.0.deadline().filter(|at| *at < Duration::from_secs(90)) {
        assert!(!ended.does(at.as_secs_f64(), Event::Tick).contains(&Action::Dump));
    }
}

/// A build mode's server that is asked for two minutes, and what PID 1 does and logs at each event.
fn serving(address: Option<&str>) -> (Play, Vec<Action>) {
    let service = Some(protocol::handover::Service::on(8888));
    let ready_timeout = Some(Duration::from_secs(120));
    let policy = Policy { kind: WorkloadKind::Build, service, ready_timeout, ..Policy::default() };
    let mut play = Play(State::preparing());
    play.does(0.0, Event::Said(Message::Policy(Box::new(policy))));
    address.map(|address| play.does(0.1, Event::Said(Message::ServesAt(address.into()))));
    play.does(0.1, Event::Said(Message::Launching("jupyter-lab".into())));
    let act = play.does(0.2, Event::HandoverClosed);
    (play, act)
}

/// The lines that an event logs.
fn said(play: &mut Play, seconds: f64, event: Event) -> Vec<String> {
    let mut act = Vec::new();
    play.0.step(event, at(seconds), &mut act);
    let words = |action: &Action| match action {
        Action::Say(event) => Some(crate::log_words::words(event)),
        _ => None,
    };
    act.iter().filter_map(words).collect()
}

#[test]
fn a_server_that_answers_is_told_with_its_address_and_leaves_no_deadline() {
    let (mut play, act) = serving(Some("http://localhost:8888/lab"));
    assert_eq!(act, [Action::Send(HelperTask::AwaitService { within: Duration::from_secs(120) })]);
    assert_eq!(play.0.deadline(), None);
    let told = said(&mut play, 1.5, Event::Said(Message::Answers(Ok(()))));
    assert_eq!(told, ["ready after 1.3 s: http://localhost:8888/lab"]);
    assert_eq!(play.0.deadline(), None);
}

#[test]
fn a_server_that_does_not_answer_in_time_is_told_with_the_reason() {
    let (mut play, _) = serving(Some("http://localhost:8888/lab"));
    let why = Message::Answers(Err("port 8888: no process listens there".into()));
    let told = "not ready after 2 min 00 s: port 8888: no process listens there; `trainit health --ready` asks again";
    assert_eq!(said(&mut play, 120.2, Event::Said(why)), [told]);
}

#[test]
fn the_address_of_a_server_that_stops_or_has_ended_is_told_no_more() {
    let ready = || Event::Said(Message::Answers(Ok(())));
    let (mut play, _) = serving(Some("http://localhost:8888/lab"));
    play.does(1.0, signal(TERM));
    assert_eq!(said(&mut play, 1.1, ready()), [""; 0]);
    let (mut play, _) = serving(Some("http://localhost:8888/lab"));
    play.does(1.0, Event::MainEnded(Ended::Exited(1)));
    assert_eq!(said(&mut play, 1.1, ready()), [""; 0]);
}

#[test]
fn without_an_address_nobody_waits_for_the_server() {
    assert_eq!(serving(None).1, []);
}
