//! What the driver's libraries told, as data: NVML's facts, what CUDA shows to the workload, and what became of the proofs on each
//! GPU. Every fact may be unknown: a driver may be too old for it, a GPU may not have it, a call may have been refused. What a fact
//! means for a start is not decided here.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Codes of NVML (nvml.h, `nvmlReturn_t`) that say something about a container or a GPU.
pub mod nvml_code {
    /// The user may not.
    pub const NO_PERMISSION: i32 = 4;
    /// There is no kernel module.
    pub const DRIVER_NOT_LOADED: i32 = 9;
    /// The operating system or a control group refuses the device.
    pub const BLOCKED: i32 = 17;
    /// The GPU fell off the bus.
    pub const GPU_IS_LOST: i32 = 15;
    /// The GPU needs a reset before it works again.
    pub const RESET_REQUIRED: i32 = 16;
    /// The library is of another version than the kernel module.
    pub const VERSION_MISMATCH: i32 = 18;
    /// Something is not ready yet.
    pub const NOT_READY: i32 = 27;
    /// Anything else.
    pub const UNKNOWN: i32 = 999;
}

/// Codes of CUDA's driver (cuda.h, `CUresult`).
pub mod cuda_code {
    /// A context needs memory that somebody else has.
    pub const OUT_OF_MEMORY: i32 = 2;
    /// The library is a stub for linking.
    pub const STUB_LIBRARY: i32 = 34;
    /// The GPU is used exclusively, or not to be used.
    pub const DEVICE_UNAVAILABLE: i32 = 46;
    /// Nothing is visible.
    pub const NO_DEVICE: i32 = 100;
    /// The compiler of PTX is not there (libnvidia-ptxjitcompiler).
    pub const JIT_COMPILER_NOT_FOUND: i32 = 221;
    /// The fabric manager has not finished.
    pub const SYSTEM_NOT_READY: i32 = 802;
    /// The library is of another version than the kernel module.
    pub const SYSTEM_DRIVER_MISMATCH: i32 = 803;
    /// cuda-compat on hardware for which it is not made.
    pub const COMPAT_NOT_SUPPORTED: i32 = 804;
    /// Anything else.
    pub const UNKNOWN: i32 = 999;
}

/// All that probing found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuFacts {
    /// What NVML told.
    pub nvml: Nvml,
    /// What CUDA shows to a program with the workload's environment.
    pub cuda: Cuda,
    /// A context and a memory round trip on each GPU that CUDA shows.
    pub proofs: Vec<Proof>,
    /// Copies between GPUs.
    pub peers: Peers,
    /// How the helper came to be executed.
    pub way: Option<ProbePath>,
    /// What was waited for, because it was going to pass, and how long.
    pub waited: Option<(String, Duration)>,
    /// How long all of it took.
    pub took: Duration,
}

/// How the helper is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbePath {
    /// A file on disk: a configured one, or `trainit gpu install-probe`'s.
    File,
    /// From memory (memfd_create(2)).
    Memory,
    /// From a file without a name (O_TMPFILE).
    Unnamed,
    /// Not at all: nvidia-smi was asked instead.
    Smi,
}

/// How a process that asked the driver ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It said all it had to say.
    Complete,
    /// It ended, or was ended, in the middle.
    Stopped {
        /// The call that it did not come back from; none: before the first.
        at: Option<CallStep>,
        /// How.
        how: ProbeStop,
        /// What it was at when the deadline came.
        waits: Option<ProbeWait>,
    },
    /// The helper could not be executed, with the error of each way that was tried.
    NotExecuted {
        /// execveat(2)'s or memfd_create(2)'s error number. ENOENT: there is no glibc loader here, as in Alpine's images.
        errno: i32,
    },
    /// The file that it should be is not there.
    NotInstalled,
    /// There is no helper in this build, or it is turned off.
    NoHelper,
}

/// A call and whom it was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStep {
    /// The function: `nvmlInit_v2`, `cuInit`; or a file that was being loaded, `libcuda.so.1`.
    pub call: String,
    /// The GPU's number, for NVML in the order of the bus.
    pub gpu: Option<u32>,
}

/// What a process was at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeWait {
    /// Its state's letter; `D` waits where no signal reaches it.
    pub state: char,
    /// The kernel's function that it waits in, where that is told.
    pub function: Option<String>,
}

/// How a process ended that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStop {
    /// The deadline came, and it could be ended.
    Overdue,
    /// The deadline came, and it cannot even be killed: it waits inside the kernel (state D).
    Unkillable,
    /// A signal: the library crashed.
    Killed(i32),
    /// The library ended the process, with this code.
    Exited(u8),
}

/// Whether a library could be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryState {
    /// Nobody tried.
    #[default]
    NotTried,
    /// It is loaded, from this file.
    Loaded(String),
    /// It cannot be loaded; dlerror(3)'s words.
    Missing(String),
}

/// What NVML told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nvml {
    /// How asking ended.
    pub outcome: ProbeOutcome,
    /// What was written to its standard error: by the loader, or by the library.
    pub stderr: Option<String>,
    /// libnvidia-ml.so.1.
    pub library: LibraryState,
    /// The code of `nvmlInit_v2`; 0 is success.
    pub init: Option<i32>,
    /// The library's own words for it, where it is not 0.
    pub init_words: Option<String>,
    /// The kernel driver's version, `570.172.08`.
    pub driver: Option<String>,
    /// The library's own version, `12.570.172.08`.
    pub version: Option<String>,
    /// The CUDA version of the libcuda that the loader finds, `12080` for 12.8: with cuda-compat in front it is compat's.
    pub cuda_version: Option<u32>,
    /// How many GPUs there are, also those that it may not talk to.
    pub count: Option<u32>,
    /// Those that were asked about, in the order of the bus.
    pub gpus: Vec<NvmlGpu>,
    /// Functions that this driver's library does not have.
    pub lacks: Vec<String>,
    /// How long the process ran.
    pub took: Duration,
    /// How long `nvmlInit_v2` took.
    pub init_took: Duration,
}

/// One GPU, as NVML tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NvmlGpu {
    /// Its number, in the order of the bus.
    pub index: u32,
    /// The code of `nvmlDeviceGetHandleByIndex_v2`: 15 is a GPU that fell off the bus.
    pub handle: Option<i32>,
    /// Every call that gave neither 0 nor *not supported* (3), with its code: 15 and 16 among them condemn the GPU.
    pub codes: BTreeMap<String, i32>,
    /// `GPU-…`.
    pub uuid: Option<String>,
    /// `NVIDIA H200`.
    pub name: Option<String>,
    /// `00000000:1B:00.0`.
    pub pci: Option<String>,
    /// The N of /dev/nvidiaN.
    pub minor: Option<u32>,
    /// `nvmlBrandType_t`: 1 Quadro, 2 Tesla, 5 GeForce, 6 Titan, 14 NVIDIA (data centre).
    pub brand: Option<u32>,
    /// The VBIOS's version.
    pub vbios: Option<String>,
    /// Bytes of memory.
    pub memory: Option<Memory>,
    /// Bytes of the window through which the host reaches the memory (BAR1).
    pub bar1: Option<Memory>,
    /// Compute capability: (9, 0).
    pub capability: Option<(u32, u32)>,
    /// MIG.
    pub mig: Option<ModeState>,
    /// The MIG instances that can be used from here.
    pub instances: Vec<MigInstance>,
    /// Error correction.
    pub ecc: Option<ModeState>,
    /// Errors that could not be corrected, since the driver was loaded.
    pub ecc_volatile: Option<u64>,
    /// The same over the GPU's life.
    pub ecc_aggregate: Option<u64>,
    /// The on-chip memory had more errors than its maker tolerates.
    pub sram_threshold: Option<bool>,
    /// Rows of memory that were replaced.
    pub remapped: Option<Remapped>,
    /// Pages of memory that will be retired at the next reset (before Ampere).
    pub retired_pending: Option<bool>,
    /// What the driver wants done: 0 nothing, 1 reset, 2 reboot, 3 drain peers, 4 drain and reset, 5 set IMEX up.
    pub recovery: Option<u32>,
    /// 0 default, 2 prohibited, 3 exclusive process.
    pub compute_mode: Option<u32>,
    /// Why clocks are lowered; bits of nvml.h's `nvmlClocksEventReason…`.
    pub throttle: Option<u64>,
    /// Lanes of PCIe, now and at most.
    pub pcie_width: Option<(u32, u32)>,
    /// Generation of PCIe, now (it falls when idle) and at most.
    pub pcie_generation: Option<(u32, u32)>,
    /// NVLink, link by link: active or not.
    pub nvlinks: Vec<bool>,
    /// The NVLink fabric of an NVSwitch system.
    pub fabric: Option<Fabric>,
    /// The driver keeps the GPU initialised while nobody uses it.
    pub persistence: Option<bool>,
    /// How many processes compute on it; often 0 in a container whatever is true.
    pub processes: Option<u32>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What somebody has; what the driver keeps for itself is not counted where the library tells it apart.
    pub used: u64,
}

impl Memory {
    /// What is left.
    pub fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }
}

/// Something that is on or off, now and after the next reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeState {
    /// Now.
    pub current: bool,
    /// Then.
    pub pending: bool,
}

/// Rows of memory that were replaced (`nvmlDeviceGetRemappedRows`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remapped {
    /// Because of errors that were corrected.
    pub correctable: u32,
    /// Because of errors that were not.
    pub uncorrectable: u32,
    /// A reset has to come before some are.
    pub pending: bool,
    /// Some could not be.
    pub failed: bool,
}

/// A GPU's place in the NVLink fabric (`nvmlDeviceGetGpuFabricInfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fabric {
    /// 0 there is none, 1 not started, 2 in progress, 3 completed.
    pub state: u32,
    /// NVML's code for how it went, once it is completed.
    pub status: i32,
    /// Bits of what is not well, where the driver tells.
    pub health: Option<u32>,
}

/// A MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigInstance {
    /// Its slot on the GPU.
    pub slot: u32,
    /// `MIG-…`.
    pub uuid: Option<String>,
    /// `NVIDIA H200 MIG 1g.18gb`.
    pub name: Option<String>,
    /// Bytes of memory.
    pub memory: Option<Memory>,
    /// Its GPU instance.
    pub gpu_instance: Option<u32>,
    /// Its compute instance.
    pub compute_instance: Option<u32>,
}

/// What CUDA shows to a program with the workload's environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cuda {
    /// How asking ended.
    pub outcome: ProbeOutcome,
    /// What was written to its standard error.
    pub stderr: Option<String>,
    /// libcuda.so.1.
    pub library: LibraryState,
    /// The code of `cuInit`; 0 is success.
    pub init: Option<i32>,
    /// The library's own words for it, where it is not 0.
    pub init_words: Option<String>,
    /// The newest CUDA that this libcuda serves, `12080` for 12.8.
    pub version: Option<u32>,
    /// How many GPUs or MIG instances a program sees.
    pub count: Option<u32>,
    /// Those, in the order in which a program sees them.
    pub devices: Vec<CudaDevice>,
    /// How long the process ran.
    pub took: Duration,
    /// How long `cuInit` took.
    pub init_took: Duration,
}

/// One GPU or MIG instance, as CUDA shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CudaDevice {
    /// `cuda:N`.
    pub ordinal: u32,
    /// `GPU-…`; of a MIG instance `GPU-…` as well, with the instance's own number.
    pub uuid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its PCI address.
    pub pci: Option<String>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Compute capability.
    pub capability: Option<(u32, u32)>,
    /// Multiprocessors.
    pub multiprocessors: Option<u32>,
    /// Calls that were refused, with their codes.
    pub codes: BTreeMap<String, i32>,
}

/// What became of the proof on one GPU: a context, 64 MiB written, copied, read back and compared; at level `full` bandwidths and
/// arithmetic besides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// `cuda:N` in the workload.
    pub ordinal: u32,
    /// The GPU.
    pub uuid: Option<String>,
    /// How the process ended.
    pub outcome: ProbeOutcome,
    /// What was written to its standard error.
    pub stderr: Option<String>,
    /// The first call that was refused, with its code.
    pub refused: Option<(String, i32)>,
    /// The library's own words for it.
    pub refused_words: Option<String>,
    /// Bytes of memory, as the context sees them.
    pub memory: Option<Memory>,
    /// So many words of what was read back differ from what was written; none: not compared.
    pub wrong: Option<u64>,
    /// Host to device, MiB/s.
    pub to_device: Option<u64>,
    /// Device to host, MiB/s.
    pub to_host: Option<u64>,
    /// Within the device, MiB/s.
    pub within: Option<u64>,
    /// So many threads came to a wrong sum; none: not asked.
    pub miscalculated: Option<u64>,
    /// A step besides the memory round trip that was refused, with its code: `cuModuleLoadData` where the PTX compiler is missing.
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
    /// What was written to its standard error.
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
    /// `cuda:N`.
    pub from: u32,
    /// `cuda:N`.
    pub to: u32,
    /// They reach each other without the host's memory.
    pub direct: Option<bool>,
    /// The code of the copy; 0 is success.
    pub code: Option<i32>,
    /// So many words arrived wrong.
    pub wrong: Option<u64>,
    /// MiB/s.
    pub rate: Option<u64>,
}

impl NvmlGpu {
    /// The code that condemns it: it is lost, or wants a reset.
    pub fn condemned(&self) -> Option<i32> {
        let condemns = |code: &i32| matches!(*code, nvml_code::GPU_IS_LOST | nvml_code::RESET_REQUIRED);
        self.handle.filter(condemns).or_else(|| self.codes.values().copied().find(condemns))
    }
}

impl GpuFacts {
    /// The GPU that CUDA shows under this UUID.
    pub fn gpu_of(&self, uuid: &str) -> Option<&NvmlGpu> {
        self.nvml.gpus.iter().find(|gpu| gpu.uuid.as_deref() == Some(uuid))
    }
}
