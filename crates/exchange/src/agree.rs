//! What must be the same for all processes, and the sentence about two that differ.

use crate::hello::{Hello, Verdict};
use crate::outcome::Stop;
use std::time::Duration;

/// How far two clocks may be apart.
pub const CLOCK_APART: Duration = Duration::from_secs(5);

/// What must be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agree {
    /// One that failed ends all.
    pub checks: bool,
    /// The checkpoint to resume from.
    pub resume: bool,
    /// trainit's version.
    pub version: bool,
    /// The code's commit.
    pub commit: bool,
    /// Each node has found the commit by itself, so that the next try finds one for all.
    pub commit_moves: bool,
    /// The requirements.
    pub requirements: bool,
    /// The GPUs.
    pub gpus: bool,
    /// The clocks, up to `CLOCK_APART`.
    pub clock: bool,
}

/// The exit code where trying again does not help.
pub const LASTING: u8 = 119;

/// The exit code where trying again may help.
pub const PASSING: u8 = 219;

/// How the line begins of nodes with different commits.
pub const COMMIT_DIFFERS: &str = "the code's commit differs";

/// Compares a process with the host; `clock` is the host's clock now, in milliseconds since 1970.
pub(crate) fn compare(agree: &Agree, host: &Hello, other: &Hello, clock: u64) -> Option<Stop> {
    if let Verdict::Failed { code, line } = &other.verdict
        && agree.checks
    {
        return Some(failed(other, *code, line));
    }
    if (host.of, host.unit) != (other.of, other.unit) {
        let count = |hello: &Hello| format!("{} was told of {} {}s", hello.name, hello.of, hello.unit.word());
        return Some(Stop::new(LASTING, text::line(&format!("{}, {}", count(host), count(other)))));
    }
    let some = |value: &str| Some(value.to_owned());
    let moved = if agree.commit_moves { PASSING } else { LASTING };
    let facts = [
        (agree.version, LASTING, "trainit's version differs", some(&host.version), some(&other.version)),
        (agree.commit, moved, COMMIT_DIFFERS, host.commit.clone(), other.commit.clone()),
        (agree.requirements, LASTING, "the requirements differ", host.requirements.clone(), other.requirements.clone()),
        (agree.gpus, LASTING, "the GPUs differ", host.gpus.clone(), other.gpus.clone()),
    ];
    let differ = facts.into_iter().find(|(wanted, _, _, ours, theirs)| *wanted && ours != theirs);
    if let Some((_, code, what, ours, theirs)) = differ {
        let side = |hello: &Hello, value: Option<String>| {
            format!("{} has {}", hello.short(), value.as_deref().map_or("none".into(), text::line))
        };
        return Some(Stop::new(code, format!("{what}: {}, {}", side(host, ours), side(other, theirs))));
    }
    let apart = Duration::from_millis(clock.abs_diff(other.clock));
    (agree.clock && apart > CLOCK_APART).then(|| {
        let way = if other.clock > clock { "ahead of" } else { "behind" };
        let line = format!("the clocks differ: {} is {} {way} {}", other.short(), text::seconds(apart), host.short());
        Stop::new(PASSING, line)
    })
}

/// The stop of a process that failed.
pub(crate) fn failed(hello: &Hello, code: u8, line: &str) -> Stop {
    let code = if code == 0 { LASTING } else { code };
    Stop::new(code, format!("{}: {}", hello.who(), text::line(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::hello;

    /// A change of the other process, and what follows from it.
    type Case = (fn(&mut Hello), u8, &'static str);

    #[test]
    fn each_disagreement_names_both_sides() {
        let all = Agree {
            checks: true,
            resume: true,
            version: true,
            commit: true,
            commit_moves: false,
            requirements: true,
            gpus: true,
            clock: true,
        };
        let host = hello(0, 3);
        let with = |change: fn(&mut Hello)| {
            let mut other = hello(1, 3);
            change(&mut other);
            (compare(&all, &host, &other, other.clock.min(10_000)), compare(&Agree::default(), &host, &other, 10_000))
        };
        assert_eq!(with(|_| ()), (None, None));
        let cases: [Case; 5] = [
            (
                |other| other.version = "9".into(),
                119,
                "trainit's version differs: node 0 (n1) has 1, node 1 (n2) has 9",
            ),
            (
                |other| other.commit = Some("abc".into()),
                119,
                "the code's commit differs: node 0 (n1) has none, node 1 (n2) has abc",
            ),
            (
                |other| other.requirements = Some("x".into()),
                119,
                "the requirements differ: node 0 (n1) has none, node 1 (n2) has x",
            ),
            (
                |other| other.gpus = Some("8 × H100".into()),
                119,
                "the GPUs differ: node 0 (n1) has none, node 1 (n2) has 8 × H100",
            ),
            (|other| other.clock = 17_300, 219, "the clocks differ: node 1 (n2) is 7.3 s ahead of node 0 (n1)"),
        ];
        for (change, code, words) in cases {
            assert_eq!(with(change), (Some(Stop::new(code, words)), None), "{words}");
        }
        let other = Hello { commit: Some("abc".into()), ..hello(1, 3) };
        let moved = compare(&Agree { commit_moves: true, ..all }, &host, &other, other.clock);
        assert_eq!(moved.map(|stop| stop.code), Some(PASSING), "the branch of the code has moved");
        let mut other = hello(1, 3);
        other.of = 2;
        let stop = compare(&Agree::default(), &host, &other, 10_000).unwrap();
        assert_eq!((stop.code, stop.line.as_str()), (119, "n1 was told of 3 nodes, n2 was told of 2 nodes"));
    }
}
