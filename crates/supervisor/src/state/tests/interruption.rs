//! Notices of a cloud, and the start after a stop.

use super::*;
use protocol::handover::{Notice, NoticeKind, Preempt, RequeuePolicy, SignalPolicy};

fn notice(left: Option<u64>) -> Event {
    Event::Said(Message::Notice(Notice { kind: NoticeKind::AwsSpot, left: left.map(Duration::from_secs) }))
}

#[test]
fn a_notice_is_a_stop_with_its_own_time_even_where_the_engines_is_shorter() {
    for grace in [None, Some(10), Some(600)] {
        let mut play = Play::running(train(grace));
        assert_eq!(play.does(1.0, notice(Some(100))), [DELIVER]);
        assert_eq!(play.tick(), (91.0, vec![Action::Tree(TERM)]), "{grace:?}");
        assert_eq!(play.tick(), (101.0, vec![Action::Kill]), "{grace:?}");
    }
    let mut play = Play::running(train(None));
    assert_eq!(play.does(1.0, notice(None)), [DELIVER]);
    assert_eq!(play.0.deadline(), None, "the end of the machine is not known");
    assert_eq!(play.does(2.0, notice(Some(3))), [], "a second notice changes nothing");
    assert_eq!(play.0.deadline(), None);
}

#[test]
fn the_engines_own_signal_after_a_notice_begins_the_engines_grace() {
    let mut play = Play::running(train(Some(20)));
    play.does(1.0, notice(Some(100)));
    assert_eq!(play.does(11.0, signal(TERM)), []);
    assert_eq!(play.tick(), (29.0, vec![Action::Tree(TERM)]));
    assert_eq!(play.does(30.0, signal(TERM)), [], "only the first one does");
    assert_eq!(play.tick(), (31.0, vec![Action::Kill]));
    let mut play = Play::running(train(Some(600)));
    play.does(1.0, notice(Some(100)));
    play.does(11.0, signal(TERM));
    assert_eq!(play.tick(), (91.0, vec![Action::Tree(TERM)]), "a longer one does not reach beyond the machine's end");
}

#[test]
fn the_cloud_is_asked_once_the_workload_runs() {
    let preempt = Some(Preempt { cloud: protocol::handover::Cloud::Aws, address: None });
    let mut state = State::preparing();
    let mut does = |event| {
        let mut act = Vec::new();
        state.step(event, at(0.0), &mut act);
        act
    };
    assert_eq!(does(Event::Said(Message::Policy(Box::new(Policy { preempt, ..train(None) })))), []);
    assert_eq!(does(Event::Said(Message::Launching("python".into()))), []);
    assert_eq!(does(Event::HandoverClosed), [Action::Send(HelperTask::Preemption)]);
}

#[test]
fn a_job_is_requeued_once_and_last_and_only_after_a_stop_in_good_order() {
    let end = |asked: Option<Event>, ended, kind, done_file: Option<&str>| {
        let policy = train(None);
        let stop = StopPolicy { done_file: done_file.map(str::to_owned), ..policy.stop };
        let mut play = Play::running(Policy {
            requeue: Some(RequeuePolicy { job: "7".into(), alone: true }),
            kind,
            stop,
            ..policy
        });
        asked.into_iter().for_each(|event| drop(play.does(1.0, event)));
        play.does(2.0, Event::MainEnded(ended));
        if done_file.is_some() {
            assert_eq!(play.does(2.0, Event::ChildrenGone), [Action::Send(HelperTask::DoneFile)]);
            play.does(2.0, Event::Said(Message::Answer(true)));
        }
        let first = play.does(3.0, Event::ChildrenGone);
        if first == [Action::Account(143), Action::Send(HelperTask::Requeue)] {
            let last = play.does(4.0, Event::ChildrenGone);
            assert!(matches!(last[..], [Action::Exit(143)]), "{last:?}");
            return true;
        }
        assert!(matches!(first[..], [Action::Exit(_)]), "{first:?}");
        false
    };
    let (train, build) = (WorkloadKind::Train, WorkloadKind::Build);
    assert!(end(Some(signal(TERM)), Ended::Exited(0), train, None));
    assert!(end(Some(notice(Some(100))), Ended::Killed(TERM), train, None));
    assert!(!end(None, Ended::Exited(0), train, None), "finished");
    assert!(!end(None, Ended::Exited(1), train, None), "failed");
    assert!(!end(Some(signal(TERM)), Ended::Exited(3), train, None), "failed while it stopped");
    assert!(!end(Some(signal(Signal::INT)), Ended::Exited(0), train, None), "a person's Ctrl-C");
    assert!(!end(Some(signal(TERM)), Ended::Exited(0), train, Some("/done")), "complete");
    assert!(!end(Some(signal(TERM)), Ended::Exited(0), build, None));
}

#[test]
fn in_a_step_of_several_processes_a_sigterm_may_be_the_failure_of_another_one() {
    let end = |asked| {
        let signals = SignalPolicy { on: vec![(libc::SIGUSR1, SignalMeaning::Stop)], ..SignalPolicy::default() };
        let requeue = Some(RequeuePolicy { job: "7".into(), alone: false });
        let mut play = Play::running(Policy { requeue, signals, ..train(None) });
        play.does(1.0, asked);
        play.does(2.0, Event::MainEnded(Ended::Exited(0)));
        play.does(3.0, Event::ChildrenGone).contains(&Action::Send(HelperTask::Requeue))
    };
    assert!(!end(signal(TERM)));
    assert!(end(signal(Signal::USR1)) && end(notice(Some(100))));
}
