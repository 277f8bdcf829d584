//! The meaning of the driver's facts for a start: `table` has one row for each check, the other files hold the steps. The facts come from
//! the gpu-probe (`gpu::probe`), long after the checks that read files. This module reads nothing itself.

mod answers;
mod codes;
mod condition;
mod proofs;
mod table;
mod wanted;

pub(crate) use table::{STEPS, checks, hung};

use super::GpuTarget;
use crate::check::rules::Rules;
use crate::check::step::{CheckResult, Failure, Target, walk};
use crate::check::{CheckContext, Finding, FindingFacts as Row};
use gpu::facts::{GpuFacts, NvmlGpu, nvml_code};
use std::time::Duration;

/// Start-up time of the driver above which a hint is given.
const SLOW_START: Duration = Duration::from_secs(2);
/// Number of GPUs that one line names.
const NAMED: usize = 4;

/// The GPUs and the driver's facts about them.
pub(crate) struct GpuHealthTarget {
    gpus: GpuTarget,
    facts: GpuFacts,
}

/// Judges the driver's facts; the GPU checks that read files have already run.
pub(crate) fn judge(context: &CheckContext, rules: &Rules<'_>, facts: GpuFacts) -> Vec<Finding> {
    let mut health = GpuHealthTarget { gpus: GpuTarget::of(context, &context.host_facts()), facts };
    if health.gpus.demand.is_none() {
        return Vec::new();
    }
    let took = health.facts.took;
    let mut findings = walk(STEPS, rules, &mut health);
    findings.iter_mut().for_each(|finding| finding.took = took);
    findings
}

/// Describes a transient state that would fail a requirement: memory that an earlier process still holds.
pub(crate) fn awaited(context: &CheckContext, facts: &GpuFacts) -> Option<String> {
    let wanted = context.settings.gpu_free_memory.value?;
    let held = |gpu: &NvmlGpu| gpu.memory.is_some_and(|memory| memory.free() < wanted.of(memory.total));
    facts.nvml.gpus.iter().any(held).then(|| "memory of a GPU is still held by another process".to_owned())
}

impl GpuHealthTarget {
    /// Returns the GPUs that the workload will see, and those that are too broken to be seen.
    fn shown(&self) -> impl Iterator<Item = &NvmlGpu> {
        let devices = &self.facts.cuda.devices;
        let is_shown = |gpu: &&NvmlGpu| {
            let same = |device: &gpu::facts::CudaDevice| {
                let bus = |pci: &Option<String>| pci.as_deref().map(bus);
                device.uuid.is_some() && device.uuid == gpu.uuid
                    || device.pci.is_some() && bus(&device.pci) == bus(&gpu.pci)
            };
            devices.is_empty() || gpu.handle != Some(0) || devices.iter().any(same)
        };
        self.facts.nvml.gpus.iter().filter(is_shown)
    }

    /// Names the GPUs for which `words` returns a text, with that text; `None` if there are none.
    fn those(&self, words: impl Fn(&NvmlGpu) -> Option<String>) -> Option<String> {
        let all: Vec<String> = self
            .shown()
            .filter_map(|gpu| {
                let words = words(gpu)?;
                Some(if words.is_empty() { name(gpu) } else { format!("{}: {words}", name(gpu)) })
            })
            .collect();
        let more = all.len().checked_sub(NAMED).filter(|more| *more > 0);
        let more = more.map(|more| format!(", and {more} more")).unwrap_or_default();
        let named: Vec<String> = all.into_iter().take(NAMED).collect();
        (!named.is_empty()).then(|| named.join(", ") + &more)
    }

    /// Returns whether CUDA shows enough GPUs, without those that the driver cannot reach: CUDA may have counted them a moment before. MIG
    /// instances may outnumber GPUs.
    fn has_enough(&self) -> bool {
        let least = self.gpus.least_shown();
        let sound = || self.shown().filter(|gpu| gpu.condemned().is_none() && gpu.handle == Some(0)).count();
        let shown = self.facts.cuda.count.is_some_and(|count| count >= least);
        least > 0 && shown && (self.gpus.presence().is_sliced() || sound() >= least as usize)
    }

    /// Returns a hint about a slow start-up: without persistence mode the driver initialises each GPU for its first user, and releases it
    /// after the last.
    fn slow_start(&self) -> Option<String> {
        let took = self.facts.nvml.init_took.max(self.facts.cuda.init_took);
        let off = self.shown().any(|gpu| gpu.persistence == Some(false));
        let words = || format!(", started up in {} (persistence mode is off on the host)", text::seconds(took));
        (off && took >= SLOW_START).then(words)
    }

    fn found(&self, failure: Failure) -> CheckResult {
        self.gpus.found(failure)
    }

    fn found_mild(&self, failure: Failure) -> CheckResult {
        self.gpus.found_mild(failure)
    }

    /// Returns the memory of each GPU, if all have the same.
    fn memory(&self) -> Option<u64> {
        let mut all = self.shown().map(|gpu| gpu.memory.map(|memory| memory.total));
        let first = all.next().flatten()?;
        all.all(|memory| memory == Some(first)).then_some(first)
    }
}

/// Formats a GPU: `GPU 3 (0000:65:00.0)`.
fn name(gpu: &NvmlGpu) -> String {
    match &gpu.pci {
        Some(pci) => format!("GPU {} ({})", gpu.index, text::line(&bus(pci))),
        None => format!("GPU {}", gpu.index),
    }
}

/// Formats an address as sysfs does; NVML's has a longer domain.
pub(super) fn bus(pci: &str) -> String {
    let lower = pci.to_ascii_lowercase();
    match lower.split_once(':') {
        Some((domain, rest)) if domain.len() > 4 => {
            format!("{}:{rest}", domain.get(domain.len() - 4..).unwrap_or(domain))
        }
        _ => lower,
    }
}

/// Describes the state of a GPU in a few words.
pub(super) fn word(gpu: &NvmlGpu) -> String {
    let bad_memory = gpu.sram_threshold == Some(true) || gpu.remapped.is_some_and(|rows| rows.failed);
    let words = match (gpu.condemned(), gpu.handle, gpu.recovery) {
        (Some(nvml_code::RESET_REQUIRED), ..) | (_, _, Some(1 | 4)) => "wants a reset",
        (Some(_), ..) => "lost",
        (_, Some(code), _) if code != 0 => return format!("error {code}"),
        (_, _, Some(2)) => "wants a restart of the node",
        _ if bad_memory => "bad memory",
        _ if gpu.ecc_volatile.is_some_and(|errors| errors > 0) => "had memory errors",
        _ => "well",
    };
    words.to_owned()
}

/// Formats a CUDA version: `12080` is 12.8.
pub(super) fn cuda(version: u32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

impl Target for GpuHealthTarget {
    const MAIN: &'static str = "gpu.init";

    fn name(&self) -> Option<String> {
        None
    }

    fn summary(&mut self) -> Option<String> {
        let facts = &self.facts;
        let version = facts.cuda.version.or(facts.nvml.cuda_version).map(cuda);
        let waited = facts
            .waited
            .as_ref()
            .map(|(reason, time)| format!(", after {} of waiting ({})", text::seconds(*time), text::line(reason)));
        let described = self.gpus.described(self.memory().or(self.gpus.memory()), version);
        Some(described + &self.slow_start().unwrap_or_default() + &waited.unwrap_or_default())
    }

    fn facts(&self) -> Row {
        let driver = serde_json::to_value(&self.facts).unwrap_or_default();
        let mut facts = self.gpus.facts();
        facts.insert("driver_facts".to_owned(), driver);
        facts
    }
}

#[cfg(test)]
pub(crate) mod tests;
