//! Variables and limits that change what programs see of the GPUs.

use super::GpuTarget;
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use gpu::facts::NvmlGpu;
use gpu::{ListFault, Promise, Promised, VisibleEntry};
use std::ffi::OsStr;
use std::path::Path;
use sys::limits::{LimitedResource, limit};

/// Soft limit of open files above which the driver's tools take gigabytes and half a minute: they allocate an entry for each possible
/// file.
const MANY_FILES: u64 = 1 << 24;
/// The variable that names the directory of the MPS daemon.
const MPS: &str = "CUDA_MPS_PIPE_DIRECTORY";
/// Variables of shared GPUs: MPS, Slurm's shards, HAMi.
const SHARES: [&str; 4] =
    ["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "SLURM_SHARDS_ON_NODE", "CUDA_DEVICE_MEMORY_LIMIT_0", "CUDA_DEVICE_SM_LIMIT"];

impl GpuTarget {
    pub(super) fn list_is_valid(&mut self) -> CheckResult {
        if self.demand.is_none() {
            return Ok(());
        }
        let Some(selection) = self.selection().filter(|selection| !selection.is_empty()) else { return Ok(()) };
        let old = selection.text.split(',').find(|entry| matches!(VisibleEntry::of(entry), VisibleEntry::OldMig(_)));
        if let Some(old) = old {
            return self.found_mild(
                Failure::new(format!(
                    "{}: `{}` is how drivers before R470 named instances",
                    selection.variable,
                    text::line(old)
                ))
                .because("newer drivers do not know it, and show none")
                .advice("write MIG-<UUID>, as `nvidia-smi -L` lists it"),
            );
        }
        let Some(fault) = selection.fault else { return Ok(()) };
        let here = self.presence().devices();
        let told = format!("{}={}: {}", selection.variable, text::line(&selection.text), fault_words(&fault));
        let failure = Failure::new(told).because(format!("{} of {here} shown", selection.shown));
        self.found_mild(match fault {
            ListFault::Cut(entry) if entry.starts_with(['"', '\'']) => {
                failure.advice("write the list without quotes: an env-file and a pod's `value` keep them")
            }
            ListFault::Repeated(_) => failure.advice("name each device once"),
            ListFault::Misread(..) => failure.advice("write numbers, with commas between them"),
            ListFault::Cut(_) if here == 0 => failure.advice(format!("unset {}", selection.variable)),
            ListFault::Cut(_) => failure.advice(format!("list devices from 0 to {}, or unset it", here - 1)),
        })
    }

    pub(super) fn service_answers(&mut self) -> CheckResult {
        let Some(directory) = self.environment.get(MPS).filter(|_| self.has_nvidia()) else { return Ok(()) };
        if self.root.path(Path::new(directory).join("control")).exists() {
            return Ok(());
        }
        self.found_mild(
            Failure::new(format!("{MPS} is set, and no daemon of MPS is there ({})", text::os(directory)))
                .because("programs run without it, or fail with errors 805 to 807")
                .advice(format!("mount the daemon's directory, and share the host's IPC namespace; or unset {MPS}")),
        )
    }

    /// Returns whether a daemon of MPS is there, at the place of the variable or at its usual one.
    pub(super) fn has_mps(&self) -> bool {
        let directory = self.environment.get(MPS).unwrap_or(OsStr::new("/tmp/nvidia-mps"));
        self.root.path(Path::new(directory).join("control")).exists()
    }

    /// Returns whether the GPUs are shared with other containers on purpose: MPS, a fraction, time slices, shards, a share of the memory.
    pub(super) fn is_shared(&self) -> bool {
        let part = Promise::of(&self.environment).is_some_and(|promise| promise.promised == Promised::Some);
        let listed = self.environment.text("NVIDIA_VISIBLE_DEVICES").is_some_and(gpu::names_slices);
        part || listed || self.has_mps() || SHARES.iter().any(|name| self.environment.get(name).is_some())
    }

    /// Returns whether a GPU's memory is memory of the machine, too, where the kernel keeps what it likes (Grace Hopper).
    pub(super) fn is_a_node_of_memory(&self, gpu: &NvmlGpu) -> bool {
        let bus = gpu.pci.as_deref().map(super::health::bus).unwrap_or_default();
        let status = self.root.text(format!("/proc/driver/nvidia/gpus/{bus}/numa_status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("Status:") && line.ends_with("online"))
    }

    pub(super) fn few_files(&mut self) -> CheckResult {
        if !self.has_nvidia() {
            return Ok(());
        }
        let soft = *self.files.get_or_init(|| limit(LimitedResource::Files).map(|limit| limit.soft));
        let Some(soft) = soft.filter(|soft| *soft > MANY_FILES) else { return Ok(()) };
        let remedy = Remedy::Start(Change::Ulimit { name: "nofile".to_owned(), limit: Some(65536) });
        self.found_mild(
            Failure::new(format!("{soft} files may be open at once: nvidia-smi takes half a minute and gigabytes"))
                .because("the driver's library makes room for each of them when it talks to nvidia-persistenced")
                .remedy(remedy),
        )
    }
}

/// Tells what the driver makes of a list.
pub(super) fn fault_words(fault: &ListFault) -> String {
    match fault {
        ListFault::Cut(entry) => format!("it ends at `{}`, which names no device that is here", text::line(entry)),
        ListFault::Repeated(entry) => format!("`{}` names a device twice, so that CUDA shows none", text::line(entry)),
        ListFault::Misread(entry, index) => format!("the driver reads `{}` as {index}", text::line(entry)),
    }
}
