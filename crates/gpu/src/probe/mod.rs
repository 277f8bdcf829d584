//! Asks the driver's libraries, in separate processes: the gpu-probe (`crates/gpu-probe`) is a small dynamic program, because a static one
//! cannot load them. The probe announces line by line what it is about to do (`transcript`), and `read` interprets that. `run` limits the
//! wait for a hung driver. nvidia-smi is the last resort.
//!
//! The caller must be a process that may block until the deadlines, and that never becomes the workload: a probe that cannot be killed
//! stays its child.

pub mod helper;
pub mod read;
mod run;
pub mod smi;
pub mod transcript;

use super::facts::{Cuda, GpuFacts, Nvml, Peers, ProbeOutcome, ProbePath, Proof, cuda_code, nvml_code};
use nix::errno::Errno;
use run::{ProbeJob, ProbeResult};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::environment::Environment;

/// How thoroughly GPUs are examined; each level includes all earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Files only; no library is loaded.
    Presence,
    /// NVML's facts, and the devices that CUDA shows to a program with the workload's environment.
    #[default]
    Driver,
    /// A context and a memory round trip on every GPU.
    Cuda,
    /// Bandwidths, arithmetic and copies between GPUs.
    Full,
}

impl Level {
    /// Returns the name of the level in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Presence => "presence",
            Level::Driver => "driver",
            Level::Cuda => "cuda",
            Level::Full => "full",
        }
    }
}

/// The source of the gpu-probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuHelper {
    /// An installed file, else memory, else a file without a name, else nvidia-smi.
    #[default]
    Auto,
    /// Only an installed file.
    File,
    /// Only memory.
    Memfd,
    /// No probe; nvidia-smi is asked.
    Smi,
    /// No probe; the driver is not asked.
    Off,
    /// This file.
    Path(PathBuf),
}

/// The task of a probe.
#[derive(Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// How thoroughly the GPUs are examined.
    pub level: Level,
    /// The source of the gpu-probe.
    pub helper: &'a GpuHelper,
    /// The workload's environment, so that libraries and GPUs are those that the workload will see.
    pub environment: &'a Environment,
    /// The time limit of one process.
    pub timeout: Duration,
    /// The longest wait for a transient state.
    pub wait: Duration,
    /// Describes a transient state among the facts, in addition to those that `awaited` knows.
    pub awaited: &'a dyn Fn(&GpuFacts) -> Option<String>,
}

/// Interval between two probes during a wait.
const AGAIN: Duration = Duration::from_secs(1);

/// Returns the longest duration of a probe, with all waits.
pub fn longest(ask: &ProbeRequest<'_>) -> Duration {
    let rounds = match ask.level {
        Level::Presence => 0,
        Level::Driver => 1,
        Level::Cuda => 2,
        Level::Full => 3,
    };
    ask.wait + (ask.timeout + run::END) * rounds + AGAIN
}

/// Runs the probe. `pulse` is called with what is being waited for.
pub fn probe(ask: &ProbeRequest<'_>, pulse: &mut dyn FnMut(&str)) -> GpuFacts {
    let began = Instant::now();
    let mut waited = None;
    loop {
        let facts = round(ask);
        let passing = (ask.awaited)(&facts).filter(|_| began.elapsed() + AGAIN <= ask.wait);
        let Some(reason) = passing else { return GpuFacts { waited, took: began.elapsed(), ..facts } };
        pulse(&reason);
        std::thread::sleep(AGAIN);
        waited = Some((reason, began.elapsed()));
    }
}

/// Describes a state that is transient on every system: a fabric that is being set up, a driver that starts, memory that the previous
/// container still holds.
pub fn awaited(facts: &GpuFacts) -> Option<String> {
    let gpus = &facts.nvml.gpus;
    let fabric = gpus.iter().any(|gpu| gpu.fabric.is_some_and(|fabric| [1, 2].contains(&fabric.state)));
    // CUDA does not begin before the fabric that it needs is there; a GPU alone in a virtual machine may need none.
    if fabric && facts.cuda.init != Some(0) || facts.cuda.init == Some(cuda_code::SYSTEM_NOT_READY) {
        return Some("the NVLink fabric is being set up (fabric manager)".to_owned());
    }
    let ready = |code: i32| code != nvml_code::NOT_READY;
    if !facts.nvml.init.is_none_or(ready) || !gpus.iter().all(|gpu| gpu.handle.is_none_or(ready)) {
        return Some("the driver is starting".to_owned());
    }
    // On a GPU in prohibited mode this state does not pass.
    let prohibited = |proof: &Proof| {
        let gpu = proof.uuid.as_deref().and_then(|uuid| facts.gpu_of(uuid));
        gpu.is_some_and(|gpu| gpu.compute_mode == Some(2))
    };
    let busy = |proof: &Proof| {
        let code = proof.refused.as_ref().map(|(_, code)| *code);
        matches!(code, Some(cuda_code::OUT_OF_MEMORY | cuda_code::DEVICE_UNAVAILABLE)) && !prohibited(proof)
    };
    facts.proofs.iter().any(busy).then(|| "a GPU is still used by another process".to_owned())
}

fn round(ask: &ProbeRequest<'_>) -> GpuFacts {
    match (ask.level, ask.helper) {
        (Level::Presence, _) => GpuFacts::default(),
        (_, GpuHelper::Off) => nobody(ProbeOutcome::NoHelper),
        (_, GpuHelper::Smi) => smi::ask(ask.environment, ask.timeout).unwrap_or_else(|| nobody(ProbeOutcome::NoHelper)),
        (_, wanted) => by_helper(ask, wanted).unwrap_or_else(|outcome| last_resort(ask, outcome)),
    }
}

fn nobody(outcome: ProbeOutcome) -> GpuFacts {
    let nvml = Nvml { outcome: outcome.clone(), ..Nvml::default() };
    GpuFacts { nvml, cuda: Cuda { outcome, ..Cuda::default() }, ..GpuFacts::default() }
}

/// Asks nvidia-smi, if the choice is `auto` and the program exists.
fn last_resort(ask: &ProbeRequest<'_>, outcome: ProbeOutcome) -> GpuFacts {
    let asked = Some(ask.helper).filter(|wanted| **wanted == GpuHelper::Auto);
    let facts = asked.and_then(|_| smi::ask(ask.environment, ask.timeout));
    facts.map_or_else(
        || nobody(outcome.clone()),
        |facts| GpuFacts { cuda: Cuda { outcome: outcome.clone(), ..Cuda::default() }, ..facts },
    )
}

/// Probes by the first way in which the gpu-probe can be executed.
fn by_helper(ask: &ProbeRequest<'_>, wanted: &GpuHelper) -> Result<GpuFacts, ProbeOutcome> {
    let mut failure = None;
    for (way, image) in helper::images(wanted) {
        failure = match image {
            // A file that was never installed is no failure if there are other ways.
            Err(Errno::ENOENT) if way == ProbePath::File && *wanted == GpuHelper::Auto => continue,
            Err(Errno::ENOENT) if way == ProbePath::File => Some(ProbeOutcome::NotInstalled),
            Err(errno) => Some(not_executed(errno)),
            Ok(image) => match of_driver(ask, &image) {
                Ok(facts) => return Ok(GpuFacts { way: Some(way), ..deeper(ask, &image, facts) }),
                Err(errno) => Some(not_executed(errno)),
            },
        };
        // The gpu-probe's loader is missing, so no other way helps.
        if failure == Some(not_executed(Errno::ENOENT)) && way == ProbePath::Memory {
            break;
        }
    }
    Err(failure
        .filter(|_| helper::is_embedded() || matches!(wanted, GpuHelper::Path(_)))
        .unwrap_or(ProbeOutcome::NoHelper))
}

fn not_executed(errno: Errno) -> ProbeOutcome {
    ProbeOutcome::NotExecuted { errno: errno as i32 }
}

/// Asks NVML and CUDA at the same time: if one hangs, the other still answers.
fn of_driver(ask: &ProbeRequest<'_>, image: &OwnedFd) -> nix::Result<GpuFacts> {
    let job = |word: &str| ProbeJob { words: vec![word.to_owned()], environment: ask.environment.clone() };
    let mut ran = run::all(image, &[job("nvml"), job("cuda")], ask.timeout)?.into_iter();
    let (nvml, cuda) = (ran.next().unwrap_or_default(), ran.next().unwrap_or_default());
    Ok(GpuFacts {
        nvml: Nvml { outcome: nvml.outcome, stderr: nvml.stderr, took: nvml.took, ..read::nvml(&nvml.transcript) },
        cuda: Cuda { outcome: cuda.outcome, stderr: cuda.stderr, took: cuda.took, ..read::cuda(&cuda.transcript) },
        ..GpuFacts::default()
    })
}

/// Runs the proofs, if the level includes them and CUDA shows a device.
fn deeper(ask: &ProbeRequest<'_>, image: &OwnedFd, mut facts: GpuFacts) -> GpuFacts {
    let shown = facts.cuda.devices.len();
    if ask.level >= Level::Cuda && shown > 0 {
        facts.proofs = proofs(ask, image, &facts.cuda);
    }
    let sound = facts.proofs.iter().all(|proof| proof.outcome == ProbeOutcome::Complete && proof.refused.is_none());
    if ask.level == Level::Full && shown > 1 && sound {
        facts.peers = peers(ask, image);
    }
    facts
}

/// Runs one process for each GPU: none waits for another, and the hanging one is known.
fn proofs(ask: &ProbeRequest<'_>, image: &OwnedFd, cuda: &Cuda) -> Vec<Proof> {
    let word = if ask.level == Level::Full { "full" } else { "proof" };
    let alone = cuda.devices.len() == 1;
    let jobs: Vec<ProbeJob> = cuda
        .devices
        .iter()
        .map(|device| {
            let mut environment = ask.environment.clone();
            // The code that is compiled for a proof must not be cached in the user's HOME.
            environment.set_over_pin("CUDA_CACHE_DISABLE", "1");
            // A MIG instance, and the only GPU, are visible alone anyway; initialising the others would take time.
            let number = match device.uuid.as_ref().filter(|_| !alone) {
                Some(uuid) => {
                    environment.set_over_pin("CUDA_VISIBLE_DEVICES", uuid);
                    0
                }
                None => device.ordinal,
            };
            ProbeJob { words: vec![word.to_owned(), device.ordinal.to_string(), number.to_string()], environment }
        })
        .collect();
    let all = run::all(image, &jobs, ask.timeout).unwrap_or_default();
    let proof = |(device, ran): (&super::facts::CudaDevice, ProbeResult)| Proof {
        ordinal: device.ordinal,
        uuid: device.uuid.clone(),
        outcome: ran.outcome,
        stderr: ran.stderr,
        took: ran.took,
        ..read::proof(&ran.transcript)
    };
    cuda.devices.iter().zip(all).map(proof).collect()
}

fn peers(ask: &ProbeRequest<'_>, image: &OwnedFd) -> Peers {
    let job = ProbeJob { words: vec!["peers".to_owned()], environment: ask.environment.clone() };
    let ran = run::all(image, &[job], ask.timeout).unwrap_or_default().pop().unwrap_or_default();
    Peers { outcome: ran.outcome, stderr: ran.stderr, took: ran.took, ..read::peers(&ran.transcript) }
}

#[cfg(test)]
mod tests;
