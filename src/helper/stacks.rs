//! The stacks of a hanging workload, as far as they can be seen from outside.
//!
//! The sources are the trainer's own stack dump if it has one, py-spy if it is installed, and /proc otherwise.

use crate::program;
use protocol::handover::Policy;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use sys::{Pid, Signal, proc, signal};

/// Most processes that are looked at; a launcher with eight ranks and their loaders has more, but its ranks come first.
const PROCESSES: usize = 24;

/// Time limit of py-spy for one process.
const PY_SPY: Duration = Duration::from_secs(3);

/// Time limit of py-spy for all processes together; the rest is read from /proc, which takes no time.
const PY_SPY_ALL: Duration = Duration::from_secs(10);

/// Most lines of one py-spy dump that are logged.
const PY_SPY_LINES: usize = 40;

/// Reports on each process.
pub(super) fn dump(pids: &[Pid], policy: &Policy, tell: &mut dyn FnMut(String)) {
    let py_spy = which::which("py-spy").ok();
    let until = Instant::now() + PY_SPY_ALL;
    for pid in pids.iter().copied().take(PROCESSES) {
        let Some(status) = proc::status(pid) else { continue };
        let command = text::command(&proc::command_line(pid).unwrap_or_else(|| vec![status.name.into()]));
        tell(format!("  {pid} {} {command}", status.state));
        match (policy.watchdog.stack_signal.and_then(Signal::new), &py_spy) {
            (Some(signal), _) if signal.is_in(status.caught) => drop(signal::send(pid, signal)),
            (_, Some(py_spy)) if Instant::now() < until => spy(py_spy, pid, tell),
            _ => threads(pid, tell),
        }
    }
}

fn spy(program: &Path, pid: Pid, tell: &mut dyn FnMut(String)) {
    let mut command = Command::new(program);
    command.args(["dump", "--pid", &pid.to_string()]);
    match program::output(command, Some(Instant::now() + PY_SPY)) {
        Ok(answer) if answer.succeeded() => {
            answer.output.lines().take(PY_SPY_LINES).for_each(|line| tell(format!("    {line}")));
        }
        _ => threads(pid, tell),
    }
}

/// Reports where each thread waits in the kernel; only root may read its kernel stack.
fn threads(pid: Pid, tell: &mut dyn FnMut(String)) {
    for thread in proc::threads(pid).into_iter().take(8) {
        let read =
            |file: &str| std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/{file}")).unwrap_or_default();
        let stack = read("stack");
        let top: Vec<&str> = stack.lines().take(3).filter_map(|line| line.split_whitespace().nth(1)).collect();
        tell(format!(
            "    thread {thread} {}: waits in {} {}",
            read("comm").trim(),
            read("wchan").trim(),
            top.join(" < ")
        ));
    }
}
