//! The meaning of the calls in a transcript: NVML's facts of each GPU, CUDA's devices, the proofs. One table row for each function.

use super::super::facts::{
    Cuda, CudaDevice, Fabric, LibraryState, Memory, MigInstance, ModeState, Nvml, NvmlGpu, Pair, Peers, Proof, Remapped,
};
use super::transcript::{Call, CallSubject, Transcript};
use std::collections::BTreeMap;

/// NVML's *not supported*: the GPU lacks a feature, which is no error.
const NOT_SUPPORTED: i32 = 3;
/// NVML_ERROR_INSUFFICIENT_SIZE, the answer to a query for a count without a buffer for the list.
const INSUFFICIENT_SIZE: i32 = 7;
/// Largest accepted number of GPUs, slots and pairs.
const MOST: usize = 4096;

/// Reads NVML's facts.
pub fn nvml(transcript: &Transcript) -> Nvml {
    let mut nvml = Nvml { lacks: transcript.lacks.clone(), ..Nvml::default() };
    for call in &transcript.calls {
        match call.whom {
            None => of_driver(&mut nvml, call),
            Some(CallSubject::Gpu(index)) => {
                if let Some(gpu) = numbered(&mut nvml.gpus, index, |gpu| &mut gpu.index) {
                    of_gpu(gpu, call);
                }
            }
            Some(CallSubject::Slot(index, slot)) => {
                let gpu = numbered(&mut nvml.gpus, index, |gpu| &mut gpu.index);
                let instances = gpu.filter(|_| call.code() == Some(0)).map(|gpu| &mut gpu.instances);
                if let Some(instance) = instances.and_then(|all| numbered(all, slot, |one| &mut one.slot)) {
                    of_instance(instance, call);
                }
            }
            Some(CallSubject::Pair(..)) => {}
        }
    }
    nvml
}

/// Returns the element with this number, and inserts it if it is missing; `None` if there are implausibly many.
fn numbered<T: Default>(all: &mut Vec<T>, number: u32, of: fn(&mut T) -> &mut u32) -> Option<&mut T> {
    let at = all.iter_mut().position(|one| *of(one) == number).or_else(|| {
        let mut one = T::default();
        *of(&mut one) = number;
        (all.len() < MOST).then(|| all.push(one))?;
        Some(all.len() - 1)
    })?;
    all.get_mut(at)
}

fn of_driver(nvml: &mut Nvml, call: &Call) {
    match call.name.as_str() {
        "libnvidia-ml.so.1" => nvml.library = library(call),
        "nvmlInit_v2" => (nvml.init, nvml.init_words, nvml.init_took) = (call.code(), call.words(), call.took()),
        "nvmlSystemGetDriverVersion" => nvml.driver = call.text(),
        "nvmlSystemGetNVMLVersion" => nvml.version = call.text(),
        "nvmlSystemGetCudaDriverVersion_v2" => nvml.cuda_version = call.number(0),
        "nvmlDeviceGetCount_v2" => nvml.count = call.number(0),
        _ => {}
    }
}

fn library(call: &Call) -> LibraryState {
    match call.code() {
        None => LibraryState::NotTried,
        Some(0) => LibraryState::Loaded(call.text().unwrap_or_default()),
        Some(_) => LibraryState::Missing(call.words().unwrap_or_default()),
    }
}

fn of_gpu(gpu: &mut NvmlGpu, call: &Call) {
    keep_code(&mut gpu.codes, call);
    match call.name.as_str() {
        "nvmlDeviceGetHandleByIndex_v2" => gpu.handle = call.code(),
        "nvmlDeviceGetUUID" => gpu.uuid = call.text(),
        "nvmlDeviceGetName" => gpu.name = call.text(),
        "nvmlDeviceGetPciInfo_v3" => gpu.pci = call.text(),
        "nvmlDeviceGetMinorNumber" => gpu.minor = call.number(0),
        "nvmlDeviceGetBrand" => gpu.brand = call.number(0),
        "nvmlDeviceGetVbiosVersion" => gpu.vbios = call.text(),
        "nvmlDeviceGetMemoryInfo" => gpu.memory = memory(call),
        "nvmlDeviceGetBAR1MemoryInfo" => gpu.bar1 = memory(call),
        "nvmlDeviceGetCudaComputeCapability" => gpu.capability = two(call),
        "nvmlDeviceGetMigMode" => gpu.mig = mode(call),
        "nvmlDeviceGetComputeMode" => gpu.compute_mode = call.number(0),
        "nvmlDeviceGetPersistenceMode" => gpu.persistence = flag(call, 0),
        "nvmlDeviceGetComputeRunningProcesses_v3" => gpu.processes = count(call),
        _ => of_health(gpu, call),
    }
}

fn of_health(gpu: &mut NvmlGpu, call: &Call) {
    match call.name.as_str() {
        "nvmlDeviceGetEccMode" => gpu.ecc = mode(call),
        "nvmlDeviceGetTotalEccErrors/volatile" => gpu.ecc_volatile = call.number(0),
        "nvmlDeviceGetTotalEccErrors/aggregate" => gpu.ecc_aggregate = call.number(0),
        "nvmlDeviceGetSramEccErrorStatus" => gpu.sram_threshold = flag(call, 0),
        "nvmlDeviceGetRemappedRows" => gpu.remapped = remapped(call),
        "nvmlDeviceGetRetiredPagesPendingStatus" => gpu.retired_pending = flag(call, 0),
        "nvmlDeviceGetFieldValues/recovery" => gpu.recovery = call.number(0),
        "nvmlDeviceGetCurrentClocksEventReasons" => gpu.throttle = call.number(0),
        "nvmlDeviceGetPcieLinkWidth" => gpu.pcie_width = two(call),
        "nvmlDeviceGetPcieLinkGeneration" => gpu.pcie_generation = two(call),
        "nvmlDeviceGetNvLinkState" => {
            gpu.nvlinks = call.values().unwrap_or_default().iter().map(|state| state == "1").collect();
        }
        "nvmlDeviceGetGpuFabricInfoV" => gpu.fabric = fabric(call),
        _ => {}
    }
}

fn of_instance(instance: &mut MigInstance, call: &Call) {
    match call.name.as_str() {
        "nvmlDeviceGetUUID" => instance.uuid = call.text(),
        "nvmlDeviceGetName" => instance.name = call.text(),
        "nvmlDeviceGetMemoryInfo" => instance.memory = memory(call),
        "nvmlDeviceGetGpuInstanceId" => instance.gpu_instance = call.number(0),
        "nvmlDeviceGetComputeInstanceId" => instance.compute_instance = call.number(0),
        _ => {}
    }
}

/// Keeps the code of a refused call, unless the feature is not supported.
fn keep_code(codes: &mut BTreeMap<String, i32>, call: &Call) {
    if let Some(code) = call.code().filter(|code| ![0, NOT_SUPPORTED].contains(code) && count(call).is_none()) {
        codes.insert(call.name.clone(), code);
    }
}

fn memory(call: &Call) -> Option<Memory> {
    Some(Memory { total: call.number(0)?, used: call.number(1)? })
}

fn two(call: &Call) -> Option<(u32, u32)> {
    Some((call.number(0)?, call.number(1)?))
}

fn flag(call: &Call, at: usize) -> Option<bool> {
    call.number::<u32>(at).map(|number| number != 0)
}

fn mode(call: &Call) -> Option<ModeState> {
    Some(ModeState { current: flag(call, 0)?, pending: flag(call, 1)? })
}

fn remapped(call: &Call) -> Option<Remapped> {
    let (correctable, uncorrectable) = two(call)?;
    Some(Remapped { correctable, uncorrectable, pending: flag(call, 2)?, failed: flag(call, 3)? })
}

fn fabric(call: &Call) -> Option<Fabric> {
    Some(Fabric { state: call.number(0)?, status: call.number(1)?, health: call.number(2) })
}

/// Returns the number of processes: no process needs no buffer, and others are reported together with an error code.
fn count(call: &Call) -> Option<u32> {
    let got = call.got.as_ref().filter(|_| call.name == "nvmlDeviceGetComputeRunningProcesses_v3")?;
    got.values.first().filter(|_| [0, INSUFFICIENT_SIZE].contains(&got.code))?.parse().ok()
}

/// Reads CUDA's devices.
pub fn cuda(transcript: &Transcript) -> Cuda {
    let mut cuda = Cuda::default();
    for call in &transcript.calls {
        match (call.name.as_str(), call.whom) {
            ("libcuda.so.1", _) => cuda.library = library(call),
            ("cuInit", _) => (cuda.init, cuda.init_words, cuda.init_took) = (call.code(), call.words(), call.took()),
            ("cuDriverGetVersion", _) => cuda.version = call.number(0),
            ("cuDeviceGetCount", _) => cuda.count = call.number(0),
            (_, Some(CallSubject::Gpu(ordinal))) => {
                if let Some(device) = numbered(&mut cuda.devices, ordinal, |device| &mut device.ordinal) {
                    of_device(device, call);
                }
            }
            _ => {}
        }
    }
    cuda
}

fn of_device(device: &mut CudaDevice, call: &Call) {
    keep_code(&mut device.codes, call);
    match call.name.as_str() {
        "cuDeviceGetUuid" => device.uuid = call.text(),
        "cuDeviceGetName" => device.name = call.text(),
        "cuDeviceGetPCIBusId" => device.pci = call.text(),
        "cuDeviceTotalMem_v2" => device.memory = call.number(0),
        "cuDeviceGetAttribute/capability" => device.capability = two(call),
        "cuDeviceGetAttribute/multiprocessors" => device.multiprocessors = call.number(0),
        _ => {}
    }
}

/// Optional steps of a proof besides the memory round trip: a refusal does not end the proof.
const BESIDE: [&str; 4] = ["cuMemHostAlloc", "cuModuleLoadData", "cuModuleGetFunction", "cuLaunchKernel"];

/// Reads the result of the proof on one GPU.
pub fn proof(transcript: &Transcript) -> Proof {
    let mut proof = Proof::default();
    for call in &transcript.calls {
        let refused = call.code().filter(|code| *code != 0).map(|code| (call.name.clone(), code));
        let beside = BESIDE.contains(&call.name.as_str());
        match call.name.as_str() {
            _ if refused.is_some() && beside => proof.beside = refused,
            _ if refused.is_some() && proof.refused.is_none() => {
                (proof.refused, proof.refused_words) = (refused, call.words());
            }
            "cuInit" | "cuDevicePrimaryCtxRetain" => proof.context_took += call.took(),
            "cuMemGetInfo_v2" => proof.memory = memory(call),
            "compare" => proof.wrong = call.number(0),
            "bandwidth/to_device" => proof.to_device = call.number(0),
            "bandwidth/to_host" => proof.to_host = call.number(0),
            "bandwidth/within" => proof.within = call.number(0),
            "arithmetic" => proof.miscalculated = call.number(0),
            _ => {}
        }
    }
    proof
}

/// Reads the copies between GPUs.
pub fn peers(transcript: &Transcript) -> Peers {
    let mut peers = Peers::default();
    for call in &transcript.calls {
        if let Some((from, to)) = call.whom.and_then(CallSubject::pair) {
            let at = peers.pairs.iter().position(|pair| (pair.from, pair.to) == (from, to)).or_else(|| {
                (peers.pairs.len() < MOST).then(|| peers.pairs.push(Pair { from, to, ..Pair::default() }))?;
                Some(peers.pairs.len() - 1)
            });
            at.and_then(|at| peers.pairs.get_mut(at)).into_iter().for_each(|pair| of_pair(pair, call));
        }
    }
    peers
}

fn of_pair(pair: &mut Pair, call: &Call) {
    match call.name.as_str() {
        "cuDeviceCanAccessPeer" => pair.direct = flag(call, 0),
        "cuMemcpyPeer" => (pair.code, pair.rate) = (call.code(), call.number(0)),
        "compare" => pair.wrong = call.number(0),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
