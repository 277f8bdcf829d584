//! The terminals of a container: its own, and those of sessions (`docker exec -it`, SSH, a Jupyter terminal, tmux).
//!
//! The module finds recent typing, and writes a line to every terminal.

use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, stat};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use sys::{Pid, proc};

/// The directory of pseudo terminals.
const PSEUDO: &str = "/dev/pts";
/// The path at which a container engine mounts its terminal.
const CONSOLE: &str = "/dev/console";

/// Longest delay with which the kernel updates the time of an input (drivers/tty/tty_io.c, tty_update_time).
const GRAIN: Duration = Duration::from_secs(8);

/// Returns a terminal at which a person typed this recently.
pub(super) fn typed_at(within: Duration, processes: &[Pid]) -> Option<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let typed = |found: &FileStat| {
        let read = Duration::from_secs(found.st_atime.try_into().unwrap_or(0));
        now.saturating_sub(read) <= within + GRAIN
    };
    of(processes).into_iter().find(|(_, found)| typed(found)).map(|(path, _)| path)
}

/// Writes a line to each terminal, as wall(1) does, except to the one that gets the log; one that nothing reads does not block.
pub(super) fn tell(line: &str, processes: &[Pid]) {
    let own = fstat(std::io::stderr()).map(|stderr| stderr.st_rdev).unwrap_or_default();
    for (path, _) in of(processes).into_iter().filter(|(_, found)| found.st_rdev != own) {
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        if let Ok(fd) = nix::fcntl::open(&path, flags, Mode::empty()) {
            let _ = std::fs::File::from(fd).write_all(format!("\r\ntrainit: {line}\r\n").as_bytes());
        }
    }
}

/// Returns the terminals of these processes, because a host's other terminals do not belong to the container.
fn of(processes: &[Pid]) -> Vec<(PathBuf, FileStat)> {
    let numbers: BTreeSet<u64> = processes.iter().filter_map(|pid| proc::terminal(*pid)).collect();
    all().into_iter().filter(|(_, found)| numbers.contains(&found.st_rdev)).collect()
}

fn all() -> Vec<(PathBuf, FileStat)> {
    let numbered = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let pseudo = std::fs::read_dir(PSEUDO).into_iter().flatten().flatten().filter(numbered).map(|entry| entry.path());
    let paths = pseudo.chain([PathBuf::from(CONSOLE)]);
    let terminals = paths.filter_map(|path| Some((path.clone(), stat(&path).ok()?)));
    let mut all: Vec<(PathBuf, FileStat)> = terminals.chain(own()).collect();
    all.retain(|(_, found)| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits());
    all
}

/// Returns PID 1's terminal, which need not have a name here.
fn own() -> Option<(PathBuf, FileStat)> {
    let stdin = std::io::stdin();
    nix::unistd::isatty(stdin.as_fd()).ok().filter(|is| *is)?;
    Some(("the terminal".into(), fstat(stdin).ok()?))
}
