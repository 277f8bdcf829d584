//! The state of each device as the kernel reports it: on the bus, healthy, whole or cut, of one model, with enough memory.

use super::GpuTarget;
use super::link::{self, Link};
use crate::check::step::{CheckResult, Failure};
use crate::config::MigPolicy;
use gpu::{DeviceNode, pci};

impl GpuTarget {
    pub(super) fn on_the_bus(&mut self) -> CheckResult {
        if self.demand.is_none() {
            return Ok(());
        }
        let gone = |node: &&DeviceNode| node.bus.as_deref().is_some_and(|bus| pci::is_gone(&self.root, bus));
        let gone: Vec<String> = self.presence().nodes.iter().filter(gone).map(name).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.found(
            Failure::new(format!("{} fell off the bus (Xid 79)", gone.join(", ")))
                .because("it does not answer on PCI any more: a matter of hardware, or of a driver that gave up")
                .advice("drain the node and restart it; try another one")
                .passing(true),
        )
    }

    pub(super) fn well(&mut self) -> CheckResult {
        let ill = |node: &DeviceNode| Some(format!("{} is `{}`", node.path, text::line(node.ill.as_deref()?)));
        let ill: Vec<String> = self.presence().nodes.iter().filter_map(ill).collect();
        if ill.is_empty() || self.demand.is_none() {
            return Ok(());
        }
        self.found(
            Failure::new(ill.join(", "))
                .because("its driver does not call it operational")
                .advice("wait for its reset to end, or reset it on the host; try another node")
                .passing(true),
        )
    }

    pub(super) fn cut_as_wanted(&mut self) -> CheckResult {
        if !self.has_nvidia() {
            return Ok(());
        }
        let closed =
            |node: &&DeviceNode| !node.instances.is_empty() && !node.instances.iter().any(gpu_instance_is_usable);
        if let Some(node) = self.presence().nvidia().find(closed) {
            return self.found(
                Failure::new(format!("{} is cut into MIG instances, and none of them may be used", name(node)))
                    .because("their nodes in /dev/nvidia-caps were not given to the container")
                    .advice("give the container the instance itself: MIG-…, in a pod nvidia.com/mig-…"),
            );
        }
        match (self.wanted.mig, self.presence().is_sliced()) {
            (MigPolicy::Deny, true) => Failure::new("a GPU is cut into MIG instances (gpu.mig: deny)")
                .because("a program sees one instance, and no peers")
                .advice("choose a node without MIG, or gpu.mig: allow")
                .found(),
            (MigPolicy::Require, false) => Failure::new("the GPUs are not cut into MIG instances (gpu.mig: require)")
                .advice("choose a node with MIG, or gpu.mig: allow")
                .found(),
            _ => Ok(()),
        }
    }

    pub(super) fn of_one_model(&mut self) -> CheckResult {
        let models: std::collections::BTreeSet<&str> =
            self.presence().nodes.iter().filter_map(|node| node.model.as_deref()).collect();
        if !self.wanted.same_model || models.len() < 2 || self.demand.is_none() {
            return Ok(());
        }
        let models: Vec<String> = models.into_iter().map(|model| text::line(model).into_owned()).collect();
        Failure::new(format!("the GPUs differ: {}", models.join(", ")))
            .because("gpu.same_model asks for one model: the slowest would set the pace")
            .advice("choose GPUs of one model, with CUDA_VISIBLE_DEVICES or at the start of the container")
            .found()
    }

    /// Checks the memory where the kernel reports it; for NVIDIA's GPUs the driver's library reports it.
    pub(super) fn large_enough(&mut self) -> CheckResult {
        let Some(wanted) = self.wanted.memory.filter(|_| !self.demand.is_none()) else { return Ok(()) };
        let little =
            |node: &DeviceNode| Some((name(node), node.memory.filter(|bytes| *bytes < self.wanted.least_memory())?));
        match self.presence().nodes.iter().find_map(little) {
            None => Ok(()),
            Some((name, bytes)) => {
                Failure::new(format!("{name} has {}, gpu.memory asks for {}", text::size(bytes), text::size(wanted.0)))
                    .advice("choose a node with larger GPUs")
                    .found()
            }
        }
    }

    pub(super) fn wide_enough(&mut self) -> CheckResult {
        if self.demand.is_none() {
            return Ok(());
        }
        let link = |node: &DeviceNode| {
            let lanes = pci::lanes(&self.root, node.bus.as_deref()?)?;
            Some(Link { name: name(node), model: node.model.clone(), lanes })
        };
        let links: Vec<Link> = self.presence().nodes.iter().filter_map(link).collect();
        self.wide(&links)
    }

    pub(super) fn wide(&self, links: &[Link]) -> CheckResult {
        match link::narrow(links) {
            None => Ok(()),
            Some((failure, true)) => self.found_mild(failure),
            Some((failure, false)) => failure.found(),
        }
    }
}

fn gpu_instance_is_usable(instance: &gpu::ComputeInstance) -> bool {
    instance.is_usable()
}

/// Formats a device: `/dev/nvidia3 (0000:65:00.0)`.
fn name(node: &DeviceNode) -> String {
    match &node.bus {
        Some(bus) => format!("{} ({bus})", node.path),
        None => node.path.clone(),
    }
}
