//! What strace(1) wrote: which process made which call how often.

use std::collections::BTreeMap;

/// Whose calls a fault is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// PID 1.
    First,
    /// What lies below it: prepare, probes, helpers.
    Below,
}

/// How often each call was made, by its name.
pub type Counts = BTreeMap<String, usize>;

/// The calls of an undisturbed run.
#[derive(Debug, Default)]
pub struct Calls {
    /// By the launcher, in the process that becomes PID 1.
    pub before: Counts,
    /// By PID 1.
    pub first: Counts,
    /// The most that one of its descendants made, until it became another program: the workload, an installer.
    pub below: Counts,
}

impl Calls {
    /// Counts the lines of a trace. `launcher` is the process that strace started, `first` the one that became PID 1.
    pub fn of(trace: &str, first: i32) -> Self {
        let launcher = trace.lines().find_map(|line| line.split_whitespace().next()?.parse::<i32>().ok());
        let mut all: BTreeMap<i32, Counts> = BTreeMap::new();
        let mut calls = Calls::default();
        let mut over = Vec::new();
        for line in trace.lines() {
            let Some((pid, rest)) = process(line) else { continue };
            let Some(name) = call(rest) else { continue };
            if over.contains(&pid) || Some(pid) == launcher {
                continue;
            }
            *all.entry(pid).or_default().entry(name.to_owned()).or_default() += 1;
            if name == "execve" && pid == first {
                calls.before = all.remove(&pid).unwrap_or_default();
            } else if becomes_another(name, rest) {
                over.push(pid);
            }
        }
        calls.first = all.remove(&first).unwrap_or_default();
        for (name, times) in all.into_values().flatten() {
            let most = calls.below.entry(name).or_default();
            *most = times.max(*most);
        }
        calls
    }

    /// The calls of one kind of process.
    pub fn by(&self, who: Who) -> &Counts {
        match who {
            Who::First => &self.first,
            Who::Below => &self.below,
        }
    }
}

/// The process that a line is about, and the rest of the line.
pub fn process(line: &str) -> Option<(i32, &str)> {
    let (pid, rest) = line.trim_start().split_once(' ')?;
    Some((pid.parse().ok()?, rest.trim_start()))
}

/// The name of the call that begins on this line; not of one that goes on, nor of a signal.
fn call(rest: &str) -> Option<&str> {
    let (name, _) = rest.split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// Whether a call replaces the program. A search along PATH fails some times first.
fn becomes_another(name: &str, rest: &str) -> bool {
    name == "execve" && !rest.contains(" = -1 ")
}

/// The processes of trainit's own, PID 1 and the launcher apart, that a fault met.
pub fn met_below(trace: &str, first: i32) -> bool {
    let mut others: Vec<i32> = trace.lines().find_map(process).map(|(launcher, _)| launcher).into_iter().collect();
    others.push(first);
    for (pid, rest) in trace.lines().filter_map(process) {
        if rest.contains("(INJECTED)") && !others.contains(&pid) {
            return true;
        }
        if call(rest).is_some_and(|name| becomes_another(name, rest)) {
            others.push(pid);
        }
    }
    false
}

/// Whether a process died of a fault of its own.
pub fn crashed(trace: &str, is_meant: impl Fn(i32) -> bool) -> bool {
    trace.lines().filter_map(process).any(|(pid, rest)| {
        is_meant(pid)
            && ["--- SIGSEGV", "--- SIGABRT", "--- SIGBUS", "--- SIGILL", "--- SIGTRAP"]
                .iter()
                .any(|signal| rest.starts_with(signal))
    })
}

#[test]
fn a_trace_is_counted_by_process() {
    let trace = "7 execve(\"l\") = 0\n8 mount(1) = 0\n8 execve(\"trainit\") = 0\n8 read(3 <unfinished ...>\n9 read(1) = 0\n9 read(1) = 0\n\
                 10 read(1) = 0\n8 <... read resumed>) = 0\n9 execve(\"/w\") = 0\n9 read(1) = 0\n8 --- SIGCHLD {} ---\n8 +++ exited +++\n";
    let calls = Calls::of(trace, 8);
    assert_eq!((calls.first["read"], calls.below["read"], calls.before["mount"], calls.before["execve"]), (1, 2, 1, 1));
    assert!(!crashed(trace, |_| true) && crashed("8 --- SIGSEGV {si} ---", |pid| pid == 8));
}
