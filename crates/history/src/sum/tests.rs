//! A job's time, attempt by attempt, and properties of any history.

use super::*;
use crate::entry::{Entry, SavedAt, StartEntry};
use crate::{compacted, read};
use proptest::prelude::*;

fn start(id: &str, at: f64, life: &str) -> Entry {
    Entry::Start(StartEntry { id: id.into(), at, life: life.into(), ..StartEntry::default() })
}

fn ready(id: &str, at: f64, from: Option<u64>) -> Entry {
    let resumed = from.map(|step| ResumedFrom { path: Some(format!("step-{step}")), step: Some(step) });
    Entry::Ready(ReadyEntry { id: id.into(), at, resumed, ..ReadyEntry::default() })
}

fn end(id: &str, reason: Reason, worked_until: f64, at: f64, saved: Option<(f64, u64)>) -> Entry {
    let saved = saved.map(|(at, step)| SavedAt { at, step: Some(step), path: format!("step-{step}") });
    Entry::End(EndEntry { id: id.into(), at, reason, worked_until: Some(worked_until), saved, ..EndEntry::default() })
}

fn account_of(entries: &[Entry], now: f64) -> Accounts {
    let text: String = entries.iter().map(Entry::line).collect();
    accounts(&Attempts::read(text.as_bytes()), now)
}

#[test]
fn work_counts_up_to_the_checkpoint_that_holds_it() {
    let told = account_of(
        &[
            start("a", 1000.0, "x"),
            ready("a", 1010.0, None),
            end("a", Reason::Failed, 1110.0, 1111.0, Some((1080.0, 70))),
            start("b", 1116.0, "x"),
            ready("b", 1120.0, Some(70)),
            end("b", Reason::Stopped, 1220.0, 1225.0, Some((1223.0, 170))),
            start("c", 1325.0, "y"),
            ready("c", 1330.0, Some(170)),
            end("c", Reason::Done, 1380.0, 1380.0, None),
        ],
        9999.0,
    );
    let expected = Parts {
        progress: 70.0 + 100.0 + 50.0,
        lost: 30.0,
        saving: 1.0 + 5.0,
        preparing: 10.0 + 4.0 + 5.0,
        backoff: 5.0,
        between: 100.0,
        ..Parts::default()
    };
    assert_eq!(told.sum.parts, expected);
    assert_eq!((told.sum.total_s, told.sum.goodput), (380.0, Some(220.0 / 380.0)));
    assert_eq!(told.sum.reasons.values().sum::<u64>(), 3);
}

#[test]
fn progress_that_a_later_attempt_does_not_go_on_from_is_lost() {
    let from = |step| {
        account_of(
            &[
                start("a", 0.5, "x"),
                ready("a", 1.0, Some(100)),
                end("a", Reason::Failed, 101.0, 101.0, Some((101.0, 200))),
                start("b", 101.0, "y"),
                ready("b", 101.0, step),
                end("b", Reason::Failed, 102.0, 102.0, None),
            ],
            200.0,
        )
        .attempts[0]
            .parts
    };
    assert_eq!((from(Some(200)).progress, from(Some(150)).progress, from(Some(50)).progress), (100.0, 50.0, 0.0));
    assert_eq!((from(Some(150)).lost, from(None).progress), (50.0, 100.0));
}

#[test]
fn a_fresh_start_loses_all_before_it_but_a_complete_training() {
    let told = |reason| {
        let anew =
            ReadyEntry { id: "b".into(), at: 102.0, resumed: Some(ResumedFrom::default()), ..ReadyEntry::default() };
        let first = [start("a", 1.0, "x"), ready("a", 1.0, None), end("a", reason, 101.0, 101.0, Some((101.0, 9)))];
        let entries = [&first[..], &[start("b", 101.0, "y"), Entry::Ready(anew)]].concat();
        account_of(&entries, 103.0).sum.parts.progress
    };
    assert_eq!((told(Reason::Stopped), told(Reason::Done)), (0.0, 100.0));
}

#[test]
fn an_attempt_without_an_end_is_told_only_as_far_as_it_was_seen() {
    let closed = EndEntry {
        id: "a".into(),
        at: 200.0,
        by: ClosedBy::NextStart,
        reason: Reason::Silent,
        seen: Some(80.0),
        saved: Some(SavedAt { at: 60.0, step: Some(5), path: String::new() }),
        ..EndEntry::default()
    };
    let entries = [start("a", 5.0, "x"), ready("a", 10.0, None), Entry::End(closed), start("b", 200.0, "y")];
    let told = account_of(&entries, 210.0);
    let first = told.attempts[0].parts;
    let (progress, lost, unknown) = (first.progress, first.lost, first.unknown);
    assert_eq!((progress, lost, unknown, first.preparing), (50.0, 20.0, 120.0, 5.0));
    assert_eq!((told.attempts[1].parts.running, told.attempts[1].reason), (10.0, None));
    assert_eq!(told.sum.goodput, Some(50.0 / 195.0));
}

#[test]
fn bringing_data_and_waiting_for_nodes_are_no_preparing() {
    let phases = [("installing", 3.0), ("staging", 5.0), ("waiting", 2.0)].map(|(name, time)| (name.to_owned(), time));
    let ready = ReadyEntry { id: "a".into(), at: 12.0, phases: phases.into(), ..ReadyEntry::default() };
    let parts = account_of(&[start("a", 1.0, "x"), Entry::Ready(ready)], 12.0).sum.parts;
    assert_eq!((parts.preparing, parts.staging, parts.waiting), (4.0, 5.0, 2.0));
}

#[test]
fn an_end_of_its_own_is_better_than_that_of_the_next_start() {
    let closed = EndEntry { id: "a".into(), at: 50.0, by: ClosedBy::NextStart, ..EndEntry::default() };
    let own = end("a", Reason::Failed, 60.0, 60.0, None);
    for entries in [[own.clone(), Entry::End(closed.clone())], [Entry::End(closed), own.clone()]] {
        let told = account_of(&[&[start("a", 1.0, "x"), ready("a", 1.0, None)], &entries[..]].concat(), 99.0);
        assert_eq!(told.attempts[0].reason, Some(Reason::Failed));
    }
}

/// Durations of an attempt: gap, preparing, work, ending; and how it ended.
fn attempt() -> impl Strategy<Value = ([u16; 4], u8, bool, Option<u8>)> {
    (any::<[u16; 4]>(), 0..5_u8, any::<bool>(), any::<Option<u8>>())
}

/// Writes attempts one after the other; whether two of them overlap is up to nobody.
fn history(attempts: &[([u16; 4], u8, bool, Option<u8>)]) -> Vec<Entry> {
    let (mut entries, mut now, mut life) = (Vec::new(), 1000.0, 0);
    for (n, ([gap, prepare, run, after], how, same, saved)) in attempts.iter().enumerate() {
        let id = n.to_string();
        now += f64::from(*gap);
        life += u32::from(!same);
        entries.push(start(&id, now, &life.to_string()));
        now += f64::from(*prepare);
        if *how == 0 {
            continue;
        }
        entries.push(ready(&id, now, saved.map(u64::from)));
        let worked = now + f64::from(*run);
        let saved = saved.map(|at| (now + f64::from(at), u64::from(at)));
        let (mut now_then, reason) = (worked, [Reason::Done, Reason::Stopped, Reason::Failed][usize::from(how % 3)]);
        if *how < 4 {
            now_then = worked + f64::from(*after);
            entries.push(end(&id, reason, worked, now_then, saved));
        }
        now = now_then;
    }
    entries
}

proptest! {
    #[test]
    fn any_cut_of_the_file_gives_the_attempts_before_it(
        attempts in proptest::collection::vec(attempt(), 1..6),
        at in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<String> = history(&attempts).iter().map(Entry::line).collect();
        let text: String = lines.concat();
        let cut = at.index(text.len() + 1);
        let told = Attempts::read(&text.as_bytes()[..cut]);
        // A line without its newline is whole.
        let mut length = 0;
        let whole = lines.iter().take_while(|line| { length += line.len(); length <= cut + 1 }).count();
        let before: String = lines[..whole].concat();
        prop_assert_eq!(&told.all, &Attempts::read(before.as_bytes()).all);
        prop_assert!(told.skipped <= 1);
    }

    #[test]
    fn the_parts_add_up_to_the_time_since_the_first_start(
        attempts in proptest::collection::vec(attempt(), 1..6),
        more in 0..1000_u32,
        cut in 0..3_usize,
    ) {
        let mut entries = history(&attempts);
        entries.truncate(entries.len().saturating_sub(cut).max(1));
        let now = 1e6 + f64::from(more);
        let told = account_of(&entries, now);
        let wall = told.sum.until - told.sum.since;
        prop_assert!((told.sum.total_s - wall).abs() < 1e-3, "{} of {}", told.sum.total_s, wall);
        prop_assert!(told.sum.parts.rows().iter().all(|(_, time)| *time >= 0.0), "{:?}", told.sum.parts);
    }

    #[test]
    fn summing_up_the_oldest_keeps_the_whole(
        attempts in proptest::collection::vec(attempt(), 1..8),
        keep in 0..3000_usize,
    ) {
        let text: String = history(&attempts).iter().map(Entry::line).collect();
        let before = accounts(&Attempts::read(text.as_bytes()), 1e6).sum;
        let short = compacted(text.as_bytes(), keep).unwrap_or(text);
        let after = accounts(&Attempts::read(short.as_bytes()), 1e6).sum;
        prop_assert_eq!((before.attempts, before.since, before.until), (after.attempts, after.since, after.until));
        prop_assert!((before.total_s - after.total_s).abs() < 1e-3, "{} and {}", before.total_s, after.total_s);
        let again = compacted(short.as_bytes(), keep).unwrap_or(short);
        prop_assert_eq!(accounts(&Attempts::read(again.as_bytes()), 1e6).sum.attempts, before.attempts);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = accounts(&Attempts::read(&bytes), 5.0);
        prop_assert!(read(&bytes).skipped <= 400);
    }
}
