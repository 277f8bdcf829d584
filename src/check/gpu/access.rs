//! The device nodes: whether this user and this container may open them, and whether the nodes that every program needs exist.

use super::GpuTarget;
use super::denial::{Asker, DenialCause, Place};
use crate::check::step::{CheckResult, Failure};
use crate::check::{Change, Remedy};
use gpu::{CTL, DeviceNode, Refusal, UVM};
use nix::errno::Errno;

impl GpuTarget {
    pub(super) fn permitted(&mut self) -> CheckResult {
        if self.demand.is_none() {
            return Ok(());
        }
        let presence = self.presence();
        if self.is_of_others() {
            return Ok(());
        }
        let enough = self.demand.least as usize <= presence.devices();
        // A control group that opens what was promised closes the devices of others: that is its task.
        let others = enough && (self.is_job() || self.demand.promise && self.demand.least > 0);
        let is_told = |node: &&DeviceNode| !(others && node.errno() == Some(Errno::EPERM));
        let refused: Vec<&Refusal> =
            presence.nodes.iter().filter(is_told).filter_map(|node| node.refused.as_ref()).collect();
        let control = presence.controls.iter().filter(|control| !control.is_missing());
        let control = control.filter_map(|control| control.refused.as_ref()).next();
        match (refused.first(), control) {
            (None, None) => Ok(()),
            (Some(refusal), _) => {
                let what = format!("{} of {} may not be used", refused.len(), self.number(presence.nodes.len()));
                let failure = self.refusal(&what, refusal);
                if enough { self.found_mild(failure) } else { self.found(failure) }
            }
            (None, Some(refusal)) => self.found(self.refusal("no GPU may be used", refusal)),
        }
    }

    fn refusal(&self, what: &str, refusal: &Refusal) -> Failure {
        let Refusal { path, errno, .. } = refusal;
        match errno {
            Errno::EPERM if self.is_job() => {
                Failure::new(format!("{what}: {path} is refused by the job's device control group"))
                    .because("the batch system opens the devices of this job alone")
                    .advice("ask the batch system for as many: sbatch or srun --gpus-per-node=…")
                    .passing(self.demand.scheduler)
            }
            Errno::EPERM => Failure::new(format!("{what}: {path} is refused by the container's device control group"))
                .because("it was not given to this container, or `systemctl daemon-reload` on the host took it away")
                .advice("recreate the container; for good: CDI, the cgroupfs driver, or each node given as a device")
                .passing(true),
            errno => {
                let asker = self.asker.get_or_init(|| Asker::own(&self.root));
                let words = protocol::errno::words(*errno);
                let failure = Failure::new(format!("{what}: {path} cannot be opened as uid {}: {words}", asker.uid));
                match errno {
                    Errno::EACCES => self.denied(failure, refusal, asker),
                    _ => failure.advice(format!("look at it with ls -l {path}; recreate the container")),
                }
            }
        }
    }

    fn denied(&self, failure: Failure, refusal: &Refusal, asker: &Asker) -> Failure {
        let cause = DenialCause::of(refusal.rights, asker);
        let place = Place::of(&self.root, self.platform(), self.environment.text("container"));
        let failure = failure.because(cause.words(asker));
        cause.remedies(&refusal.path, asker, place).into_iter().fold(failure, Failure::remedy)
    }

    /// Returns whether a node that every CUDA program opens is missing.
    fn lacks(&self, path: &str) -> bool {
        self.presence().controls.iter().any(|one| one.path == path && one.is_missing()) && self.has_nvidia()
    }

    pub(super) fn has_control(&mut self) -> CheckResult {
        if !self.lacks(CTL) {
            return Ok(());
        }
        self.found(
            Failure::new(format!("{CTL} is not here: no program finds the GPUs"))
                .because("single devices were given to the container, without what belongs to them")
                .remedy(self.give(None)),
        )
    }

    pub(super) fn has_memory_manager(&mut self) -> CheckResult {
        if !self.lacks(UVM) {
            return Ok(());
        }
        let failure = Failure::new(format!("{UVM} is not here: CUDA fails with error 999 while nvidia-smi works"));
        let loaded = self.root.path("/sys/module/nvidia_uvm").exists();
        self.found(match loaded {
            true => failure
                .because("the module nvidia_uvm is loaded, its node was not given to the container")
                .remedy(self.with_capabilities("compute").unwrap_or_else(|| self.give(None))),
            false => failure
                .because("the module nvidia_uvm is not loaded on the host")
                .advice("on the host: nvidia-modprobe -u -c 0 (or modprobe nvidia_uvm), then recreate the container")
                .passing(true),
        })
    }

    pub(super) fn has_kfd(&mut self) -> CheckResult {
        let rendering = self.presence().without_kfd;
        if rendering == 0 || self.demand.is_none() {
            return Ok(());
        }
        let cards = text::count(rendering as u64, "AMD GPU");
        self.found(
            Failure::new(format!("/dev/kfd is not here: {cards} can draw, and not compute"))
                .because("only /dev/dri was given to the container")
                .remedy(self.give_device("/dev/kfd")),
        )
    }

    /// Suggests one more driver capability for the runtime, if a variable limits the capabilities.
    pub(super) fn with_capabilities(&self, wanted: &str) -> Option<Remedy> {
        let now = self.environment.text("NVIDIA_DRIVER_CAPABILITIES")?;
        let has = now.split(',').any(|word| matches!(word.trim(), "all") || word.trim() == wanted);
        let env = |value| Change::Env { name: "NVIDIA_DRIVER_CAPABILITIES".to_owned(), value: Some(value) };
        (!has).then(|| Remedy::Start(env(format!("{now},{wanted}"))))
    }

    /// Returns whether this machine has, or may have, GPUs of NVIDIA's.
    pub(super) fn has_nvidia(&self) -> bool {
        !self.demand.is_none() && !self.is_of_others() && self.presence().nvidia().next().is_some()
    }
}
