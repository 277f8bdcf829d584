//! Every GPU check that needs the driver's facts, in the order in which they run. A row with the id of a check that reads files shares
//! that check's entry.

use super::super::table::row;
use super::GpuHealthTarget;
use crate::check::rules::Rules;
use crate::check::step::{CheckResult, Step};
use crate::check::{Check, Transient};
use crate::config::Severity::{self, Fail, Warn};
use Transient::{Always, Depends, Never};

/// Makes a row that shares the entry of a check that reads files.
const fn also(
    id: &'static str,
    severity: Severity,
    passing: Transient,
    ask: fn(&mut GpuHealthTarget) -> CheckResult,
) -> Step<GpuHealthTarget> {
    row(id, severity, passing, "", "", ask)
}

/// The checks of the driver's facts in the order in which they run.
pub(crate) const STEPS: &[Step<GpuHealthTarget>] = &[
    row(
        "gpu.hung",
        Fail,
        Always,
        "the driver answers in `gpu.timeout`",
        "restart the node",
        GpuHealthTarget::comes_back,
    ),
    row(
        "gpu.crash",
        Fail,
        Depends,
        "the driver's libraries do not end the process that asks them",
        "LD_PRELOAD; restart the node after an upgrade",
        GpuHealthTarget::does_not_crash,
    ),
    row(
        "gpu.asked",
        Warn,
        Never,
        "the driver could be asked: the helper can be executed here",
        "an image with glibc; `trainit gpu install-probe`",
        GpuHealthTarget::was_asked,
    ),
    also("gpu.libcuda", Fail, Never, GpuHealthTarget::loads_cuda),
    also("gpu.nvml", Warn, Never, GpuHealthTarget::loads_nvml),
    also("gpu.lost", Fail, Always, GpuHealthTarget::is_there),
    row(
        "gpu.reset",
        Fail,
        Always,
        "no GPU wants a reset or a restart of the node",
        "`nvidia-smi --gpu-reset` on the host",
        GpuHealthTarget::needs_no_reset,
    ),
    row(
        "gpu.fabric",
        Fail,
        Always,
        "the NVLink fabric is set up, or CUDA begins without it (waited for)",
        "nvidia-fabricmanager of the driver's exact version",
        GpuHealthTarget::is_in_its_fabric,
    ),
    row(
        "gpu.init",
        Fail,
        Depends,
        "CUDA and NVML begin, in the workload's own environment",
        "by the error's code: docs/gpu.md",
        GpuHealthTarget::begins,
    ),
    row(
        "gpu.shown",
        Fail,
        Always,
        "CUDA shows as many GPUs as are asked for or promised",
        "try another node",
        GpuHealthTarget::shows_enough,
    ),
    row(
        "gpu.mode",
        Fail,
        Always,
        "the compute mode lets programs in",
        "`nvidia-smi -c 0` on the host",
        GpuHealthTarget::may_compute,
    ),
    row(
        "gpu.sram",
        Fail,
        Always,
        "on-chip memory had no more errors than its maker tolerates",
        "try another node",
        GpuHealthTarget::has_sound_chips,
    ),
    row(
        "gpu.remap",
        Fail,
        Always,
        "bad rows of memory could be replaced",
        "try another node",
        GpuHealthTarget::can_be_mended,
    ),
    row(
        "gpu.proof",
        Fail,
        Depends,
        "memory comes back as it was written, and sums are right (`gpu.probe: cuda`, `full`)",
        "by the error's code: docs/gpu.md; another node",
        GpuHealthTarget::proves_itself,
    ),
    row(
        "gpu.peers",
        Fail,
        Depends,
        "copies between GPUs arrive (`gpu.probe: full`)",
        "IOMMU and ACS off; `NCCL_P2P_DISABLE=1`",
        GpuHealthTarget::peers_agree,
    ),
    also("gpu.memory", Fail, Never, GpuHealthTarget::is_large),
    row(
        "gpu.free_memory",
        Fail,
        Always,
        "every GPU has `gpu.free_memory` free (waited for)",
        "end what holds it",
        GpuHealthTarget::has_free_memory,
    ),
    row(
        "gpu.capability",
        Fail,
        Never,
        "every GPU has `gpu.capability`",
        "a node with newer GPUs",
        GpuHealthTarget::is_capable,
    ),
    row(
        "gpu.arch",
        Warn,
        Never,
        "the CUDA that the image was built for compiles for GPUs like these",
        "an image, or wheels, for a CUDA that does",
        GpuHealthTarget::is_known_to_cuda,
    ),
    also("gpu.cuda", Fail, Never, GpuHealthTarget::has_cuda),
    row(
        "gpu.ptx",
        Warn,
        Depends,
        "the driver compiles PTX (`gpu.probe: full`)",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility; a newer driver",
        GpuHealthTarget::compiles,
    ),
    row(
        "gpu.pending",
        Warn,
        Always,
        "no bad memory waits to be replaced by a reset",
        "`nvidia-smi --gpu-reset` on the host",
        GpuHealthTarget::is_mended,
    ),
    row(
        "gpu.ecc",
        Warn,
        Always,
        "there were no uncorrectable memory errors since the driver was loaded",
        "`nvidia-smi --gpu-reset` on the host",
        GpuHealthTarget::had_no_errors,
    ),
    row(
        "gpu.ecc_off",
        Warn,
        Never,
        "GPUs for data centres correct errors of their memory",
        "`nvidia-smi -e 1` on the host",
        GpuHealthTarget::corrects_errors,
    ),
    row(
        "gpu.recovery",
        Warn,
        Never,
        "the driver wants nothing done later (a drain of peers, IMEX)",
        "tell who runs the node",
        GpuHealthTarget::needs_nothing_later,
    ),
    row(
        "gpu.nvlink",
        Warn,
        Always,
        "as many NVLinks are up as for other GPUs of the model",
        "have the node looked at",
        GpuHealthTarget::is_linked,
    ),
    row(
        "gpu.iommu",
        Warn,
        Always,
        "on bare metal, without NVLink: no IOMMU translates direct copies, or `gpu.probe: full` proved them",
        "iommu=pt or off on the host; `NCCL_P2P_DISABLE=1`",
        GpuHealthTarget::copies_directly,
    ),
    row(
        "gpu.throttle",
        Warn,
        Always,
        "clocks are not lowered by heat or power",
        "have cooling and power looked at",
        GpuHealthTarget::is_fast,
    ),
    row(
        "gpu.busy",
        Warn,
        Always,
        "no other process uses more than 2 GiB and 5 % of an unshared GPU's memory",
        "nvidia-smi on the host names the process; `gpu.free_memory`",
        GpuHealthTarget::is_free,
    ),
    also("gpu.pcie", Warn, Always, GpuHealthTarget::is_wide),
    row(
        "gpu.bandwidth",
        Warn,
        Always,
        "copies between host and GPU reach 60 % of what the link carries (`gpu.probe: full`)",
        "bind the process near its GPU",
        GpuHealthTarget::copies_fast,
    ),
];

/// Returns the check that reports a driver that does not answer, if it is on.
pub(crate) fn hung(rules: &Rules<'_>) -> Option<&'static Check> {
    STEPS.first().map(|step| &step.check).filter(|check| rules.wants(check))
}

/// Returns the checks that only this table has.
pub(crate) fn checks() -> Vec<&'static Check> {
    STEPS.iter().map(|step| &step.check).filter(|check| !check.about.is_empty()).collect()
}
