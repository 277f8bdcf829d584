//! A guest in every order of events that matters.

use super::*;
use crate::host::tests::hello;
use crate::outcome::Resume;
use proptest::prelude::*;

const WAIT: Duration = Duration::from_secs(600);

fn address() -> SocketAddr {
    "10.0.0.7:29500".parse().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn guest(own: Hello) -> Guest {
    Guest::new(own, "n1:29500".into(), WAIT, Duration::ZERO)
}

fn ready() -> Guest {
    guest(hello(1, 3))
}

/// A guest that is connected.
fn reached(own: Hello) -> Guest {
    let mut guest = guest(own);
    assert_eq!(guest.step(GuestEvent::Tick, Duration::ZERO), [GuestAction::Resolve]);
    let found = GuestEvent::Resolved(Ok(vec![address()]));
    assert_eq!(guest.step(found, Duration::ZERO), [GuestAction::Connect(address())]);
    assert_eq!(guest.step(GuestEvent::Connected, Duration::ZERO), [GuestAction::Greet]);
    guest
}

/// The line that a guest ends with at its deadline, after this.
fn given_up(events: Vec<GuestEvent>) -> Stop {
    let mut guest = ready();
    let mut now = Duration::ZERO;
    for event in events {
        guest.step(GuestEvent::Tick, now);
        guest.step(event, now);
        now += seconds(2);
    }
    guest.step(GuestEvent::Tick, seconds(600));
    match guest.end() {
        Some(Outcome::Stop(stop)) => stop.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_that_appears_late_and_a_port_that_opens_late_are_waited_for() {
    let mut guest = ready();
    for second in 0..10 {
        let now = seconds(second);
        assert_eq!(guest.step(GuestEvent::Tick, now), [GuestAction::Resolve], "the name is looked up anew each second");
        assert_eq!(guest.step(GuestEvent::Resolved(Err("no such name".into())), now), []);
    }
    assert_eq!(guest.progress(), Progress::Seeking("n1:29500 has no address here: no such name".into()));
    guest.step(GuestEvent::Tick, seconds(10));
    guest.step(GuestEvent::Resolved(Ok(vec![address()])), seconds(10));
    assert_eq!(guest.step(GuestEvent::Unconnected(ConnectFault::Refused), seconds(10)), [GuestAction::Close]);
    assert_eq!(guest.step(GuestEvent::Tick, seconds(11)), [GuestAction::Resolve]);
}

#[test]
fn what_was_seen_of_the_host_is_told() {
    let begin = "node 0 of 3 at n1:29500 did not answer within 10 min: ";
    let found = || GuestEvent::Resolved(Ok(vec![address()]));
    let cases = [
        (vec![GuestEvent::Resolved(Err("no such name".into()))], "n1:29500 has no address here: no such name"),
        (
            vec![found(), GuestEvent::Unconnected(ConnectFault::Refused)],
            "10.0.0.7:29500 refuses connections: nothing listens there",
        ),
        (vec![found()], "nothing came back from 10.0.0.7:29500 (it is down, or the port is filtered)"),
        (
            vec![found(), GuestEvent::Connected, GuestEvent::Broken(Some("it does not speak as trainit does".into()))],
            "10.0.0.7:29500: it does not speak as trainit does; the job may run there already, or another program has the port",
        ),
        (
            vec![
                found(),
                GuestEvent::Connected,
                GuestEvent::Received(Reply::Refused { why: "n1 waits for another job".into(), last: false }),
            ],
            "10.0.0.7:29500 refused this process: n1 waits for another job",
        ),
    ];
    for (events, words) in cases {
        assert_eq!(given_up(events), Stop { code: 219, line: format!("{begin}{words}") });
    }
}

#[test]
fn each_address_of_a_name_is_tried() {
    let other: SocketAddr = "10.0.0.8:29500".parse().unwrap();
    let mut guest = ready();
    guest.step(GuestEvent::Tick, Duration::ZERO);
    guest.step(GuestEvent::Resolved(Ok(vec![address(), other])), Duration::ZERO);
    let next = [GuestAction::Close, GuestAction::Connect(other)];
    assert_eq!(guest.step(GuestEvent::Tick, seconds(3)), next, "the first one is silent");
}

#[test]
fn the_hosts_end_is_the_guests_and_questions_are_answered() {
    let mut guest = reached(hello(1, 3));
    assert_eq!(
        guest.step(GuestEvent::Received(Reply::Look("mark".into())), seconds(1)),
        [GuestAction::Look("mark".into())]
    );
    assert_eq!(
        guest.step(GuestEvent::Looked(Some(true)), seconds(1)),
        [GuestAction::Send(Request::Looked(Some(true)))]
    );
    assert_eq!(guest.step(GuestEvent::Received(Reply::Who), seconds(1)), [GuestAction::Send(Request::Here)]);
    let go = Outcome::Go(Resume::Nothing);
    guest.step(GuestEvent::Received(Reply::End(go.clone())), seconds(599));
    assert_eq!(guest.end(), Some(&go));
}

#[test]
fn a_guest_of_a_stop_stays_until_the_others_know_it() {
    let stop = Stop { code: 111, line: "node 2".into() };
    let told = || {
        let mut guest = reached(hello(1, 3));
        guest.step(GuestEvent::Received(Reply::End(Outcome::Stop(stop.clone()))), seconds(1));
        assert_eq!((guest.end(), guest.progress()), (None, Progress::Stopped(111)));
        guest
    };
    for (event, now) in [(GuestEvent::Broken(None), 2), (GuestEvent::Tick, 16)] {
        let mut guest = told();
        guest.step(event, seconds(now));
        assert_eq!(guest.end(), Some(&Outcome::Stop(stop.clone())));
    }
}

#[test]
fn a_stale_start_ends_at_once() {
    let mut guest = reached(hello(1, 3));
    let why = "n1 is of attempt 2 of the job, not 1".to_owned();
    guest.step(GuestEvent::Received(Reply::Refused { why, last: true }), seconds(1));
    let line = "node 1 of 3 (n2): n1 is of attempt 2 of the job, not 1".into();
    assert_eq!(guest.end(), Some(&Outcome::Stop(Stop { code: 219, line })));
}

#[test]
fn one_that_failed_ends_with_its_own_code_where_the_host_never_comes() {
    let verdict = Verdict::Failed { code: 111, line: "data: not mounted".into() };
    let mut guest = guest(Hello { verdict, ..hello(1, 3) });
    guest.step(GuestEvent::Tick, seconds(600));
    let line = "node 1 of 3 (n2): data: not mounted".into();
    assert_eq!(guest.end(), Some(&Outcome::Stop(Stop { code: 111, line })));
}

#[test]
fn a_host_that_is_reached_is_waited_for_longer_than_it_waits_itself() {
    let mut guest = reached(hello(1, 3));
    assert_eq!(guest.step(GuestEvent::Tick, seconds(614)), []);
    assert_eq!(guest.end(), None);
    guest.step(GuestEvent::Tick, seconds(615));
    assert!(guest.end().is_some());
}

#[test]
fn a_host_that_is_lost_is_sought_again_for_a_while() {
    let mut guest = reached(hello(1, 3));
    assert_eq!(guest.step(GuestEvent::Broken(None), seconds(605)), [GuestAction::Close]);
    assert_eq!(guest.step(GuestEvent::Tick, seconds(606)), [GuestAction::Resolve]);
    guest.step(GuestEvent::Tick, seconds(700));
    assert!(guest.end().is_some());
}

fn event() -> impl Strategy<Value = GuestEvent> {
    prop_oneof![
        Just(GuestEvent::Resolved(Ok(vec![address()]))),
        Just(GuestEvent::Resolved(Ok(Vec::new()))),
        Just(GuestEvent::Resolved(Err("no".into()))),
        Just(GuestEvent::Connected),
        Just(GuestEvent::Unconnected(ConnectFault::Refused)),
        Just(GuestEvent::Received(Reply::Who)),
        Just(GuestEvent::Received(Reply::Refused { why: "x".into(), last: false })),
        Just(GuestEvent::Broken(None)),
        Just(GuestEvent::Looked(None)),
        Just(GuestEvent::Tick),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_guest_ends(events in proptest::collection::vec((event(), 0..100_u64), 0..60)) {
        let mut guest = ready();
        let mut now = Duration::ZERO;
        for (event, passed) in events {
            now += seconds(passed);
            guest.step(event, now);
            guest.step(GuestEvent::Tick, now);
        }
        for _ in 0..4 {
            now += seconds(700);
            guest.step(GuestEvent::Tick, now);
            guest.step(GuestEvent::Resolved(Err("no".into())), now);
        }
        prop_assert!(guest.end().is_some());
    }
}
