//! Facts about single processes from /proc. Any file may be missing (no /proc, another user's process, a process that has ended):
//! then the answer is `None` or empty, never an error.

use super::directory::numbers;
use super::retry::retry;
use super::{Pid, Root};
use std::collections::BTreeSet;
use std::ffi::{OsString, c_int};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// Tells whether /proc shows the processes that kill(2) means. In a pid namespace without its own /proc the numbers are other ones,
/// and every function here answers as for a missing file.
pub fn is_of_this_namespace() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let link = retry(|| nix::fcntl::readlink("/proc/self")).ok();
        link.and_then(|link| link.to_str()?.parse::<u32>().ok()) == Some(std::process::id())
    })
}

/// Reads a file of /proc/PID.
fn read(pid: Pid, name: &str) -> Option<Vec<u8>> {
    if !is_of_this_namespace() {
        return None;
    }
    Root::real().read(path(pid, name)).ok()
}

fn path(pid: Pid, name: &str) -> String {
    ["/proc", &pid.to_string(), name].join("/")
}

/// The fields of /proc/PID/status that decide where a signal goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalStatus {
    /// The command's name, at most 15 bytes long.
    pub name: String,
    /// The letter of the state: `R`, `S`, `D`, `T` …
    pub state: char,
    /// The parent; `None` where the parent is outside of this pid namespace.
    pub parent: Option<Pid>,
    /// The real user.
    pub uid: u32,
    /// The real group.
    pub gid: u32,
    /// The set of signals that were sent to the process and that it has not taken yet.
    pub pending: u64,
    /// The set of signals with a handler.
    pub caught: u64,
    /// The set of ignored signals.
    pub ignored: u64,
    /// The set of effective capabilities.
    pub capabilities: u64,
}

/// Parses the text of /proc/PID/status; unknown lines are skipped.
pub fn parse_status(text: &[u8]) -> SignalStatus {
    let text = String::from_utf8_lossy(text);
    let mut status = SignalStatus::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key {
            "Name" => status.name = value.into(),
            "State" => status.state = value.chars().next().unwrap_or_default(),
            "PPid" => status.parent = value.parse().ok(),
            "Uid" => status.uid = first_number(value),
            "Gid" => status.gid = first_number(value),
            // Those of the main thread, and those of the process.
            "SigPnd" | "ShdPnd" => status.pending |= u64::from_str_radix(value, 16).unwrap_or_default(),
            "SigCgt" => status.caught = u64::from_str_radix(value, 16).unwrap_or_default(),
            "SigIgn" => status.ignored = u64::from_str_radix(value, 16).unwrap_or_default(),
            "CapEff" => status.capabilities = u64::from_str_radix(value, 16).unwrap_or_default(),
            _ => {}
        }
    }
    status
}

fn first_number(value: &str) -> u32 {
    value.split_ascii_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// Reads a process's status, while the process exists.
pub fn status(pid: Pid) -> Option<SignalStatus> {
    read(pid, "status").map(|text| parse_status(&text))
}

/// Returns the name of the file that a process runs: `bash` also for a script that bash reads, whose own name is the script's. The
/// memory lock of the process cannot delay this read.
pub fn program(pid: Pid) -> Option<String> {
    let path = with_rights_over(pid, || std::fs::read_link(format!("/proc/{pid}/exe"))).ok()?;
    Some(path.file_name()?.to_str()?.trim_end_matches(" (deleted)").to_owned())
}

/// Reads something of a process. A root without CAP_SYS_PTRACE may not read another user's process, but that user may (proc(5)), so
/// a refused `look` is repeated with the rights of the process's user.
///
/// # Errors
/// The error of `look`.
pub fn with_rights_over<T>(pid: Pid, look: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match look() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => match status(pid) {
            Some(status) => as_user(status.uid, status.gid, look),
            None => Err(error),
        },
        other => other,
    }
}

/// Runs `body` with the rights that a user has in file systems (setfsuid(2)).
pub fn as_user<T>(uid: u32, gid: u32, body: impl FnOnce() -> T) -> T {
    // SAFETY: both calls take no pointers, and change this thread only.
    let before = unsafe { (libc::setfsgid(gid), libc::setfsuid(uid)) };
    let result = body();
    // SAFETY: the call takes no pointers, and changes this thread only.
    set_back(before.1, |id| unsafe { libc::setfsuid(id) });
    // SAFETY: the call takes no pointers, and changes this thread only.
    set_back(before.0, |id| unsafe { libc::setfsgid(id) });
    result
}

/// Sets a file-system id back. These calls report no error but the id before them, so a second call shows whether the first one
/// worked.
fn set_back(before: c_int, set: impl Fn(u32) -> c_int) {
    const ATTEMPTS: u32 = 4;
    for _ in 0..ATTEMPTS {
        if set(before as u32) == before {
            return;
        }
    }
}

/// The letter of a thread's state, and the kernel's function that the thread waits in, where the kernel tells it.
pub type WaitState = (char, Option<String>);

/// How many threads are examined.
const THREADS: usize = 64;

/// Returns the state of a process: of its first thread that waits where no signal reaches it (D), or else of its first thread. No
/// file is read that such a thread could delay, as it could delay the command line by its memory lock.
pub fn waits(pid: Pid) -> Option<WaitState> {
    let mut all = threads(pid);
    all.sort_unstable();
    let seen: Vec<WaitState> = all.iter().take(THREADS).filter_map(|thread| waits_of(pid, *thread)).collect();
    seen.iter().find(|(state, _)| *state == 'D').or(seen.first()).cloned()
}

fn waits_of(pid: Pid, thread: Pid) -> Option<WaitState> {
    let state = parse_state(&read(pid, &format!("task/{thread}/stat"))?)?;
    Some((state, read(pid, &format!("task/{thread}/wchan")).and_then(|text| parse_wchan(&text))))
}

/// Parses field 3 of /proc/PID/stat.
pub fn parse_state(stat: &[u8]) -> Option<char> {
    let after_name = stat.rsplit(|b| *b == b')').next()?;
    let state = char::from(*after_name.trim_ascii_start().first()?);
    state.is_ascii_alphabetic().then_some(state)
}

/// Parses the name of a function; the text is `0` for a thread that runs, and on a kernel that does not tell.
pub fn parse_wchan(text: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(text.trim_ascii()).ok()?;
    let is_name = name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (is_name && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b))).then(|| name.to_owned())
}

/// Returns the name in the first word of a process's command line. For a program that is many programs (busybox), this is the
/// applet's name.
pub fn first_word(pid: Pid) -> Option<String> {
    let line = read(pid, "cmdline")?;
    let word = line.split(|b| *b == 0).next()?.rsplit(|b| *b == b'/').next()?;
    Some(String::from_utf8_lossy(word).trim_start_matches('-').to_owned())
}

/// Milliseconds of a clock tick: USER_HZ is 100 on every architecture that trainit is built for (include/asm-generic/param.h).
const TICK: u64 = 10;

/// Returns the age of a process that started at this clock tick since boot.
pub fn age(start: u64) -> Option<Duration> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time outlives the call, which fills it.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) } == 0;
    let now = Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
    told.then(|| now.saturating_sub(Duration::from_millis(start.saturating_mul(TICK))))
}

/// Returns when a process started, in clock ticks since boot. The pid and this time name one process for ever (proc_pid_stat(5),
/// field 22).
pub fn start_time(pid: Pid) -> Option<u64> {
    if !is_of_this_namespace() {
        return None;
    }
    // One read and no heap, because every start calls this function. The field is among the first 500 bytes, whatever the numbers
    // are.
    let mut room = [0; 512];
    let count = File::open(path(pid, "stat")).and_then(|mut file| file.read(&mut room)).ok()?;
    parse_start_time(room.get(..count)?)
}

/// Parses field 22 of /proc/PID/stat. The name in field 2 may hold blanks and brackets, so fields count from its last bracket.
pub fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let after_name = stat.rsplit(|b| *b == b')').next()?;
    std::str::from_utf8(after_name).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Returns the words of a process's command line; its name in brackets when it has none. The words may hold secrets: a caller that
/// shows them masks them first, and cuts them only then.
pub fn command_line(pid: Pid) -> Option<Vec<OsString>> {
    let bytes = read(pid, "cmdline")?;
    let words = bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(|word| OsString::from_vec(word.to_vec()));
    let words: Vec<_> = words.collect();
    match words.is_empty() {
        true => status(pid).map(|status| vec![format!("[{}]", status.name).into()]),
        false => Some(words),
    }
}

/// Returns how many bytes a process has passed to write(2) and its like so far (proc_pid_io(5), `wchar`).
pub fn written(pid: Pid) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("wchar:")?.trim().parse().ok())
}

/// Returns the device number of the terminal that controls a process (proc_pid_stat(5), field 7); `None` where it has none.
pub fn terminal(pid: Pid) -> Option<u64> {
    parse_terminal(&read(pid, "stat")?)
}

/// Decodes the old form of the number: bits 15 to 8 are the major number, the others the minor number.
fn parse_terminal(stat: &[u8]) -> Option<u64> {
    let after_name = std::str::from_utf8(stat.rsplit(|b| *b == b')').next()?).ok()?;
    let number: i32 = after_name.split_ascii_whitespace().nth(4)?.parse().ok()?;
    let number = number as u32;
    let (major, minor) = ((number >> 8) & 0xff, (number & 0xff) | ((number >> 12) & 0xfff00));
    (number != 0).then(|| libc::makedev(major, minor))
}

/// Returns whether a process leads a session that has a terminal: its end hangs up on the processes in the foreground there
/// (proc_pid_stat(5), field 6).
pub fn leads_terminal(pid: Pid) -> bool {
    read(pid, "stat").is_some_and(|stat| parse_session(&stat) == Some(pid.number()) && parse_terminal(&stat).is_some())
}

fn parse_session(stat: &[u8]) -> Option<c_int> {
    let after_name = std::str::from_utf8(stat.rsplit(|b| *b == b')').next()?).ok()?;
    after_name.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// Returns the processor time of a process and of the children that it has waited for, in milliseconds (proc_pid_stat(5), fields 14
/// to 17).
pub fn processor_time(pid: Pid) -> Option<u64> {
    parse_processor_time(&read(pid, "stat")?)
}

fn parse_processor_time(stat: &[u8]) -> Option<u64> {
    let after_name = std::str::from_utf8(stat.rsplit(|b| *b == b')').next()?).ok()?;
    let ticks = after_name.split_ascii_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok());
    Some(ticks.sum::<Option<u64>>()?.saturating_mul(TICK))
}

/// Lists the threads of a process; their ids are from the same range as those of processes (gettid(2)).
pub fn threads(pid: Pid) -> Vec<Pid> {
    pids_in(Path::new(&path(pid, "task"))).unwrap_or_default()
}

/// Lists the children of all threads of a process; the list is empty where they cannot be known.
pub fn children(pid: Pid) -> Vec<Pid> {
    known_children(pid).unwrap_or_default()
}

/// Lists the children of all threads of a process.
///
/// # Errors
/// The error of open(2), getdents64(2) or read(2): then it is not known whether there are any children.
pub fn known_children(pid: Pid) -> io::Result<Vec<Pid>> {
    if !is_of_this_namespace() {
        return Ok(Vec::new());
    }
    match listed_children(pid)? {
        Some(children) => Ok(children),
        None => Ok(parents()?.into_iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| child).collect()),
    }
}

/// Reads the kernel's lists of children; `None` on a kernel without CONFIG_PROC_CHILDREN.
fn listed_children(pid: Pid) -> io::Result<Option<Vec<Pid>>> {
    let directory = path(pid, "task");
    let mut children = Vec::new();
    for thread in pids_in(Path::new(&directory))? {
        match std::fs::read_to_string(format!("{directory}/{thread}/children")) {
            Ok(list) => children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<Pid>().ok())),
            // Either the thread has ended, or the kernel has no such file.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if Path::new(&format!("{directory}/{thread}")).exists() {
                    return Ok(None);
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(children))
}

/// Lists every process that can be seen, with its parent.
fn parents() -> io::Result<Vec<(Pid, Pid)>> {
    let pids = pids_in(Path::new("/proc"))?;
    Ok(pids.into_iter().filter_map(|pid| Some((pid, status(pid)?.parent?))).collect())
}

/// Lists the entries of a directory of processes or threads.
fn pids_in(directory: &Path) -> io::Result<Vec<Pid>> {
    Ok(numbers(directory)?.into_iter().filter_map(Pid::new).collect())
}

/// Lists every process that can be seen.
pub fn pids() -> Vec<Pid> {
    pids_in(Path::new("/proc")).unwrap_or_default()
}

/// Lists all descendants of a process, parents before children.
pub fn descendants(pid: Pid) -> Vec<Pid> {
    match listed_children(pid) {
        _ if !is_of_this_namespace() => Vec::new(),
        Ok(Some(_)) | Err(_) => closure(pid, &children),
        Ok(None) => {
            let all = parents().unwrap_or_default();
            closure(pid, &|parent| all.iter().filter(|(_, p)| *p == parent).map(|(child, _)| *child).collect())
        }
    }
}

fn closure(pid: Pid, children: &dyn Fn(Pid) -> Vec<Pid>) -> Vec<Pid> {
    let (mut found, mut known) = (children(pid), BTreeSet::from([pid]));
    found.retain(|child| known.insert(*child));
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(children(parent).into_iter().filter(|child| known.insert(*child)));
        next += 1;
    }
    found
}

/// Returns the id of this process's pid namespace.
pub fn pid_namespace() -> Option<String> {
    namespace_of(Path::new("/proc/self/ns/pid"))
}

/// Returns the id of this process's time namespace, by whose clock the beginnings of processes are told.
pub fn time_namespace() -> Option<String> {
    std::fs::read_link("/proc/self/ns/time").ok()?.to_str().map(str::to_owned)
}

/// Returns the id of another process's pid namespace, where we may see it.
pub fn pid_namespace_of(pid: Pid) -> Option<String> {
    is_of_this_namespace().then(|| namespace_of(Path::new(&path(pid, "ns/pid")))).flatten()
}

fn namespace_of(link: &Path) -> Option<String> {
    let target = std::fs::read_link(link).ok()?;
    Some(target.to_str()?.trim_start_matches("pid:[").trim_end_matches(']').into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_session_is_read_behind_any_name() {
        assert_eq!(parse_session(b"7 (a) b) c) S 1 7 9 34816 7"), Some(9));
        assert_eq!((parse_session(b"7 (a) S"), parse_session(b"")), (None, None));
    }

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = b"7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 200";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_terminal(stat), None);
        let at_terminal = b"7 (a) S 1 7 7 34816 7 4194560 1 2";
        assert_eq!(parse_terminal(at_terminal), Some(libc::makedev(136, 0)));
        assert_eq!(parse_processor_time(stat), Some((5 + 6 + 7 + 8) * 10));
        assert_eq!((parse_state(stat), parse_state(b"7 (a) D 1"), parse_state(b"7 (a)")), (Some('S'), Some('D'), None));
    }

    #[test]
    fn descendants_are_found_once_even_when_the_tree_changes_while_it_is_read() {
        let children = |pid: Pid| match pid.number() {
            1 => vec![2, 3],
            2 => vec![4, 3], // 3 was seen below 1 a moment ago
            4 => vec![1],
            _ => vec![],
        };
        let tree = |pid| children(pid).into_iter().map(Pid::reported).collect();
        assert_eq!(closure(Pid::FIRST, &tree), [2, 3, 4].map(Pid::reported));
    }

    #[test]
    fn the_processes_here_are_those_of_this_namespace() {
        assert!(is_of_this_namespace());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::of(&child);
        let seen = (children(Pid::own()).contains(&pid), parents().unwrap().contains(&(pid, Pid::own())));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, (true, true));
    }

    #[test]
    fn where_a_thread_waits_is_a_name_or_not_told() {
        assert_eq!(parse_wchan(b"request_wait_answer"), Some("request_wait_answer".to_owned()));
        assert_eq!(parse_wchan(b"nv_ioctl.isra.0\n").as_deref(), Some("nv_ioctl.isra.0"));
        assert_eq!([b"0".as_slice(), b"", b"\x1b[2J", b"a b"].map(parse_wchan), [None, None, None, None]);
    }

    #[test]
    fn a_process_that_sleeps_is_seen_sleeping() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let seen = || waits(Pid::of(&child)).map(|(state, _)| state);
        while seen() != Some('S') && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let last = seen();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(last, Some('S'));
    }

    #[test]
    fn this_process_can_be_read() {
        let own = status(Pid::own()).unwrap();
        assert_eq!(own.parent, Pid::parent());
        assert!(start_time(Pid::own()).unwrap() > 0);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parsers(bytes: Vec<u8>) {
            let _ = (parse_status(&bytes), parse_start_time(&bytes), parse_processor_time(&bytes), parse_terminal(&bytes));
            let _ = (parse_state(&bytes), parse_wchan(&bytes));
        }
    }
}
