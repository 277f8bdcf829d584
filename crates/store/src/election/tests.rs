//! Tests the protocol with many replicas on a store in memory. Any step of one replica may follow any step of another, and builders die at
//! any step. At no time do two of them build.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The name of the first lease; another one is named by the lease that it follows.
const ROOT: u32 = 0;

/// The files of a store, each with its lease: its owner's number, and what changes while the owner lives.
#[derive(Default)]
struct Store {
    finished: bool,
    files: BTreeMap<u32, (u32, u8)>,
    /// The number of the last lease. No two leases have one number.
    last: u32,
}

impl Store {
    /// Makes a file, unless it is there.
    fn make(&mut self, name: u32) -> Option<u32> {
        if self.files.contains_key(&name) {
            return None;
        }
        self.last += 1;
        self.files.insert(name, (self.last, 0));
        Some(self.last)
    }

    /// Lists the names of a chain.
    fn chain(&self) -> Vec<u32> {
        let next =
            |name: &u32| self.files.get(name).map(|(owner, _)| *owner).filter(|next| self.files.contains_key(next));
        std::iter::successors(Some(ROOT).filter(|root| self.files.contains_key(root)), next).collect()
    }

    fn seen(&self) -> Option<Vec<u8>> {
        let (owner, beat) = self.files.get(self.chain().last()?)?;
        Some([owner.to_le_bytes().as_slice(), &[*beat]].concat())
    }
}

/// The state of a replica.
enum At {
    Looking(Election),
    /// It saw no lease, and is about to make one.
    Taking(Election),
    /// It judged this lease dead, and is about to make the file that follows.
    Following(Election, u32),
    /// It made the file behind a dead builder's, and is about to look whether that counts.
    Verifying(u32, u32),
    /// It builds, with so many steps left, and perhaps in vain.
    Building {
        name: u32,
        owner: u32,
        left: u8,
        fails: bool,
    },
    /// It gives its lease back, and is about to take the place of a follower.
    Closing {
        name: u32,
        owner: u32,
    },
    /// It removes these files, one in each step.
    Removing(Vec<u32>),
    Done,
    Dead,
}

/// Runs one step of one replica; `fails` says whether a build that begins now is in vain.
fn go(at: At, now: Duration, fails: bool, store: &mut Store) -> At {
    match at {
        At::Looking(_) if store.finished => At::Done,
        At::Looking(mut election) => {
            match election.step(now, Snapshot { lease: store.seen(), ..Snapshot::default() }) {
                ElectionStep::Build => At::Taking(election),
                ElectionStep::TakeOver(lease) => {
                    let owner = lease.first_chunk().map_or(0, |owner| u32::from_le_bytes(*owner));
                    At::Following(election, owner)
                }
                ElectionStep::Wait(_) => At::Looking(election),
                ElectionStep::Fail(_) | ElectionStep::Alone(_) => unreachable!("nothing fails here"),
            }
        }
        At::Taking(election) => match store.make(ROOT) {
            Some(owner) => At::Building { name: ROOT, owner, left: 20, fails },
            None => At::Looking(election),
        },
        At::Following(election, judged) => match store.make(judged) {
            Some(owner) => At::Verifying(judged, owner),
            None => At::Looking(election),
        },
        At::Verifying(name, owner) if store.chain().last() == Some(&name) => {
            At::Building { name, owner, left: 20, fails }
        }
        // It goes on looking after it gave back what it made.
        At::Verifying(name, owner) => At::Closing { name, owner },
        At::Building { name, owner, left: 0, fails } => {
            store.finished |= !fails;
            At::Closing { name, owner }
        }
        At::Building { name, owner, left, fails } => {
            if let Some((_, beat)) = store.files.get_mut(&name).filter(|(found, _)| *found == owner) {
                *beat = beat.wrapping_add(1);
            }
            At::Building { name, owner, left: left - 1, fails }
        }
        At::Closing { name, owner } => match store.make(owner) {
            Some(_) => {
                let chain = store.chain();
                let is_own = store.files.get(&name).is_some_and(|(found, _)| *found == owner);
                match is_own && chain.contains(&name) {
                    true => At::Removing(chain),
                    false => At::Removing([name, owner].into_iter().filter(|name| *name != ROOT).collect()),
                }
            }
            None => At::Looking(Election::after(STALE)),
        },
        At::Removing(mut names) if !names.is_empty() => {
            store.files.remove(&names.remove(0));
            At::Removing(names)
        }
        At::Removing(_) => At::Looking(Election::after(STALE)),
        over => over,
    }
}

/// Runs replicas in this order, with one second for a round; each dies when its number comes up in `deaths`, and the first builds are in
/// vain. Returns the largest number of builders at one time, and the replicas.
fn run(replicas: u8, order: &[u8], deaths: &[(usize, u8)], vain: u32) -> (usize, Vec<At>) {
    let (mut store, mut most) = (Store::default(), 0);
    let mut all: Vec<At> = (0..replicas).map(|_| At::Looking(Election::after(STALE))).collect();
    for round in 0..4000 {
        let now = Duration::from_secs(round as u64);
        let one = order.get(round % order.len().max(1)).map_or(0, |n| n % replicas);
        let line = (0..replicas).map(|n| (n + one) % replicas);
        for n in line {
            let at = std::mem::replace(&mut all[usize::from(n)], At::Dead);
            if !deaths.contains(&(round, n)) {
                let fails = store.last < vain;
                all[usize::from(n)] = go(at, now, fails, &mut store);
            }
            most = most.max(all.iter().filter(|at| matches!(at, At::Building { .. })).count());
        }
        if all.iter().all(|at| matches!(at, At::Done | At::Dead)) {
            break;
        }
    }
    (most, all)
}

proptest! {
    #[test]
    fn of_many_replicas_at_most_one_builds_at_a_time_whoever_dies_or_builds_in_vain(
        replicas in 1u8..24,
        order in proptest::collection::vec(any::<u8>(), 1..50),
        deaths in proptest::collection::vec((0usize..300, 0u8..24), 0..14),
        vain in 0u32..6,
    ) {
        let (most, all) = run(replicas, &order, &deaths, vain);
        prop_assert!(most <= 1, "{most} at once");
        prop_assert!(all.iter().all(|at| matches!(at, At::Done | At::Dead)));
    }
}

#[test]
fn a_lease_that_changes_is_alive_however_long_it_takes_and_a_still_one_is_not() {
    let mut turn = Election::after(STALE);
    let look = |beat| Snapshot { lease: Some(vec![beat]), ..Snapshot::default() };
    for second in 0..600 {
        assert!(
            matches!(turn.step(Duration::from_secs(second), look((second / 50) as u8)), ElectionStep::Wait(_)),
            "{second}"
        );
    }
    let mut turn = Election::after(STALE);
    assert!(matches!(turn.step(Duration::ZERO, look(1)), ElectionStep::Wait(_)));
    assert!(matches!(turn.step(STALE - Duration::from_millis(1), look(1)), ElectionStep::Wait(_)));
    assert_eq!(turn.step(STALE, look(1)), ElectionStep::TakeOver(vec![1]));
}

#[test]
fn a_failure_comes_before_a_dead_builder_and_that_one_before_a_new_build() {
    let failed = Some(FailedAttempt { permanent: true, ..FailedAttempt::default() });
    let failed = Snapshot { failed, lease: Some(vec![1]), orphaned: true };
    assert!(matches!(Election::after(STALE).step(Duration::ZERO, failed.clone()), ElectionStep::Fail(_)));
    let orphaned = Snapshot { failed: None, ..failed };
    assert_eq!(Election::after(STALE).step(Duration::ZERO, orphaned), ElectionStep::TakeOver(vec![1]));
    assert_eq!(Election::after(STALE).step(Duration::ZERO, Snapshot::default()), ElectionStep::Build);
}

#[test]
fn for_what_cannot_be_packed_nobody_waits() {
    let look = Snapshot {
        failed: Some(FailedAttempt::alone("no list of files", "a")),
        lease: Some(vec![1]),
        ..Snapshot::default()
    };
    assert!(matches!(Election::after(STALE).step(Duration::ZERO, look), ElectionStep::Alone(_)));
}

#[test]
fn looks_become_rarer_but_not_rare() {
    let mut turn = Election::after(STALE);
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
