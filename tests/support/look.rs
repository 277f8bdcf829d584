//! Processes as seen from outside: their files in /proc, and waits for a condition.

use super::LONG;
use std::ffi::c_int;
use std::time::{Duration, Instant};

/// Waits until there is an answer, and panics when none comes in time.
#[track_caller]
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(begun.elapsed() < LONG, "waited {LONG:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Reads a field of /proc/PID/status.
pub fn field(pid: c_int, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Tells whether trainit receives signals by now. Before that, the kernel drops signals for which PID 1 has no handler. trainit
/// blocks all signals, which /proc does not show during rt_sigtimedwait(2), but by then trainit has a child.
pub fn has_taken_over(pid: c_int) -> bool {
    signals(pid, "SigBlk") & 1 << (libc::SIGTERM - 1) != 0 || !children(pid).is_empty()
}

/// Reads a set of signals from /proc/PID/status.
pub fn signals(pid: c_int, name: &str) -> u64 {
    field(pid, name).and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0)
}

/// Tells whether a process has a handler for a signal.
pub fn catches(pid: c_int, number: c_int) -> bool {
    signals(pid, "SigCgt") & 1 << (number - 1) != 0
}

/// Returns the letter of a process's state; `None` when the process is gone.
pub fn state(pid: c_int) -> Option<char> {
    field(pid, "State")?.chars().next()
}

/// Returns when a process started, in ticks since boot (proc_pid_stat(5), field 22); `None` when the process is gone.
pub fn start_time(pid: c_int) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Lists the children of all threads of a process.
pub fn children(pid: c_int) -> Vec<c_int> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Lists all descendants of a process.
pub fn descendants(pid: c_int) -> Vec<c_int> {
    let of = children(pid);
    let below = of.iter().flat_map(|child| descendants(*child)).collect::<Vec<_>>();
    [of, below].concat()
}

/// Lists the open descriptors of a process, each with its target.
pub fn descriptors(pid: c_int) -> Vec<(c_int, String)> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut open: Vec<(c_int, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
        })
        .collect();
    open.sort();
    open
}

/// Tells whether a supervisor has a pipe open besides 0, 1 and 2 and the pipe to its front process. That pipe is the handover,
/// unless the caller has left one open.
pub fn has_pipe(pid: c_int) -> bool {
    let pipes = descriptors(pid).iter().filter(|(fd, what)| *fd > 2 && what.starts_with("pipe:")).count();
    pipes > usize::from(field(pid, "Name").as_deref() == Some("supervisor"))
}

/// Lists every process whose command line contains this word.
pub fn with_word(word: &str) -> Vec<c_int> {
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let holds = |pid: &c_int| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).any(|w| w == word.as_bytes()))
    };
    pids.filter(holds).collect()
}

/// Reads a number of kB from /proc/PID/smaps_rollup or /proc/PID/status.
pub fn kilobytes(pid: c_int, name: &str) -> u64 {
    field(pid, name).and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
