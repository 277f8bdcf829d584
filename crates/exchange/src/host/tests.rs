//! The host in every order of events that matters: who comes when, who is refused, who is named.

use super::*;
use crate::hello::{Saved, Unit};
use proptest::prelude::*;

const WAIT: Duration = Duration::from_secs(600);
const CLOCK: u64 = 10_000;

pub(crate) fn hello(index: u32, of: u32) -> Hello {
    Hello {
        unit: Unit::Node,
        of,
        index,
        name: format!("n{}", index + 1),
        job: Some("42".into()),
        attempt: 1,
        instance: 1000 + u64::from(index),
        version: "1".into(),
        commit: None,
        requirements: None,
        gpus: None,
        clock: CLOCK,
        verdict: Verdict::Ready,
        checkpoints: None,
    }
}

fn defaults() -> Agree {
    Agree { checks: true, resume: true, ..Agree::default() }
}

/// A host and the messages that each connection got.
struct Hosted {
    host: Host,
    now: Duration,
    sent: Vec<(ConnectionId, Reply)>,
    dropped: Vec<ConnectionId>,
    closed: Vec<ConnectionId>,
}

impl Hosted {
    fn of(own: Hello, mark: Option<&str>) -> Self {
        let host = Host::new(own, defaults(), mark.map(str::to_owned), WAIT, Duration::ZERO);
        Hosted { host, now: Duration::ZERO, sent: Vec::new(), dropped: Vec::new(), closed: Vec::new() }
    }

    fn take(&mut self, actions: Vec<HostAction>) {
        for action in actions {
            match action {
                HostAction::Send(id, reply) => self.sent.push((id, reply)),
                HostAction::Drop(id) => self.dropped.push(id),
                HostAction::Close(id) => self.closed.push(id),
            }
        }
    }

    fn event(&mut self, id: ConnectionId, event: HostEvent) {
        let actions = self.host.step(id, event, self.now, CLOCK);
        self.take(actions);
    }

    fn comes(&mut self, id: ConnectionId, hello: Hello) {
        self.event(id, HostEvent::Opened(format!("10.0.0.{id}")));
        self.event(id, HostEvent::Received(Request::Hello(Box::new(hello))));
    }

    fn says(&mut self, id: ConnectionId, request: Request) {
        self.event(id, HostEvent::Received(request));
    }

    fn leaves(&mut self, id: ConnectionId) {
        self.event(id, HostEvent::Broken(None));
    }

    fn waits(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let actions = self.host.tick(self.now);
        self.take(actions);
    }

    fn got(&self, id: ConnectionId) -> Vec<&Reply> {
        self.sent.iter().filter(|(to, _)| *to == id).map(|(_, reply)| reply).collect()
    }

    fn stop(&self, id: ConnectionId) -> Option<&Stop> {
        self.got(id).into_iter().find_map(|reply| match reply {
            Reply::End(Outcome::Stop(stop)) => Some(stop),
            _ => None,
        })
    }

    fn end(&self) -> Option<&Outcome> {
        self.host.end(self.now)
    }
}

fn failed(index: u32, of: u32) -> Hello {
    let verdict = Verdict::Failed { code: 111, line: "data: /mnt/data is not mounted".into() };
    Hello { verdict, ..hello(index, of) }
}

const LINE: &str = "node 2 of 3 (n3): data: /mnt/data is not mounted";

#[test]
fn all_go_once_the_last_has_come_and_the_host_once_they_have_left() {
    let mut hosted = Hosted::of(hello(0, 3), None);
    hosted.comes(1, hello(1, 3));
    assert_eq!(hosted.sent, []);
    assert_eq!(hosted.host.progress(), Progress::Waiting { unit: Unit::Node, of: 3, missing: vec![2] });
    hosted.comes(2, hello(2, 3));
    let go = Reply::End(Outcome::Go(Resume::Own));
    assert_eq!((hosted.got(1), hosted.got(2)), (vec![&go], vec![&go]));
    assert_eq!(hosted.end(), None, "the connections are open");
    hosted.leaves(1);
    hosted.leaves(2);
    assert_eq!(hosted.end(), Some(&Outcome::Go(Resume::Own)));
}

#[test]
fn one_process_alone_goes_at_once() {
    assert_eq!(Hosted::of(hello(0, 1), None).end(), Some(&Outcome::Go(Resume::Own)));
}

#[test]
fn one_failure_ends_all_with_its_code_and_line_and_those_that_come_later_too() {
    let mut hosted = Hosted::of(hello(0, 3), None);
    hosted.comes(1, failed(2, 3));
    let stop = Stop { code: 111, line: LINE.into() };
    assert_eq!(hosted.stop(1), Some(&stop));
    assert_eq!(hosted.end(), None, "node 1 has not been told");
    hosted.waits(9);
    assert_eq!(hosted.closed, [], "who leaves now may make the engine kill node 1");
    hosted.waits(1);
    assert_eq!(hosted.closed, [1], "it does not wait for ever");
    hosted.waits(60);
    hosted.comes(2, hello(1, 3));
    assert_eq!(hosted.stop(2), Some(&stop));
    hosted.waits(1);
    assert_eq!(hosted.closed, [1, 2]);
    assert_eq!(hosted.end(), Some(&Outcome::Stop(stop)));
}

#[test]
fn a_host_that_failed_tells_all_and_leaves_at_its_deadline() {
    let mut hosted = Hosted::of(Hello { index: 0, ..failed(0, 3) }, None);
    hosted.comes(1, hello(1, 3));
    assert_eq!(hosted.stop(1).unwrap().line, "node 0 of 3 (n1): data: /mnt/data is not mounted");
    hosted.leaves(1);
    hosted.waits(599);
    assert_eq!(hosted.end(), None);
    hosted.waits(1);
    assert!(matches!(hosted.end(), Some(Outcome::Stop(Stop { code: 111, .. }))));
}

#[test]
fn who_did_not_come_is_named_with_what_was_seen_of_it() {
    let mut hosted = Hosted::of(hello(0, 4), None);
    hosted.comes(1, hello(1, 4));
    hosted.comes(2, hello(3, 4));
    hosted.leaves(2);
    hosted.event(9, HostEvent::Opened("10.0.0.9".into()));
    hosted.event(9, HostEvent::Broken(Some("it does not speak as trainit does".into())));
    hosted.waits(600);
    let line = "nodes 2 and 3 of 4 did not come within 10 min; node 3 (n4) came from 10.0.0.2 and left; \
                10.0.0.9 was refused: it does not speak as trainit does";
    assert_eq!(hosted.stop(1), Some(&Stop { code: 219, line: line.into() }));
    hosted.leaves(1);
    hosted.waits(5);
    assert!(hosted.end().is_some());
}

#[test]
fn a_stale_start_a_foreign_job_and_a_number_too_high_are_refused_and_cost_nothing() {
    let mut hosted = Hosted::of(hello(0, 2), None);
    hosted.comes(1, Hello { attempt: 0, ..hello(1, 2) });
    hosted.comes(2, Hello { attempt: 2, ..hello(1, 2) });
    hosted.comes(3, Hello { job: Some("41".into()), ..hello(1, 2) });
    hosted.comes(4, Hello { job: None, ..hello(1, 2) });
    hosted.comes(5, hello(7, 2));
    hosted.comes(6, hello(0, 2));
    let refused = |id| match hosted.got(id).as_slice() {
        [Reply::Refused { why, last }] => (why.clone(), *last),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(1), ("n1 is of attempt 1 of the job, not 0".into(), true));
    assert_eq!(refused(2), ("n1 is of attempt 1 of the job, not 2".into(), false), "this host is going to leave");
    for other in [3, 4] {
        assert_eq!(refused(other), ("n1 waits for another job".into(), false), "no name of a job is told");
    }
    assert_eq!(refused(5), ("node 7 of 2 cannot be a guest of node 0 of 2 (n1)".into(), false));
    assert!(!refused(6).1);
    hosted.comes(7, hello(1, 2));
    assert_eq!(hosted.got(7), [&Reply::End(Outcome::Go(Resume::Own))]);
}

#[test]
fn a_stranger_that_stays_connected_does_not_keep_the_host() {
    let mut hosted = Hosted::of(hello(0, 2), None);
    hosted.comes(1, Hello { job: None, ..hello(1, 2) });
    hosted.event(2, HostEvent::Opened("10.0.0.9".into()));
    hosted.comes(3, hello(1, 2));
    hosted.leaves(3);
    assert_eq!(hosted.end(), Some(&Outcome::Go(Resume::Own)));
}

#[test]
fn connections_that_say_nothing_make_room_for_others_and_end() {
    let mut hosted = Hosted::of(hello(0, 2), None);
    for id in 1..=1000 {
        hosted.event(id, HostEvent::Opened("10.0.0.9".into()));
    }
    assert_eq!(hosted.dropped, (1..=1000 - 66).collect::<Vec<_>>(), "the oldest ones go");
    assert_eq!(hosted.host.open.len(), 66);
    hosted.comes(2000, hello(1, 2));
    assert_eq!(hosted.got(2000), [&Reply::End(Outcome::Go(Resume::Own))]);
    hosted.waits(5);
    assert_eq!(hosted.host.open.len(), 1, "their time is over");
}

#[test]
fn a_process_that_comes_again_takes_its_own_place() {
    let mut hosted = Hosted::of(hello(0, 3), None);
    hosted.comes(1, hello(1, 3));
    hosted.comes(2, hello(1, 3));
    assert_eq!(hosted.dropped, [1]);
    hosted.comes(3, hello(2, 3));
    assert_eq!(hosted.got(2), [&Reply::End(Outcome::Go(Resume::Own))]);
}

#[test]
fn another_process_with_the_same_number_is_a_stop_if_both_are_there() {
    let twin = Hello { instance: 9, ..hello(1, 3) };
    let mut hosted = Hosted::of(hello(0, 3), None);
    hosted.comes(1, hello(1, 3));
    hosted.comes(2, twin.clone());
    assert_eq!(hosted.got(1), [&Reply::Who]);
    hosted.comes(3, hello(2, 3));
    assert_eq!(hosted.end(), None, "an answer is out");
    hosted.says(1, Request::Here);
    let line = "node 1 of 3 is there twice: at 10.0.0.1 and at 10.0.0.2";
    for id in [1, 2, 3] {
        assert_eq!(hosted.stop(id), Some(&Stop { code: 119, line: line.into() }), "{id}");
    }
    // One whose connection is only a remainder gives way.
    let mut hosted = Hosted::of(hello(0, 2), None);
    hosted.comes(1, hello(1, 2));
    hosted.host.end = None;
    hosted.comes(2, twin);
    hosted.waits(5);
    assert!(hosted.dropped.contains(&1));
    assert_eq!(hosted.got(2), [&Reply::End(Outcome::Go(Resume::Own))]);
}

#[test]
fn a_connection_that_is_lost_after_the_go_is_told_again() {
    let mut hosted = Hosted::of(hello(0, 3), None);
    hosted.comes(1, hello(1, 3));
    hosted.comes(2, hello(2, 3));
    hosted.leaves(2);
    hosted.leaves(1);
    hosted.comes(3, hello(1, 3));
    assert_eq!(hosted.got(3), [&Reply::End(Outcome::Go(Resume::Own))]);
}

fn saved(index: u32, steps: &[u64]) -> Hello {
    let saved = |step: &u64| Saved { step: Some(*step), name: format!("ckpt-{step}").into() };
    Hello { checkpoints: Some(steps.iter().map(saved).collect()), ..hello(index, 3) }
}

#[test]
fn where_the_directory_is_shared_the_hosts_choice_holds_else_the_newest_of_all() {
    for (sees, step) in [([true, true], 300), ([true, false], 200), ([false, false], 100)] {
        let mut hosted = Hosted::of(saved(0, &[300, 200, 100]), Some("mark"));
        hosted.comes(1, saved(1, &[100]));
        hosted.comes(2, saved(2, &[200, 100]));
        for (id, sees) in [1, 2].into_iter().zip(sees) {
            assert_eq!(hosted.got(id), [&Reply::Look("mark".into())]);
            hosted.says(id, Request::Looked(Some(sees)));
        }
        let Some(Reply::End(Outcome::Go(Resume::From(saved)))) = hosted.got(1).last().copied() else {
            panic!("{:?}", hosted.sent)
        };
        assert_eq!(saved.step, Some(step));
    }
}

#[test]
fn a_file_that_nobody_can_look_for_delays_the_start_by_seconds_only() {
    let mut hosted = Hosted::of(saved(0, &[100]), Some("mark"));
    hosted.comes(1, saved(1, &[100]));
    hosted.comes(2, saved(2, &[100]));
    hosted.says(1, Request::Looked(None));
    assert!(hosted.host.end.is_none());
    hosted.waits(5);
    assert!(matches!(hosted.got(2).last(), Some(Reply::End(Outcome::Go(Resume::From(_))))));
}

#[test]
fn lists_without_a_common_checkpoint_are_a_stop_that_names_both_sides() {
    let mut hosted = Hosted::of(saved(0, &[100]), None);
    hosted.comes(1, saved(1, &[100]));
    hosted.comes(2, saved(2, &[]));
    let line = "there is no checkpoint that all have: node 0 (n1) has step 100, node 2 (n3) has none";
    assert_eq!(hosted.stop(1), Some(&Stop { code: 119, line: line.into() }));
}

#[derive(Clone, Debug)]
enum Act {
    Comes(u64, u32, u32, bool),
    Says(u64, Request),
    Leaves(u64),
    Breaks(u64),
    Waits(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..12_u64;
    prop_oneof![
        6 => (id.clone(), 0..6_u32, 0..3_u32, any::<bool>()).prop_map(|(id, index, instance, fails)| Act::Comes(id, index, instance, fails)),
        3 => (id.clone(), prop_oneof![Just(Request::Here), Just(Request::Looked(Some(true))), Just(Request::Looked(None))])
            .prop_map(|(id, request)| Act::Says(id, request)),
        2 => id.clone().prop_map(Act::Leaves),
        1 => id.prop_map(Act::Breaks),
        2 => (0..200_u64).prop_map(Act::Waits),
    ]
}

proptest! {
    /// Whatever comes, all hear the same end, the host ends by its deadline, and keeps a bounded number of connections.
    #[test]
    fn every_order_of_events_has_one_end(acts in proptest::collection::vec(act(), 0..60), fails: bool) {
        let mut hosted = Hosted::of(if fails { Hello { index: 0, ..failed(0, 4) } } else { saved(0, &[1]) }, Some("mark"));
        let mut next = 0;
        let mut ids = [0; 12];
        for act in acts {
            match act {
                Act::Comes(id, index, instance, fails) => {
                    next += 1;
                    ids[id as usize] = next;
                    let base = if fails { failed(index, 4) } else { saved(index, &[1]) };
                    hosted.comes(next, Hello { of: 4, instance: instance.into(), ..base });
                }
                Act::Says(id, request) => hosted.says(ids[id as usize], request),
                Act::Leaves(id) => hosted.leaves(ids[id as usize]),
                Act::Breaks(id) => hosted.event(ids[id as usize], HostEvent::Broken(Some("bad".into()))),
                Act::Waits(seconds) => hosted.waits(seconds),
            }
            prop_assert!(hosted.host.next() >= hosted.now || hosted.end().is_some() || hosted.host.tick(hosted.now).len() < 99);
            prop_assert!(hosted.host.open.len() <= 12 + 64 + 4);
        }
        let ends: Vec<&Reply> = hosted.sent.iter().map(|(_, reply)| reply).filter(|reply| matches!(reply, Reply::End(_))).collect();
        prop_assert!(ends.windows(2).all(|two| two[0] == two[1]), "{:?}", ends);
        hosted.waits(600);
        hosted.waits(10);
        prop_assert!(hosted.end().is_some());
    }
}
