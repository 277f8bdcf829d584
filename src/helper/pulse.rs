//! Signs of life: bytes that the workload's processes have written, and the time of its heartbeat file.

use protocol::handover::Heartbeat;
use protocol::state_file::HEARTBEAT;
use std::path::Path;
use std::time::UNIX_EPOCH;
use sys::{Pid, proc};

/// Looks at all descendants of the parent, PID 1, except this process and `others`.
pub(super) fn pulse(run_dir: Option<&str>, others: &[Pid]) -> Heartbeat {
    let counts = |pid: &Pid| *pid != Pid::own() && !others.contains(pid);
    let all = Pid::parent().map_or(Vec::new(), proc::descendants).into_iter().filter(counts);
    let written = all.filter_map(proc::written).reduce(u64::wrapping_add);
    Heartbeat { written, heartbeat: run_dir.and_then(heartbeat).unwrap_or_default() }
}

fn heartbeat(run_dir: &str) -> Option<f64> {
    let touched = std::fs::metadata(Path::new(run_dir).join(HEARTBEAT)).ok()?.modified().ok()?;
    Some(touched.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}
