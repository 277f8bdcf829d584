//! Asks the driver's libraries, in processes of their own: the helper (`probe/` beside `src/`), a small dynamic program, because a
//! static one cannot load them. The helper says line by line what it is about to do (`transcript`), `read` says what that means,
//! `run` sees to it that nobody waits for a hung driver for ever. nvidia-smi is the last resort.
//!
//! Call it in a process that may block for as long as the deadlines say, and that never becomes the workload: a helper that cannot
//! be killed stays its child.

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

/// How deep GPUs are looked into; each level has all of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// By files alone; no library is loaded.
    Presence,
    /// NVML's facts, and what CUDA shows to a program with the workload's environment.
    #[default]
    Driver,
    /// A context and a memory round trip on every GPU.
    Cuda,
    /// Bandwidths, arithmetic and copies between GPUs.
    Full,
}

impl Level {
    /// The word that the level is written with.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Presence => "presence",
            Level::Driver => "driver",
            Level::Cuda => "cuda",
            Level::Full => "full",
        }
    }
}

/// Where the helper comes from that asks the driver's libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuHelper {
    /// A file that was installed, else from memory, else from a file without a name, else nvidia-smi is asked.
    #[default]
    Auto,
    /// Only a file that was installed.
    File,
    /// Only from memory.
    Memfd,
    /// None: nvidia-smi is asked.
    Smi,
    /// None, and nobody is asked.
    Off,
    /// This file.
    Path(PathBuf),
}

/// What to find out, and how.
#[derive(Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// How deep.
    pub level: Level,
    /// Where the helper comes from.
    pub helper: &'a GpuHelper,
    /// The workload's environment: libraries are found, and GPUs shown, as for the workload.
    pub environment: &'a Environment,
    /// How long one process may take.
    pub timeout: Duration,
    /// How long something that is going to pass is waited for.
    pub wait: Duration,
    /// What of the facts is going to pass, in words; `awaited` knows what is always so.
    pub awaited: &'a dyn Fn(&GpuFacts) -> Option<String>,
}

/// How often something that is going to pass is looked at.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest that asking can take, with all that is waited for.
pub fn longest(ask: &ProbeRequest<'_>) -> Duration {
    let rounds = match ask.level {
        Level::Presence => 0,
        Level::Driver => 1,
        Level::Cuda => 2,
        Level::Full => 3,
    };
    ask.wait + (ask.timeout + run::END) * rounds + AGAIN
}

/// Finds out. `pulse` is told what is waited for.
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

/// What passes on every system: a fabric that is being set up, a driver that starts, memory that the container before still holds.
pub fn awaited(facts: &GpuFacts) -> Option<String> {
    let gpus = &facts.nvml.gpus;
    let fabric = gpus.iter().any(|gpu| gpu.fabric.is_some_and(|fabric| [1, 2].contains(&fabric.state)));
    if fabric || facts.cuda.init == Some(cuda_code::SYSTEM_NOT_READY) {
        return Some("the NVLink fabric is being set up (fabric manager)".to_owned());
    }
    let ready = |code: i32| code != nvml_code::NOT_READY;
    if !facts.nvml.init.is_none_or(ready) || !gpus.iter().all(|gpu| gpu.handle.is_none_or(ready)) {
        return Some("the driver is starting".to_owned());
    }
    // Of a GPU that may not be used at all this is no passing state.
    let prohibited = |proof: &Proof| {
        let gpu = proof.uuid.as_deref().and_then(|uuid| facts.gpu_of(uuid));
        gpu.is_some_and(|gpu| gpu.compute_mode == Some(2))
    };
    let busy = |proof: &Proof| {
        let code = proof.refused.as_ref().map(|(_, code)| *code);
        matches!(code, Some(cuda_code::OUT_OF_MEMORY | cuda_code::DEVICE_UNAVAILABLE)) && !prohibited(proof)
    };
    facts.proofs.iter().any(busy).then(|| "a GPU is still used by somebody else".to_owned())
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

/// nvidia-smi, where auto may ask it and it is there.
fn last_resort(ask: &ProbeRequest<'_>, outcome: ProbeOutcome) -> GpuFacts {
    let asked = Some(ask.helper).filter(|wanted| **wanted == GpuHelper::Auto);
    let facts = asked.and_then(|_| smi::ask(ask.environment, ask.timeout));
    facts.map_or_else(
        || nobody(outcome.clone()),
        |facts| GpuFacts { cuda: Cuda { outcome: outcome.clone(), ..Cuda::default() }, ..facts },
    )
}

/// By the first way that executes the helper.
fn by_helper(ask: &ProbeRequest<'_>, wanted: &GpuHelper) -> Result<GpuFacts, ProbeOutcome> {
    let mut failure = None;
    for (way, image) in helper::images(wanted) {
        failure = match image {
            // A file that was never installed says nothing, where there are other ways.
            Err(Errno::ENOENT) if way == ProbePath::File && *wanted == GpuHelper::Auto => continue,
            Err(Errno::ENOENT) if way == ProbePath::File => Some(ProbeOutcome::NotInstalled),
            Err(errno) => Some(not_executed(errno)),
            Ok(image) => match of_driver(ask, &image) {
                Ok(facts) => return Ok(GpuFacts { way: Some(way), ..deeper(ask, &image, facts) }),
                Err(errno) => Some(not_executed(errno)),
            },
        };
        // The helper's loader is missing, whatever the way.
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

/// NVML and CUDA at the same time: one that hangs does not keep the other from answering.
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

/// The proofs, where they are asked for and CUDA shows something to prove.
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

/// One process for each GPU: none waits for another, and the one that hangs is known.
fn proofs(ask: &ProbeRequest<'_>, image: &OwnedFd, cuda: &Cuda) -> Vec<Proof> {
    let word = if ask.level == Level::Full { "full" } else { "proof" };
    let alone = cuda.devices.len() == 1;
    let jobs: Vec<ProbeJob> = cuda
        .devices
        .iter()
        .map(|device| {
            let mut environment = ask.environment.clone();
            // What is compiled for a proof is nothing to keep in somebody's HOME.
            environment.set_over_pin("CUDA_CACHE_DISABLE", "1");
            // A MIG instance, and the only GPU, are shown alone already; initialising the others would take time.
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
