//! What /proc tells about single processes. Everything may be missing (no /proc, another user, gone meanwhile): then the
//! answer is `None` or empty, never an error.

use std::ffi::c_int;
use std::path::Path;

/// The fields of /proc/PID/status that decide where a signal goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The command's name, at most 15 bytes.
    pub name: String,
    /// The state's letter: `R`, `S`, `D`, `T` …
    pub state: char,
    /// Its parent.
    pub parent: c_int,
    /// Its real user.
    pub uid: u32,
    /// Signals with a handler.
    pub caught: u64,
    /// Signals that it ignores.
    pub ignored: u64,
}

/// Reads the fields out of the text of /proc/PID/status; unknown lines are skipped.
pub fn parse_status(text: &[u8]) -> Status {
    let text = String::from_utf8_lossy(text);
    let mut status = Status::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Name" => status.name = value.into(),
            "State" => status.state = value.chars().next().unwrap_or_default(),
            "PPid" => status.parent = value.parse().unwrap_or_default(),
            "Uid" => {
                status.uid = value.split_ascii_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
            }
            "SigCgt" => status.caught = u64::from_str_radix(value, 16).unwrap_or_default(),
            "SigIgn" => status.ignored = u64::from_str_radix(value, 16).unwrap_or_default(),
            _ => {}
        }
    }
    status
}

/// A process's status, while it is there.
pub fn status(pid: c_int) -> Option<Status> {
    std::fs::read(format!("/proc/{pid}/status")).ok().map(|text| parse_status(&text))
}

/// When a process started, in clock ticks since boot: with the pid it names one process for ever (proc_pid_stat(5), field 22).
pub fn start_time(pid: c_int) -> Option<u64> {
    parse_start_time(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of /proc/PID/stat. The name in field 2 may hold blanks and brackets, so fields count from its last bracket.
pub fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let after_name = stat.rsplit(|b| *b == b')').next()?;
    std::str::from_utf8(after_name).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A process's command line as one line, shortened; its name in brackets when it has none.
pub fn command_line(pid: c_int) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|w| w.escape_ascii().to_string()).collect();
    match words.is_empty() {
        true => status(pid).map(|status| format!("[{}]", status.name)),
        false => Some(words.join(" ").chars().take(120).collect()),
    }
}

/// Bytes that a process has passed to write(2) and its like so far (proc_pid_io(5), `wchar`).
pub fn written(pid: c_int) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("wchar:")?.trim().parse().ok())
}

/// The threads of a process.
pub fn threads(pid: c_int) -> Vec<c_int> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, of all its threads.
pub fn children(pid: c_int) -> Vec<c_int> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("children")));
    let mut children = Vec::new();
    for list in lists {
        match list {
            Ok(list) => children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<c_int>().ok())),
            Err(_) => return children_by_parent(pid),
        }
    }
    children
}

/// The same for kernels without CONFIG_PROC_CHILDREN.
fn children_by_parent(parent: c_int) -> Vec<c_int> {
    pids().into_iter().filter(|pid| status(*pid).is_some_and(|status| status.parent == parent)).collect()
}

/// Every process that can be seen.
pub fn pids() -> Vec<c_int> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// All that descends from a process, parents before children.
pub fn descendants(pid: c_int) -> Vec<c_int> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        for child in children(parent) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// The id of this process's pid namespace.
pub fn pid_namespace() -> Option<String> {
    let link = std::fs::read_link(Path::new("/proc/self/ns/pid")).ok()?;
    Some(link.to_str()?.trim_start_matches("pid:[").trim_end_matches(']').into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = b"7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 200";
        assert_eq!(parse_start_time(stat), Some(4242));
    }

    #[test]
    fn this_process_can_be_read() {
        let own = status(std::process::id() as c_int).unwrap();
        assert_eq!(own.parent, nix::unistd::getppid().as_raw());
        assert!(start_time(std::process::id() as c_int).unwrap() > 0);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = (parse_status(&bytes), parse_start_time(&bytes));
        }
    }
}
