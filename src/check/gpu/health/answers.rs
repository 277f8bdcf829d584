//! Whether the driver answers, and with what.

use super::GpuHealthTarget;
use super::codes::{self, explained};
use crate::check::step::{CheckResult, Failure};
use gpu::facts::{CallStep, GpuFacts, LibraryState, ProbeOutcome, ProbeStop, ProbeWait, cuda_code};
use gpu::{CUDA, NVML};
use nix::errno::Errno;

/// A probe process that ended before its work was done.
struct Broken<'a> {
    /// The library that the process was asking.
    who: &'static str,
    at: Option<&'a CallStep>,
    how: ProbeStop,
    waits: Option<&'a ProbeWait>,
    stderr: Option<&'a String>,
}

impl GpuHealthTarget {
    /// Returns the outcome of each probe process by its name.
    fn outcomes(&self) -> impl Iterator<Item = (&'static str, &ProbeOutcome, Option<&String>)> {
        let GpuFacts { nvml, cuda, proofs, peers, .. } = &self.facts;
        let first =
            [(" (NVML)", &nvml.outcome, nvml.stderr.as_ref()), (" (CUDA)", &cuda.outcome, cuda.stderr.as_ref())];
        let proofs = proofs.iter().map(|proof| (" (CUDA)", &proof.outcome, proof.stderr.as_ref()));
        let peers = (" (copies between GPUs)", &peers.outcome, peers.stderr.as_ref());
        first.into_iter().chain(proofs).chain([peers])
    }

    fn broken(&self, is_meant: impl Fn(ProbeStop) -> bool) -> Option<Broken<'_>> {
        self.outcomes().find_map(|(who, outcome, stderr)| match outcome {
            ProbeOutcome::Stopped { at, how, waits } if is_meant(*how) => {
                Some(Broken { who, at: at.as_ref(), how: *how, waits: waits.as_ref(), stderr })
            }
            _ => None,
        })
    }

    pub(super) fn comes_back(&mut self) -> CheckResult {
        // An unkillable process is reported first: it says more than one that could be killed.
        let unkillable = self.broken(|how| how == ProbeStop::Unkillable);
        let Some(broken) = unkillable.or_else(|| self.broken(|how| how == ProbeStop::Overdue)) else { return Ok(()) };
        let what = format!("the driver does not answer: {} did not come back{}", place(broken.at), broken.who);
        self.found(
            Failure::new(what)
                .because(hanging(broken.how, broken.waits))
                .adding(written(broken.stderr))
                .advice("drain the node and restart it; try another one")
                .passing(true),
        )
    }

    pub(super) fn does_not_crash(&mut self) -> CheckResult {
        let Some(broken) = self.broken(|how| matches!(how, ProbeStop::Killed(_) | ProbeStop::Exited(_))) else {
            return Ok(());
        };
        let end = match broken.how {
            ProbeStop::Killed(signal) => format!("signal {signal}"),
            ProbeStop::Exited(code) => format!("exit code {code}"),
            _ => String::new(),
        };
        let (place, who) = (place(broken.at), broken.who);
        let failure = Failure::new(format!("the driver's library ended its process in {place}, with {end}{who}"));
        let failure = match self.gpus.environment.get("LD_PRELOAD") {
            Some(preload) => failure
                .because(format!("LD_PRELOAD={} is loaded beside it", text::os(preload)))
                .advice("try it without LD_PRELOAD"),
            None => failure
                .because("the library does not fit the kernel's driver, or is damaged")
                .advice("restart the node after an upgrade; try another one")
                .passing(true),
        };
        self.found(failure.adding(written(broken.stderr)))
    }

    /// Checks that the driver could be asked. A failure of the probe is no fault of the GPUs; it is reported if a check depends on it.
    pub(super) fn was_asked(&mut self) -> CheckResult {
        let wanted = &self.gpus.wanted;
        let asks = [
            ("gpu.memory", wanted.memory.is_some()),
            ("gpu.free_memory", wanted.free_memory.is_some()),
            ("gpu.capability", wanted.capability.is_some()),
        ];
        let asked: Vec<&str> = asks.iter().filter(|(_, wanted)| *wanted).map(|(key, _)| *key).collect();
        let unheld =
            if asked.is_empty() { String::new() } else { format!("; {} cannot be held against it", asked.join(", ")) };
        let failure = Failure::new(format!("the driver was not asked{unheld}"));
        match &self.facts.nvml.outcome {
            ProbeOutcome::NotExecuted { errno } => {
                let (because, advice) = unexecuted(Errno::from_raw(*errno));
                self.found_mild(failure.because(because).advice(advice))
            }
            ProbeOutcome::NotInstalled => self.found_mild(
                failure
                    .because("the file that gpu.helper allows alone is not installed")
                    .advice("RUN [\"trainit\", \"gpu\", \"install-probe\"] in the Dockerfile; or gpu.helper: auto"),
            ),
            ProbeOutcome::NoHelper if !asked.is_empty() => {
                self.found_mild(failure.because("there is no helper, or gpu.helper is off").advice("gpu.helper: auto"))
            }
            _ => Ok(()),
        }
    }

    /// Makes the failure for a library that exists but does not load: it may be damaged, or for another machine. A missing one is reported
    /// elsewhere.
    fn unloadable(&self, name: &str, library: &LibraryState) -> Option<Failure> {
        let LibraryState::Missing(words) = library else { return None };
        let found = self.gpus.loader().find(name)?;
        let failure = Failure::new(format!("{} cannot be loaded: {}", text::path(&found.path), text::line(words)));
        Some(
            failure
                .advice("take it out of the image and LD_LIBRARY_PATH: the container's runtime adds the driver's own"),
        )
    }

    pub(super) fn loads_cuda(&mut self) -> CheckResult {
        match self.unloadable(CUDA, &self.facts.cuda.library) {
            Some(failure) => self.found(failure),
            None => Ok(()),
        }
    }

    pub(super) fn loads_nvml(&mut self) -> CheckResult {
        match self.unloadable(NVML, &self.facts.nvml.library) {
            Some(failure) => self.found_mild(failure),
            None => Ok(()),
        }
    }

    pub(super) fn begins(&mut self) -> CheckResult {
        let (cuda, nvml) = (&self.facts.cuda, &self.facts.nvml);
        let words = |words: &Option<String>| words.as_deref().map(|words| format!(": {}", text::line(words)));
        let hidden = self.gpus.may_be_without();
        if let Some(code) = cuda.init.filter(|code| *code != 0 && !(hidden && *code == cuda_code::NO_DEVICE)) {
            let words = words(&cuda.init_words).unwrap_or_default();
            let failure = Failure::new(format!("CUDA does not begin (cuInit: {code}{words})"));
            return self.found(explained(failure, codes::CUDA, code).adding(written(cuda.stderr.as_ref())));
        }
        if let Some(code) = nvml.init.filter(|code| *code != 0) {
            let words = words(&nvml.init_words).unwrap_or_default();
            let failure = Failure::new(format!("NVML does not begin (nvmlInit: {code}{words})"));
            let failure = explained(failure, codes::NVML, code).adding(written(nvml.stderr.as_ref()));
            // NVML is a part of WSL2's driver, and hardly one of a Jetson's.
            if cuda.init == Some(0) && self.gpus.presence().uncounted.is_some() {
                return Ok(());
            }
            // A workload can use a GPU if CUDA can.
            return if cuda.init == Some(0) { self.found_mild(failure) } else { self.found(failure) };
        }
        Ok(())
    }

    pub(super) fn shows_enough(&mut self) -> CheckResult {
        let Some(count) = self.facts.cuda.count.filter(|_| self.facts.cuda.init == Some(0)) else { return Ok(()) };
        let least = self.gpus.least_shown();
        if count >= least || self.gpus.presence().is_sliced() {
            return Ok(());
        }
        self.found(
            Failure::new(format!("CUDA shows {}, {}", text::count(count.into(), "GPU"), self.gpus.demand.words()))
                .because(format!("device nodes of {} are here", self.gpus.number(self.gpus.presence().devices())))
                .advice("look for the missing one in nvidia-smi on the host; try another node")
                .passing(true),
        )
    }
}

/// Formats a call: `nvmlInit_v2`, `nvmlDeviceGetMemoryInfo of GPU 3`.
fn place(at: Option<&CallStep>) -> String {
    match at {
        Some(CallStep { call, gpu: Some(gpu) }) => format!("{} of GPU {gpu}", text::line(call)),
        Some(CallStep { call, gpu: None }) => text::line(call).into_owned(),
        None => "its start".to_owned(),
    }
}

/// Explains why the gpu-probe cannot be executed, and what helps.
fn unexecuted(errno: Errno) -> (String, &'static str) {
    const INSTALL: &str = "`trainit gpu install-probe` in the image puts it on disk";
    match errno {
        Errno::ENOENT => (
            "no program of glibc runs here, and NVIDIA's libraries need it (Alpine, distroless, scratch)".to_owned(),
            "an image with glibc",
        ),
        Errno::ESTALE => ("its helper on disk is of another version of trainit, or was changed".to_owned(), INSTALL),
        Errno::EACCES | Errno::EPERM => (
            format!(
                "its helper cannot be executed: {} (vm.memfd_noexec, seccomp, file systems that are mounted noexec)",
                protocol::errno::words(errno)
            ),
            INSTALL,
        ),
        errno => (format!("its helper cannot be executed: {}", protocol::errno::words(errno)), INSTALL),
    }
}

/// Explains why a process did not return, as far as that was visible.
fn hanging(how: ProbeStop, waits: Option<&ProbeWait>) -> String {
    let function = |waits: &ProbeWait| waits.function.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
    match (how, waits) {
        // Its visible threads may have ended.
        (ProbeStop::Unkillable, None) => "its process waits in the kernel and cannot even be killed".to_owned(),
        (ProbeStop::Unkillable, Some(waits)) => format!(
            "its process waits in the kernel (state {}{}) and cannot even be killed",
            waits.state,
            function(waits)
        ),
        (_, waits) => {
            let seen = waits.map(|waits| format!("; its process was in state {}{}", waits.state, function(waits)));
            format!("a GPU, or its firmware, hangs (Xid 119 in the host's kernel log){}", seen.unwrap_or_default())
        }
    }
}

/// Length of a shown line.
const SHOWN: usize = 160;

/// Returns the first and last line that a process wrote to its standard error.
pub(super) fn written(stderr: Option<&String>) -> Option<String> {
    let mut lines = stderr?.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, last) = (lines.next()?, lines.next_back());
    let shown = |line: &str| text::line(&line.chars().take(SHOWN).collect::<String>()).into_owned();
    let more = last.map(|last| format!(" … {}", shown(last))).unwrap_or_default();
    Some(format!("it wrote: {}{more}", shown(first)))
}
