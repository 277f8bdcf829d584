//! Checks whether the container is used by the signs of `idle`, the cheapest first.
//!
//! A sign that cannot be seen is reported and counts as use, so that no work is ended because of a failed look.

mod connections;
mod gpus;
mod jupyter;

use super::terminals;
use protocol::handover::{Idle, Policy, UsageSign, UsageState};
use std::time::Duration;
use sys::{Pid, proc};

/// Looks for the first sign of use; typing counts for the time `within`.
pub(super) fn look(policy: &Policy, within: Duration) -> UsageState {
    let Some(idle) = &policy.idle.unused else { return UsageState::default() };
    let processes = super::processes();
    let sign = idle.signs.iter().find_map(|sign| seen(*sign, idle, within, &processes));
    let counts = idle.signs.contains(&UsageSign::Cpu);
    UsageState { sign, processor: counts.then(|| processes.iter().filter_map(|pid| proc::processor_time(*pid)).sum()) }
}

fn seen(sign: UsageSign, idle: &Idle, within: Duration, processes: &[Pid]) -> Option<String> {
    match sign {
        UsageSign::Connections => connections::open(&idle.ports),
        UsageSign::Terminal => {
            terminals::typed_at(within, processes).map(|path| format!("somebody types at {}", path.display()))
        }
        UsageSign::Kernels => jupyter::busy(processes),
        UsageSign::Gpu => gpus::busy(),
        UsageSign::Cpu => None, // only PID 1 has two counts to compare
    }
}
