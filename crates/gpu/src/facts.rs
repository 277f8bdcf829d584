//! The answers of the driver's libraries as data: NVML's facts, the devices that CUDA shows to the workload, and the result of the proofs
//! on each GPU. Every fact may be unknown: the driver may be too old, the GPU may lack the feature, or the call was refused. The checks
//! decide what a fact means for a start.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Codes of NVML (nvml.h, `nvmlReturn_t`) that are informative about a container or a GPU.
pub mod nvml_code {
    /// The user lacks a permission.
    pub const NO_PERMISSION: i32 = 4;
    /// The kernel module is not loaded.
    pub const DRIVER_NOT_LOADED: i32 = 9;
    /// The operating system or a control group refuses the device.
    pub const BLOCKED: i32 = 17;
    /// The GPU fell off the bus.
    pub const GPU_IS_LOST: i32 = 15;
    /// The GPU needs a reset before it works again.
    pub const RESET_REQUIRED: i32 = 16;
    /// The library and the kernel module have different versions.
    pub const VERSION_MISMATCH: i32 = 18;
    /// The driver or the fabric is not ready yet.
    pub const NOT_READY: i32 = 27;
    /// An unspecified error.
    pub const UNKNOWN: i32 = 999;
}

/// Codes of CUDA's driver (cuda.h, `CUresult`).
pub mod cuda_code {
    /// Another process holds the memory that a context needs.
    pub const OUT_OF_MEMORY: i32 = 2;
    /// The library is a stub for linking.
    pub const STUB_LIBRARY: i32 = 34;
    /// The GPU is used exclusively, or prohibited.
    pub const DEVICE_UNAVAILABLE: i32 = 46;
    /// No GPU is visible.
    pub const NO_DEVICE: i32 = 100;
    /// The compiler of PTX is missing (libnvidia-ptxjitcompiler).
    pub const JIT_COMPILER_NOT_FOUND: i32 = 221;
    /// The fabric manager has not finished.
    pub const SYSTEM_NOT_READY: i32 = 802;
    /// The library and the kernel module have different versions.
    pub const SYSTEM_DRIVER_MISMATCH: i32 = 803;
    /// cuda-compat runs on hardware that it does not support.
    pub const COMPAT_NOT_SUPPORTED: i32 = 804;
    /// An unspecified error.
    pub const UNKNOWN: i32 = 999;
}

/// All results of a probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuFacts {
    /// NVML's facts.
    pub nvml: Nvml,
    /// The devices that CUDA shows to a program with the workload's environment.
    pub cuda: Cuda,
    /// A context and a memory round trip on each GPU that CUDA shows.
    pub proofs: Vec<Proof>,
    /// Copies between GPUs.
    pub peers: Peers,
    /// How the gpu-probe was executed.
    pub way: Option<ProbePath>,
    /// The transient state that was waited for, and for how long.
    pub waited: Option<(String, Duration)>,
    /// How long the probe took.
    pub took: Duration,
}

/// How the gpu-probe is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbePath {
    /// From a file on disk: a configured one, or the one of `trainit gpu install-probe`.
    File,
    /// From memory (memfd_create(2)).
    Memory,
    /// From a file without a name (O_TMPFILE).
    Unnamed,
    /// Not executed: nvidia-smi was asked instead.
    Smi,
}

/// How a process that asked the driver ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// The driver was not asked.
    #[default]
    NotAsked,
    /// The report is complete.
    Complete,
    /// The process ended, or was ended, before its report was complete.
    Stopped {
        /// The call that did not return; `None` before the first call.
        at: Option<CallStep>,
        /// The kind of the end.
        how: ProbeStop,
        /// The state of the process at the deadline.
        waits: Option<ProbeWait>,
    },
    /// The gpu-probe could not be executed.
    NotExecuted {
        /// The errno of execveat(2) or memfd_create(2). ENOENT: there is no glibc loader, as in Alpine's images.
        errno: i32,
    },
    /// The required file is not installed.
    NotInstalled,
    /// This build has no gpu-probe, or the probe is turned off.
    NoHelper,
}

/// A call and its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStep {
    /// The function (`nvmlInit_v2`, `cuInit`), or the file of a library that was being loaded (`libcuda.so.1`).
    pub call: String,
    /// The GPU's number, for NVML in the order of the PCI bus.
    pub gpu: Option<u32>,
}

/// What a process was waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeWait {
    /// The letter of its state; in state `D` no signal reaches the process.
    pub state: char,
    /// The kernel function that it waits in, if the kernel shows it.
    pub function: Option<String>,
}

/// How a process ended that did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStop {
    /// The deadline passed, and the process could be ended.
    Overdue,
    /// The deadline passed, and the process cannot even be killed: it waits inside the kernel (state D).
    Unkillable,
    /// A signal ended the process: the library crashed.
    Killed(i32),
    /// The library ended the process, with this code.
    Exited(u8),
}

/// Whether a library could be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryState {
    /// Loading was not attempted.
    #[default]
    NotTried,
    /// The library was loaded from this file.
    Loaded(String),
    /// The library cannot be loaded, with the text of dlerror(3).
    Missing(String),
}

/// NVML's facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nvml {
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What the loader or the library wrote to standard error.
    pub stderr: Option<String>,
    /// libnvidia-ml.so.1.
    pub library: LibraryState,
    /// The code of `nvmlInit_v2`; 0 is success.
    pub init: Option<i32>,
    /// The library's error text, if the code is not 0.
    pub init_words: Option<String>,
    /// The kernel driver's version, `570.172.08`.
    pub driver: Option<String>,
    /// The library's own version, `12.570.172.08`.
    pub version: Option<String>,
    /// The CUDA version of the libcuda that the loader finds, `12080` for 12.8; with cuda-compat first it is that library's.
    pub cuda_version: Option<u32>,
    /// The number of GPUs, including those that NVML may not access.
    pub count: Option<u32>,
    /// The GPUs that were queried, in the order of the PCI bus.
    pub gpus: Vec<NvmlGpu>,
    /// Functions that this driver's library does not have.
    pub lacks: Vec<String>,
    /// How long the process ran.
    pub took: Duration,
    /// How long `nvmlInit_v2` took.
    pub init_took: Duration,
}

/// NVML's facts of one GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NvmlGpu {
    /// The number in the order of the PCI bus.
    pub index: u32,
    /// The code of `nvmlDeviceGetHandleByIndex_v2`: 15 is a GPU that fell off the bus.
    pub handle: Option<i32>,
    /// Every call that returned neither 0 nor *not supported* (3), with its code; 15 and 16 condemn the GPU.
    pub codes: BTreeMap<String, i32>,
    /// `GPU-…`.
    pub uuid: Option<String>,
    /// `NVIDIA H200`.
    pub name: Option<String>,
    /// `00000000:1B:00.0`.
    pub pci: Option<String>,
    /// The N of /dev/nvidiaN.
    pub minor: Option<u32>,
    /// `nvmlBrandType_t`, see `Brand::of_driver`.
    pub brand: Option<u32>,
    /// The version of the VBIOS.
    pub vbios: Option<String>,
    /// Memory of the GPU.
    pub memory: Option<Memory>,
    /// The window through which the host accesses the memory (BAR1).
    pub bar1: Option<Memory>,
    /// Compute capability: (9, 0).
    pub capability: Option<(u32, u32)>,
    /// The MIG mode.
    pub mig: Option<ModeState>,
    /// The MIG instances that can be used from here.
    pub instances: Vec<MigInstance>,
    /// The ECC mode.
    pub ecc: Option<ModeState>,
    /// Uncorrected errors since the driver was loaded.
    pub ecc_volatile: Option<u64>,
    /// Uncorrected errors over the GPU's life.
    pub ecc_aggregate: Option<u64>,
    /// Whether the on-chip memory exceeded the maker's error threshold.
    pub sram_threshold: Option<bool>,
    /// Memory rows that were replaced.
    pub remapped: Option<Remapped>,
    /// Whether memory pages will be retired at the next reset (before Ampere).
    pub retired_pending: Option<bool>,
    /// The recovery action that the driver requests: 0 none, 1 reset, 2 reboot, 3 drain peers, 4 drain and reset, 5 set IMEX up.
    pub recovery: Option<u32>,
    /// 0 default, 2 prohibited, 3 exclusive process.
    pub compute_mode: Option<u32>,
    /// Reasons for lowered clocks, as bits of nvml.h's `nvmlClocksEventReason…`.
    pub throttle: Option<u64>,
    /// Current and maximal number of PCIe lanes.
    pub pcie_width: Option<(u32, u32)>,
    /// Current and maximal PCIe generation; the current one falls when the GPU is idle.
    pub pcie_generation: Option<(u32, u32)>,
    /// Whether each NVLink is active.
    pub nvlinks: Vec<bool>,
    /// The state in the NVLink fabric of an NVSwitch system.
    pub fabric: Option<Fabric>,
    /// Whether the driver keeps an unused GPU initialised.
    pub persistence: Option<bool>,
    /// Number of compute processes on the GPU; in a container it is often 0 regardless.
    pub processes: Option<u32>,
}

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The total.
    pub total: u64,
    /// The used part; without the driver's reserve, if the library reports that separately.
    pub used: u64,
}

impl Memory {
    /// Returns the free part.
    pub fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }
}

/// A mode that is on or off, now and after the next reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeState {
    /// Whether it is on now.
    pub current: bool,
    /// Whether it is on after the next reset.
    pub pending: bool,
}

/// Memory rows that were replaced (`nvmlDeviceGetRemappedRows`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remapped {
    /// Rows with corrected errors.
    pub correctable: u32,
    /// Rows with uncorrected errors.
    pub uncorrectable: u32,
    /// Whether some replacements wait for a reset.
    pub pending: bool,
    /// Whether some replacements failed.
    pub failed: bool,
}

/// The state of a GPU in the NVLink fabric (`nvmlDeviceGetGpuFabricInfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    /// 0 no fabric, 1 not started, 2 in progress, 3 completed.
    pub state: u32,
    /// NVML's result code of a completed set-up.
    pub status: i32,
    /// Bits of health problems, if the driver reports them.
    pub health: Option<u32>,
}

/// A MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigInstance {
    /// The slot on the GPU.
    pub slot: u32,
    /// `MIG-…`.
    pub uuid: Option<String>,
    /// `NVIDIA H200 MIG 1g.18gb`.
    pub name: Option<String>,
    /// Memory of the instance.
    pub memory: Option<Memory>,
    /// The GPU instance.
    pub gpu_instance: Option<u32>,
    /// The compute instance.
    pub compute_instance: Option<u32>,
}

/// The devices that CUDA shows to a program with the workload's environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cuda {
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What the process wrote to standard error.
    pub stderr: Option<String>,
    /// libcuda.so.1.
    pub library: LibraryState,
    /// The code of `cuInit`; 0 is success.
    pub init: Option<i32>,
    /// The library's error text, if the code is not 0.
    pub init_words: Option<String>,
    /// The newest CUDA that this libcuda supports, `12080` for 12.8.
    pub version: Option<u32>,
    /// Number of GPUs or MIG instances that a program sees.
    pub count: Option<u32>,
    /// The devices in the order in which a program sees them.
    pub devices: Vec<CudaDevice>,
    /// How long the process ran.
    pub took: Duration,
    /// How long `cuInit` took.
    pub init_took: Duration,
}

/// One GPU or MIG instance as CUDA shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CudaDevice {
    /// N of `cuda:N`.
    pub ordinal: u32,
    /// `GPU-…`; a MIG instance has the same prefix and its own number.
    pub uuid: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The PCI address.
    pub pci: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Compute capability.
    pub capability: Option<(u32, u32)>,
    /// Multiprocessors.
    pub multiprocessors: Option<u32>,
    /// Codes of refused calls.
    pub codes: BTreeMap<String, i32>,
}

/// The result of the proof on one GPU: a context, and 64 MiB written, copied, read back and compared. Level `full` adds bandwidths and
/// arithmetic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// N of `cuda:N` in the workload.
    pub ordinal: u32,
    /// The UUID of the GPU.
    pub uuid: Option<String>,
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What the process wrote to standard error.
    pub stderr: Option<String>,
    /// The first refused call, with its code.
    pub refused: Option<(String, i32)>,
    /// The library's error text.
    pub refused_words: Option<String>,
    /// Memory as the context sees it.
    pub memory: Option<Memory>,
    /// Number of words that were read back wrong; `None` if they were not compared.
    pub wrong: Option<u64>,
    /// Bandwidth from host to device in MiB/s.
    pub to_device: Option<u64>,
    /// Bandwidth from device to host in MiB/s.
    pub to_host: Option<u64>,
    /// Bandwidth within the device in MiB/s.
    pub within: Option<u64>,
    /// Number of threads with a wrong sum; `None` if the arithmetic was not tried.
    pub miscalculated: Option<u64>,
    /// A refused step besides the memory round trip, with its code: `cuModuleLoadData` if the PTX compiler is missing.
    pub beside: Option<(String, i32)>,
    /// How long the process ran.
    pub took: Duration,
    /// How long `cuInit` and the context took.
    pub context_took: Duration,
}

/// Copies between the GPUs that CUDA shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peers {
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What the process wrote to standard error.
    pub stderr: Option<String>,
    /// Every ordered pair that was tried.
    pub pairs: Vec<Pair>,
    /// How long the process ran.
    pub took: Duration,
}

/// A copy from one GPU to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pair {
    /// N of the source's `cuda:N`.
    pub from: u32,
    /// N of the target's `cuda:N`.
    pub to: u32,
    /// Whether the GPUs reach each other without the host's memory.
    pub direct: Option<bool>,
    /// The code of the copy; 0 is success.
    pub code: Option<i32>,
    /// Number of words that arrived wrong.
    pub wrong: Option<u64>,
    /// Bandwidth in MiB/s.
    pub rate: Option<u64>,
}

impl NvmlGpu {
    /// Returns the code that condemns the GPU: it is lost, or needs a reset.
    pub fn condemned(&self) -> Option<i32> {
        let condemns = |code: &i32| matches!(*code, nvml_code::GPU_IS_LOST | nvml_code::RESET_REQUIRED);
        self.handle.filter(condemns).or_else(|| self.codes.values().copied().find(condemns))
    }
}

impl GpuFacts {
    /// Returns the GPU with the UUID that CUDA shows.
    pub fn gpu_of(&self, uuid: &str) -> Option<&NvmlGpu> {
        self.nvml.gpus.iter().find(|gpu| gpu.uuid.as_deref() == Some(uuid))
    }
}
