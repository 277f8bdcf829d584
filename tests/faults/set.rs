//! Which faults are tried, and trying them, a few at a time.

use crate::run::{Class, Ended, Fault, Padding, Tools, judge, run};
use crate::scenario::{SCENARIOS, Scenario, Stop};
use crate::trace::{Calls, Who, met_below, process};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What a call is made to answer.
pub const ERRNOS: [&str; 5] = ["EIO", "ENOMEM", "EINTR", "ENOSYS", "EPERM"];

/// Calls that do not come back, or that the kernel makes for the process.
const NEVER: &[&str] = &["exit", "exit_group", "rt_sigreturn", "restart_syscall"];
/// Calls that do something with whatever arguments: they cannot be padded, so a fault meets PID 1 and its children alike.
const UNPADDED: &[&str] = &["fork", "vfork", "umask", "setsid", "pause", "sync", "alarm"];
/// How many cases are tried side by side. Most of the time a case waits.
const WORKERS: usize = 4;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Some of each call in the phases that matter most, one error each.
    Part,
    /// Everything.
    All,
    /// The first of each call of a start with all errors; and the page is written.
    Write,
}

impl Extent {
    /// What the environment asks for.
    pub fn asked() -> Self {
        match std::env::var("FAULTS").as_deref() {
            Ok("all") => Extent::All,
            Ok("write") => Extent::Write,
            _ => Extent::Part,
        }
    }
}

/// What came of one fault.
pub struct Outcome {
    /// In which phase's start.
    pub phase: &'static str,
    /// The fault.
    pub fault: Fault,
    /// How it ended.
    pub class: Class,
    /// The last lines it wrote.
    pub said: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { who, call, nth, errno } = &self.fault;
        write!(f, "{who:?} {call} {nth} {errno} {}: {:?}: {}", self.phase, self.class, self.said)
    }
}

/// A phase, its undisturbed run, and what that called.
struct Phase {
    scenario: &'static Scenario,
    plain: Ended,
    calls: Calls,
}

struct Case<'a> {
    phase: &'a Phase,
    fault: Fault,
}

/// Tries all cases, and keeps those whose fault was met. Prints how far it is, because all of them take hours.
pub fn run_all(tools: &Tools, extent: Extent) -> Vec<Outcome> {
    let numbers = call_numbers();
    let phases: Vec<Phase> =
        SCENARIOS.iter().filter(|scenario| is_wanted(scenario, extent)).map(|it| phase(tools, it)).collect();
    let cases: Vec<Case> = phases.iter().flat_map(|phase| cases(phase, extent)).filter(is_asked_for).collect();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let progress = Progress::of(&cases);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = try_one(tools, case, &numbers);
                    progress.one_more(case, outcome.as_ref());
                    outcomes.lock().unwrap().extend(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// How many of the cases are done. A line is printed for each hundredth part, if there are many, and for each wrong outcome.
struct Progress {
    begun: Instant,
    all: usize,
    done: AtomicUsize,
}

impl Progress {
    fn of(cases: &[Case<'_>]) -> Self {
        Progress { begun: Instant::now(), all: cases.len(), done: AtomicUsize::new(0) }
    }

    fn one_more(&self, case: &Case<'_>, outcome: Option<&Outcome>) {
        if let Some(wrong) = outcome.filter(|outcome| matches!(outcome.class, Class::Wrong(_)) && !is_known(outcome)) {
            let _ = writeln!(std::io::stderr(), "faults: {wrong}");
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.all > 1000 && (done.is_multiple_of(self.all / 100) || done == self.all) {
            let (minutes, phase) = (self.begun.elapsed().as_secs() / 60, case.phase.scenario.phase);
            // Not by `println!`: the test harness would keep it until the end.
            let _ = writeln!(std::io::stderr(), "faults: {done} of {} after {minutes} min ({phase})", self.all);
        }
    }
}

fn is_wanted(scenario: &Scenario, extent: Extent) -> bool {
    let asked = std::env::var("FAULTS_ONLY").unwrap_or_default();
    let mut phases =
        SCENARIOS.iter().filter(|other| asked.split_whitespace().any(|word| word == other.phase)).peekable();
    if phases.peek().is_some() {
        phases.any(|other| other.phase == scenario.phase)
    } else {
        extent == Extent::All || scenario.always
    }
}

fn is_asked_for(case: &Case<'_>) -> bool {
    let Ok(words) = std::env::var("FAULTS_ONLY") else { return true };
    let name = format!("{:?} {} {} {}", case.fault.who, case.fault.call, case.fault.errno, case.phase.scenario.phase);
    words.split_whitespace().all(|word| name.split(' ').any(|other| other == word))
}

fn phase(tools: &Tools, scenario: &'static Scenario) -> Phase {
    let plain = run(tools, scenario, None);
    assert_eq!(plain.code, Some(scenario.code), "the undisturbed run of {}: {}", scenario.phase, plain.errors);
    let calls = Calls::of(&plain.trace, plain.first);
    assert!(calls.first.len() > 5 && calls.below.len() > 5, "{calls:?}");
    Phase { scenario, plain, calls }
}

fn cases(phase: &Phase, extent: Extent) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    // What lies below PID 1 does the same until the workload runs.
    let below = extent != Extent::Part || phase.scenario.stop == Stop::Never;
    for who in [Who::First, Who::Below].into_iter().filter(|who| *who == Who::First || below) {
        for (call, times) in phase.calls.by(who).iter().filter(|(call, _)| !NEVER.contains(&call.as_str())) {
            for (nth, errno) in faults(call, (*times).min(phase.scenario.most), extent) {
                cases.push(Case { phase, fault: Fault { who, call: call.clone(), nth, errno } });
            }
        }
    }
    cases
}

/// Every call with every error; in part the first, the last and one between, each with an error of its own.
fn faults(call: &str, times: usize, extent: Extent) -> Vec<(usize, &'static str)> {
    if extent == Extent::All {
        return (1..=times).flat_map(|nth| ERRNOS.map(|errno| (nth, errno))).collect();
    }
    let mut chosen = vec![1, times.div_ceil(2), times];
    chosen.dedup();
    if extent == Extent::Write {
        return ERRNOS.map(|errno| (1, errno)).to_vec();
    }
    let seed: usize = call.bytes().map(usize::from).sum();
    chosen.into_iter().enumerate().map(|(at, nth)| (nth, ERRNOS[(seed + at) % ERRNOS.len()])).collect()
}

fn try_one(tools: &Tools, case: &Case<'_>, numbers: &BTreeMap<String, i64>) -> Option<Outcome> {
    let Phase { scenario, plain, calls } = case.phase;
    let padding = padding(&case.fault, calls, numbers)?;
    let ended = run_patiently(tools, scenario, (&case.fault, padding));
    is_met(&case.fault, &ended).then(|| Outcome {
        phase: scenario.phase,
        fault: case.fault.clone(),
        class: judge(&case.fault, &ended, plain, scenario.code),
        said: last_words(&ended.errors),
    })
}

/// Runs a case, and once more with four times the patience if it seems to hang: another load of the machine can make it late.
fn run_patiently(tools: &Tools, scenario: &Scenario, fault: (&Fault, Padding)) -> Ended {
    let ended = run(tools, scenario, Some(fault));
    if ended.code.is_some() {
        return ended;
    }
    run(tools, &Scenario { patience: scenario.patience * 4, ..*scenario }, Some(fault))
}

/// PID 1's calls come after the padding, which is longer than what its descendants call: they never count so far.
fn padding(fault: &Fault, calls: &Calls, numbers: &BTreeMap<String, i64>) -> Option<Padding> {
    let of = |counts: &BTreeMap<String, usize>| counts.get(&fault.call).copied().unwrap_or(0);
    let number = *numbers.get(&fault.call)?;
    let times = if UNPADDED.contains(&fault.call.as_str()) { 0 } else { of(&calls.below) + 160 };
    let when = if fault.who == Who::First { of(&calls.before) + times + fault.nth } else { fault.nth };
    Some(Padding { times, number, when })
}

/// Whether the call was made, by a process of that kind.
fn is_met(fault: &Fault, ended: &Ended) -> bool {
    let mut met = ended.trace.lines().filter(|line| line.contains("(INJECTED)")).filter_map(process);
    match fault.who {
        Who::First => met.any(|(pid, _)| pid == ended.first),
        Who::Below => met_below(&ended.trace, ended.first),
    }
}

fn last_words(errors: &str) -> String {
    let lines: Vec<&str> = errors.lines().collect();
    lines[lines.len().saturating_sub(3)..].join(" ⏎ ").chars().take(300).collect()
}

/// The numbers of all calls, as the C library's header has them.
fn call_numbers() -> BTreeMap<String, i64> {
    let output = std::process::Command::new("gcc")
        .args(["-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |line: &str| {
        let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
        // strace's own name for it.
        let name = if name == "fstatat" { "newfstatat" } else { name };
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(number).collect()
}

/// A call of PID 1, the first how many of that name (0: all), and why a fault there is not mended.
const KNOWN: &[(&str, usize, &str)] = &[
    ("arch_prctl", 0, "the C library's start, before `main`"),
    ("mmap", 1, "the C library's start, before `main`"),
    ("rt_sigprocmask", 5, "the C library's fork, which restores a mask that it could not read"),
];

/// Calls whose success std asserts, and where it says so: the close of a directory that it has read, and the random numbers of a hash
/// map. No file system and no kernel answers these with such an error.
const ASSERTED: (&[&str], &str) = (&["close", "getrandom"], "library/std/src/sys/");

/// Whether it is a known case.
pub fn is_known(outcome: &Outcome) -> bool {
    let Fault { who, call, nth, .. } = &outcome.fault;
    match who {
        Who::First => KNOWN.iter().any(|(name, first, _)| call == name && (*first == 0 || nth <= first)),
        Who::Below => ASSERTED.0.contains(&call.as_str()) && outcome.said.contains(ASSERTED.1),
    }
}
