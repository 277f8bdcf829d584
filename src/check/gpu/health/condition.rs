//! The condition of each GPU: on the bus, no reset needed, sound memory, joined to its fabric, full speed.

use super::super::link::Link;
use super::{GpuHealthTarget, codes};
use crate::check::step::{CheckResult, Failure};
use gpu::Brand;
use gpu::facts::{Fabric, NvmlGpu, ProbeOutcome, nvml_code};
use gpu::pci::{self, Lanes};

/// Recovery actions (nvml.h, `nvmlDeviceGpuRecoveryAction_t`) that block a workload.
const RESETS: [(u32, &str); 3] = [(1, "a reset"), (2, "a restart of the node"), (4, "a drain and a reset")];
/// Recovery actions that a workload can run without.
const LATER: [(u32, &str); 2] = [(3, "a drain of its peers"), (IMEX, "IMEX to be set up")];
const IMEX: u32 = 5;
/// Reasons for slow clocks that are faults (nvml.h, `nvmlClocksEventReason…`).
const SLOW: [(u64, &str); 4] =
    [(0x8, "hardware slowdown"), (0x20, "heat (software)"), (0x40, "heat (hardware)"), (0x80, "power brake")];
/// Memory that the driver itself may use.
const LITTLE: u64 = 2 << 30;

impl GpuHealthTarget {
    pub(super) fn is_there(&mut self) -> CheckResult {
        let lost = |gpu: &NvmlGpu| match (gpu.condemned(), gpu.handle) {
            (Some(nvml_code::GPU_IS_LOST), _) => Some("lost".to_owned()),
            (None, Some(code)) if code != 0 => Some(format!("error {code}")),
            _ => None,
        };
        let Some(those) = self.those(lost) else { return Ok(()) };
        let code = self.shown().find_map(|gpu| gpu.condemned().or(gpu.handle.filter(|code| *code != 0)));
        let failure = Failure::new(format!("the driver cannot talk to {those}"));
        let failure = codes::explained(failure, codes::NVML, code.unwrap_or(nvml_code::GPU_IS_LOST));
        if self.has_enough() { self.found_mild(failure) } else { self.found(failure) }
    }

    pub(super) fn needs_no_reset(&mut self) -> CheckResult {
        let resets = |gpu: &NvmlGpu| match gpu.condemned() {
            Some(nvml_code::RESET_REQUIRED) => Some("a reset".to_owned()),
            _ => named(&RESETS, gpu.recovery?),
        };
        let Some(those) = self.those(resets) else { return Ok(()) };
        self.found(
            Failure::new(format!("the driver wants {those}"))
                .because("it does not vouch for what the GPU computes until then")
                .advice("on the host: nvidia-smi --gpu-reset, or drain and restart the node; try another one")
                .passing(true),
        )
    }

    pub(super) fn needs_nothing_later(&mut self) -> CheckResult {
        // One node alone needs no IMEX, which joins the memory of several.
        let channels = self.gpus.root.path("/dev/nvidia-caps-imex-channels").exists();
        let later = |gpu: &NvmlGpu| named(&LATER, gpu.recovery.filter(|action| *action != IMEX || channels)?);
        let Some(those) = self.those(later) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("the driver wants {those}"))
                .because("the GPU itself works, its links may not")
                .advice("tell who runs the node"),
        )
    }

    pub(super) fn has_sound_chips(&mut self) -> CheckResult {
        let bad = |gpu: &NvmlGpu| gpu.sram_threshold?.then(String::new);
        let Some(those) = self.those(bad) else { return Ok(()) };
        self.found(
            Failure::new(format!("on-chip memory had more errors than its maker tolerates: {those}"))
                .because("NVIDIA replaces such GPUs")
                .advice("try another node, and have this one looked at")
                .passing(true),
        )
    }

    pub(super) fn can_be_mended(&mut self) -> CheckResult {
        let failed = |gpu: &NvmlGpu| gpu.remapped?.failed.then(String::new);
        let Some(those) = self.those(failed) else { return Ok(()) };
        self.found(
            Failure::new(format!("rows of memory that are bad could not be replaced: {those}"))
                .because("errors there will come again")
                .advice("try another node, and have this GPU replaced")
                .passing(true),
        )
    }

    pub(super) fn is_mended(&mut self) -> CheckResult {
        let pending = |gpu: &NvmlGpu| {
            let rows = gpu.remapped.is_some_and(|rows| rows.pending);
            (rows || gpu.retired_pending == Some(true)).then(String::new)
        };
        let Some(those) = self.those(pending) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("bad memory is replaced at the next reset: {those}"))
                .because("errors that could not be corrected were found there")
                .advice("on the host, when no process uses it: nvidia-smi --gpu-reset")
                .passing(true),
        )
    }

    pub(super) fn had_no_errors(&mut self) -> CheckResult {
        let errors =
            |gpu: &NvmlGpu| gpu.ecc_volatile.filter(|count| *count > 0).map(|count| text::count(count, "error"));
        let Some(those) = self.those(errors) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("memory errors that could not be corrected, since the driver was loaded: {those}"))
                .because("a program that met one was ended; more may come")
                .advice("on the host: nvidia-smi --gpu-reset; try another node")
                .passing(true),
        )
    }

    pub(super) fn corrects_errors(&mut self) -> CheckResult {
        let off = |gpu: &NvmlGpu| (!gpu.ecc?.current && brand(gpu) == Some(Brand::DataCentre)).then(String::new);
        let Some(those) = self.those(off) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("error correction is off: {those}"))
                .because("a flipped bit becomes part of the model")
                .advice("on the host: nvidia-smi -e 1, then a reset"),
        )
    }

    pub(super) fn may_compute(&mut self) -> CheckResult {
        let served = self.gpus.has_mps();
        let closed = |gpu: &NvmlGpu| match gpu.compute_mode? {
            2 => Some("prohibited".to_owned()),
            // The daemon of MPS is the one process, and lets others in.
            3 if gpu.processes.is_some_and(|count| count > 0) && !served => Some("exclusive, and used".to_owned()),
            _ => None,
        };
        let Some(those) = self.those(closed) else { return Ok(()) };
        self.found(
            Failure::new(format!("the compute mode keeps programs out (error 46): {those}"))
                .because("it was set on the host")
                .advice("on the host: nvidia-smi -c 0; try another node")
                .passing(true),
        )
    }

    /// CUDA does not begin before the fabric that it needs is there. A GPU alone in a virtual machine may need none.
    pub(super) fn is_in_its_fabric(&mut self) -> CheckResult {
        let begins = self.facts.cuda.init == Some(0);
        let state = |gpu: &NvmlGpu| match gpu.fabric? {
            Fabric { state: 1, .. } if !begins => Some("not started".to_owned()),
            Fabric { state: 2, .. } if !begins => Some("in progress".to_owned()),
            Fabric { state: 3, status, .. } if status != 0 => Some(format!("failed with {status}")),
            _ => None,
        };
        let Some(those) = self.those(state) else { return Ok(()) };
        let failure = Failure::new(format!("the NVLink fabric is not set up (error 802): {those}"))
            .because("the fabric manager does not run, has not finished, or is of another version than the driver")
            .advice("on the host: start nvidia-fabricmanager of the driver's exact version; try another node")
            .passing(true);
        if begins { self.found_mild(failure) } else { self.found(failure) }
    }

    pub(super) fn is_linked(&mut self) -> CheckResult {
        // Bridges and parts of a machine use some of the links: only a GPU with fewer than its like has lost one.
        let most = |gpu: &NvmlGpu| {
            let like = self.facts.nvml.gpus.iter().filter(|other| other.name == gpu.name);
            like.map(active).max().unwrap_or_default()
        };
        let down = |gpu: &NvmlGpu| {
            let down = most(gpu).saturating_sub(active(gpu));
            // A GPU without any active link has no bridge, or is alone in its part of the machine.
            (down > 0 && active(gpu) > 0).then(|| format!("{down} of {} down", most(gpu)))
        };
        let Some(those) = self.those(down) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("NVLinks are down: {those}"))
                .because("GPUs talk to each other more slowly, or through the host")
                .advice("have the node looked at; try another one")
                .passing(true),
        )
    }

    /// Checks for several GPUs that are connected by PCI Express alone with an IOMMU between them.
    pub(super) fn copies_directly(&mut self) -> CheckResult {
        let able = |gpu: &&NvmlGpu| !brand(gpu).is_some_and(Brand::is_for_players);
        let linked = self.shown().any(|gpu| gpu.nvlinks.contains(&true)) || self.shown().filter(able).count() < 2;
        let proven = self.facts.peers.outcome == ProbeOutcome::Complete && !self.facts.peers.pairs.is_empty();
        let avoided = self.gpus.environment.text("NCCL_P2P_DISABLE") == Some("1");
        if linked || proven || avoided || pci::is_virtual(&self.gpus.root) {
            return Ok(());
        }
        let translated = |gpu: &NvmlGpu| {
            let bus = super::bus(gpu.pci.as_deref()?);
            pci::translated(&self.gpus.root, &bus).then(String::new)
        };
        let Some(those) = self.those(translated) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("an IOMMU translates what GPUs without NVLink copy to each other: {those}"))
                .because("on bare metal NCCL hangs then, or copies arrive wrong")
                .advice(
                    "gpu.probe: full copies between all of them and compares; iommu=pt on the host; NCCL_P2P_DISABLE=1",
                )
                .passing(true),
        )
    }

    pub(super) fn is_fast(&mut self) -> CheckResult {
        let slow = |gpu: &NvmlGpu| {
            let bits = gpu.throttle?;
            let reasons: Vec<&str> = SLOW.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, words)| *words).collect();
            (!reasons.is_empty()).then(|| reasons.join(", "))
        };
        let Some(those) = self.those(slow) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("clocks are lowered: {those}"))
                .because("the GPU is too hot or gets too little power, although it has nothing to do yet")
                .advice("have the node's cooling and power looked at; try another one")
                .passing(true),
        )
    }

    /// Skips links that sysfs shows: the check that reads files has judged them.
    pub(super) fn is_wide(&mut self) -> CheckResult {
        let told = |gpu: &NvmlGpu| {
            gpu.pci.as_deref().is_some_and(|pci| pci::lanes(&self.gpus.root, &super::bus(pci)).is_some())
        };
        let link = |gpu: &NvmlGpu| {
            let (now, most) = gpu.pcie_width.filter(|(now, _)| *now > 0 && !told(gpu))?;
            Some(Link { name: super::name(gpu), model: gpu.name.clone(), lanes: Lanes { now, most } })
        };
        let links: Vec<Link> = self.shown().filter_map(link).collect();
        self.gpus.wide(&links)
    }

    pub(super) fn is_free(&mut self) -> CheckResult {
        if self.gpus.is_shared() {
            return Ok(());
        }
        // Instances of others count as used memory of the whole, and so do files that Grace's kernel keeps in a GPU's memory.
        let not_own = |gpu: &NvmlGpu| gpu.mig.is_some_and(|mode| mode.current) || self.gpus.is_a_node_of_memory(gpu);
        let held = |gpu: &NvmlGpu| {
            let memory = gpu.memory.filter(|_| !not_own(gpu))?;
            let memory = Some(memory).filter(|memory| memory.used > LITTLE.max(memory.total / 20))?;
            Some(format!("{} of {} used", text::size(memory.used), text::size(memory.total)))
        };
        let Some(those) = self.those(held).filter(|_| self.gpus.wanted.free_memory.is_none()) else { return Ok(()) };
        self.found_mild(
            Failure::new(format!("another process uses memory of a GPU: {those}"))
                .because("`out of memory` comes earlier than it should")
                .advice("nvidia-smi on the host names the process; gpu.free_memory waits for it and insists")
                .passing(true),
        )
    }
}

/// Returns the brand by the driver's word, else by the name.
fn brand(gpu: &NvmlGpu) -> Option<Brand> {
    gpu.brand.and_then(Brand::of_driver).or_else(|| Brand::of(gpu.name.as_deref()?))
}

fn active(gpu: &NvmlGpu) -> usize {
    gpu.nvlinks.iter().filter(|active| **active).count()
}

fn named<const N: usize>(table: &[(u32, &str); N], number: u32) -> Option<String> {
    table.iter().find(|(known, _)| *known == number).map(|(_, words)| (*words).to_owned())
}
