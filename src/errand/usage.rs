//! Whether the container is used: the signs of `idle`, the cheapest first. What cannot be seen is said, and counts as use: nobody's work
//! is ended because we could not look.

mod connections;
mod gpus;
mod jupyter;

use super::terminals;
use protocol::handover::{Idle, Policy, Sign, Use};
use std::ffi::c_int;
use std::time::Duration;
use sys::proc;

/// Looks for a sign of use, up to the first; what was typed counts for so long.
pub fn look(policy: &Policy, within: Duration) -> Use {
    let Some(idle) = &policy.idle else { return Use::default() };
    let processes = super::processes();
    let sign = idle.signs.iter().find_map(|sign| seen(*sign, idle, within, &processes));
    let counts = idle.signs.contains(&Sign::Cpu);
    Use { sign, processor: counts.then(|| processes.iter().filter_map(|pid| proc::processor_time(*pid)).sum()) }
}

fn seen(sign: Sign, idle: &Idle, within: Duration, processes: &[c_int]) -> Option<String> {
    match sign {
        Sign::Connections => connections::open(&idle.ports),
        Sign::Terminal => {
            terminals::typed_at(within, processes).map(|path| format!("somebody types at {}", path.display()))
        }
        Sign::Kernels => jupyter::busy(processes),
        Sign::Gpu => gpus::busy(),
        Sign::Cpu => None, // only PID 1 has two counts to compare
    }
}
