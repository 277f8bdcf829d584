//! Tests the protocol with many replicas on a store in memory. Any step of one replica may follow any step of another, and builders die or
//! sleep at any step. Even so one build is enough.

use super::*;
use proptest::prelude::*;

/// The contents of the store.
#[derive(Default)]
struct Store {
    finished: bool,
    lease: Option<Vec<u8>>,
    builds: usize,
}

/// The state of a replica.
enum At {
    Looking(Election),
    /// It saw no lease, and is about to create one.
    Creating(Election),
    /// It judged this lease dead and is about to move it away.
    Moving(Election, Vec<u8>),
    /// It builds, with so many steps left.
    Building {
        id: u8,
        beat: u8,
        left: u8,
    },
    Done,
    Dead,
}

fn content(id: u8, beat: u8) -> Vec<u8> {
    vec![id, beat]
}

/// Runs one step of one replica.
fn go(at: At, id: u8, now: Duration, store: &mut Store) -> At {
    match at {
        At::Looking(mut turn) => {
            if store.finished {
                return At::Done;
            }
            match turn.step(now, Snapshot { lease: store.lease.clone(), ..Snapshot::default() }) {
                ElectionStep::Build => At::Creating(turn),
                ElectionStep::TakeOver(lease) => At::Moving(turn, lease),
                ElectionStep::Wait(_) => At::Looking(turn),
                ElectionStep::Fail(_) | ElectionStep::Alone(_) => unreachable!("nothing fails here"),
            }
        }
        At::Creating(turn) => match (&store.lease, store.finished) {
            (None, false) => {
                store.lease = Some(content(id, 0));
                store.builds += 1;
                At::Building { id, beat: 0, left: 20 }
            }
            _ => At::Looking(turn),
        },
        At::Moving(turn, judged) => {
            // A lease other than the judged one is put back.
            if store.lease.as_ref() == Some(&judged) {
                store.lease = None;
            }
            At::Looking(turn)
        }
        At::Building { id, left: 0, .. } => {
            store.finished = true;
            store.lease = store.lease.take().filter(|lease| lease[0] != id);
            At::Done
        }
        At::Building { id, beat, left } => {
            let beat = beat.wrapping_add(1);
            if store.lease.as_ref().is_some_and(|lease| lease[0] == id) {
                store.lease = Some(content(id, beat));
            }
            At::Building { id, beat, left: left - 1 }
        }
        over => over,
    }
}

/// Runs replicas in this order, with one second for a round; each dies when its number comes up in `deaths`.
fn run(replicas: u8, order: &[u8], deaths: &[(usize, u8)]) -> (usize, Vec<At>) {
    let mut store = Store::default();
    let mut all: Vec<At> = (0..replicas).map(|_| At::Looking(Election::default())).collect();
    for round in 0..2000 {
        let now = Duration::from_secs(round as u64);
        let one = order.get(round % order.len().max(1)).map_or(0, |n| n % replicas);
        let line = (0..replicas).map(|n| (n + one) % replicas);
        for n in line {
            let at = std::mem::replace(&mut all[usize::from(n)], At::Dead);
            if !deaths.contains(&(round, n)) {
                all[usize::from(n)] = go(at, n, now, &mut store);
            }
        }
        if all.iter().all(|at| matches!(at, At::Done | At::Dead)) {
            break;
        }
    }
    (store.builds, all)
}

proptest! {
    #[test]
    fn of_many_replicas_that_live_exactly_one_builds(replicas in 1u8..64, order in proptest::collection::vec(any::<u8>(), 1..50)) {
        let (builds, all) = run(replicas, &order, &[]);
        prop_assert_eq!(builds, 1);
        prop_assert!(all.iter().all(|at| matches!(at, At::Done)));
    }

    #[test]
    fn whoever_dies_when_the_others_get_there(
        replicas in 2u8..16,
        order in proptest::collection::vec(any::<u8>(), 1..50),
        deaths in proptest::collection::vec((0usize..300, 0u8..16), 0..14),
    ) {
        let (builds, all) = run(replicas, &order, &deaths);
        prop_assert!(all.iter().all(|at| matches!(at, At::Done | At::Dead)));
        prop_assert!(builds <= deaths.len() + 1, "{} builds for {} deaths", builds, deaths.len());
    }
}

#[test]
fn a_lease_that_changes_is_alive_however_long_it_takes_and_a_still_one_is_not() {
    let mut turn = Election::default();
    let look = |beat| Snapshot { lease: Some(vec![beat]), ..Snapshot::default() };
    for second in 0..600 {
        assert!(
            matches!(turn.step(Duration::from_secs(second), look((second / 50) as u8)), ElectionStep::Wait(_)),
            "{second}"
        );
    }
    let mut turn = Election::default();
    assert!(matches!(turn.step(Duration::ZERO, look(1)), ElectionStep::Wait(_)));
    assert!(matches!(turn.step(STALE - Duration::from_millis(1), look(1)), ElectionStep::Wait(_)));
    assert_eq!(turn.step(STALE, look(1)), ElectionStep::TakeOver(vec![1]));
}

#[test]
fn a_failure_comes_before_a_dead_builder_and_that_one_before_a_new_build() {
    let failed = Some(FailedAttempt { permanent: true, ..FailedAttempt::default() });
    let failed = Snapshot { failed, lease: Some(vec![1]), orphaned: true };
    assert!(matches!(Election::default().step(Duration::ZERO, failed.clone()), ElectionStep::Fail(_)));
    let orphaned = Snapshot { failed: None, ..failed };
    assert_eq!(Election::default().step(Duration::ZERO, orphaned), ElectionStep::TakeOver(vec![1]));
    assert_eq!(Election::default().step(Duration::ZERO, Snapshot::default()), ElectionStep::Build);
}

#[test]
fn for_what_cannot_be_packed_nobody_waits() {
    let look = Snapshot {
        failed: Some(FailedAttempt::alone("no list of files", "a")),
        lease: Some(vec![1]),
        ..Snapshot::default()
    };
    assert!(matches!(Election::default().step(Duration::ZERO, look), ElectionStep::Alone(_)));
}

#[test]
fn looks_become_rarer_but_not_rare() {
    let mut turn = Election::default();
    let waits = (0..17).map(|second| {
        match turn
            .step(Duration::from_secs(second), Snapshot { lease: Some(vec![second as u8]), ..Snapshot::default() })
        {
            ElectionStep::Wait(wait) => wait,
            other => panic!("{other:?}"),
        }
    });
    let waits: Vec<_> = waits.collect();
    assert!(
        waits.is_sorted() && waits[0] == WAIT.0 && waits[4] == Duration::from_millis(500) && waits[16] == WAIT.1,
        "{waits:?}"
    );
}
