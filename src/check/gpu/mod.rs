//! GPUs: their number, permissions, state, and whether the image works with the driver and its libraries. `table` has one row for each
//! check; the other files hold the steps by theme. These checks read files only.

mod access;
mod count;
mod demand;
mod denial;
mod devices;
pub(super) mod driver;
mod forward;
pub(super) mod health;
pub(super) mod inventory;
mod libraries;
mod link;
mod surroundings;
mod table;
mod versions;

pub use forward::forward_compat;
pub(super) use table::STEPS;

use super::rules::Rules;
use super::step::{CheckResult, Failure, Target};
use super::task::{CheckTask, Hang};
use super::{Check, CheckContext, FindingFacts, HostFacts, Transient};
use crate::config::Severity;
use crate::engine::Platform;
use demand::{Demand, GpuRequirements};
use denial::Asker;
use gpu::VersionText;
use gpu::{self, CUDA, DeviceNode, GpuPresence, ImageCuda, LoadableLibrary, Loader, NVML, Promise, VisibleGpus};
use nix::errno::Errno;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::rc::Rc;
use sys::Root;
use sys::environment::Environment;

/// The GPUs and their requirements.
pub(super) struct GpuTarget {
    root: Root,
    host_facts: Rc<HostFacts>,
    demand: Demand,
    wanted: GpuRequirements,
    environment: Environment,
    presence: OnceCell<GpuPresence>,
    loader: OnceCell<Loader>,
    image: OnceCell<Option<ImageCuda>>,
    /// This process, as the kernel judges it where a node is closed.
    asker: OnceCell<Asker>,
    /// The soft limit of open files.
    files: OnceCell<Option<u64>>,
    /// Whether the driver is asked too, and one line reports both.
    is_told_later: bool,
}

/// Variables that batch systems set in each job: Slurm, LSF, PBS, Flux, HTCondor.
const JOBS: [&str; 5] = ["SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "FLUX_JOB_ID", "_CONDOR_JOB_AD"];

/// The report for checks that do not answer.
const HANG: Hang = Hang {
    what: "/proc/driver/nvidia",
    because: "a GPU, or its firmware, hangs (Xid 119 in the host's kernel log)",
    advice: "drain the node and restart it; try another one",
};

/// Plans one task. This process only lists the names in /dev. A process that can be abandoned reads what a hanging driver would have to
/// answer.
pub(super) fn plan<'a>(context: &CheckContext, host_facts: &Rc<HostFacts>, rules: &Rules<'a>) -> Vec<CheckTask<'a>> {
    let gpus = GpuTarget::of(context, host_facts);
    let is_asked = health::checks().iter().any(|check| rules.wants(check)) && driver::is_asked(context, &gpus);
    let has_driver = gpu::has_nvidia(host_facts.devices());
    let task = CheckTask::of_machine(STEPS, rules, GpuTarget { is_told_later: is_asked, ..gpus });
    let deadline = context.settings.gpu_timeout.value;
    let with_driver =
        |task: CheckTask<'a>| if has_driver { task.hanging(health::hung(rules), HANG, deadline) } else { task };
    task.map(with_driver).into_iter().collect()
}

impl GpuTarget {
    fn of(context: &CheckContext, host_facts: &Rc<HostFacts>) -> Self {
        GpuTarget {
            root: context.root.clone(),
            host_facts: Rc::clone(host_facts),
            demand: Demand::of(&context.settings.gpu_count, Promise::of(&context.environment).as_ref()),
            wanted: GpuRequirements::of(&context.settings),
            environment: context.environment.clone(),
            presence: OnceCell::new(),
            loader: OnceCell::new(),
            image: OnceCell::new(),
            asker: OnceCell::new(),
            files: OnceCell::new(),
            is_told_later: false,
        }
    }

    fn platform(&self) -> Platform {
        self.host_facts.platform()
    }

    fn presence(&self) -> &GpuPresence {
        self.presence.get_or_init(|| gpu::look(&self.root, self.host_facts.devices()))
    }

    fn loader(&self) -> &Loader {
        self.loader.get_or_init(|| Loader::of(&self.root, &self.environment))
    }

    fn image(&self) -> Option<&ImageCuda> {
        self.image.get_or_init(|| gpu::image_cuda(&self.root, &self.environment)).as_ref()
    }

    fn driver_version(&self) -> Option<&VersionText> {
        self.presence().driver.as_ref()?.version.as_ref()
    }

    fn selection(&self) -> Option<VisibleGpus> {
        VisibleGpus::of(&self.environment, self.presence())
    }

    /// Returns whether a batch system started this process. Its control group opens the devices of this job alone.
    fn is_job(&self) -> bool {
        JOBS.iter().any(|name| self.environment.get(name).is_some())
    }

    /// Returns how many of the usable devices a program sees.
    fn shown(&self) -> usize {
        self.selection().map_or(self.presence().devices(), |selection| selection.shown)
    }

    /// Returns a failure if GPUs were asked for, else a note.
    fn found(&self, failure: Failure) -> CheckResult {
        let level = match self.wanted.strict {
            true => Some(Severity::Fail),
            false => (self.demand.least == 0).then_some(Severity::Warn),
        };
        failure.level(level).found()
    }

    /// Returns a failure of lower severity, for something that the workload may do without.
    fn found_mild(&self, failure: Failure) -> CheckResult {
        failure.level(Some(if self.wanted.strict { Severity::Fail } else { Severity::Warn })).found()
    }

    /// Formats the devices: `2 × NVIDIA H200`, or `2 GPUs` if the models differ or have no names.
    fn counted(&self) -> String {
        let number = self.presence().nodes.iter().filter(|node| node.refused.is_none()).count();
        let mut models = self.presence().nodes.iter().map(|node| node.model.as_deref());
        let first = models.next().flatten();
        match first.filter(|first| models.all(|model| model == Some(first))) {
            Some(model) => format!("{number} × {}", text::line(model)),
            None => text::count(number as u64, "GPU"),
        }
    }

    /// Formats the known facts: `2 × NVIDIA H200, 140 GiB each, driver 580.159, CUDA 13.0`.
    fn described(&self, memory: Option<u64>, cuda: Option<String>) -> String {
        if self.presence().nodes.is_empty() && self.presence().uncounted.is_none() {
            return "none, none asked for".to_owned();
        }
        if self.is_of_others() {
            return format!("none for this job, {} on the node", self.number(self.presence().nodes.len()));
        }
        let counted = || self.counted();
        let mut parts = vec![self.presence().uncounted.map_or_else(counted, |way| format!("through {way}"))];
        parts.extend(memory.map(|bytes| format!("{} each", text::size(bytes))));
        parts.extend(self.driver_version().map(|version| format!("driver {version}")));
        parts.extend(cuda.map(|version| format!("CUDA {version}")));
        if self.presence().is_sliced() {
            parts.push(self.number(self.presence().devices()));
        }
        if self.presence().uncounted.is_none() && self.shown() < self.presence().devices() {
            parts.push(format!("{} shown to CUDA", self.shown()));
        }
        parts.join(", ")
    }

    /// Returns the memory of each GPU, if the kernel reports it and it is the same for all.
    fn memory(&self) -> Option<u64> {
        let mut all = self.presence().nodes.iter().map(|node| node.memory);
        let first = all.next().flatten()?;
        all.all(|memory| memory == Some(first)).then_some(first)
    }
}

impl Target for GpuTarget {
    const MAIN: &'static str = "gpu.count";

    fn name(&self) -> Option<String> {
        None
    }

    fn summary(&mut self) -> Option<String> {
        (!self.is_told_later).then(|| self.described(self.memory(), None))
    }

    fn facts(&self) -> FindingFacts {
        let presence = self.presence();
        let mut facts: Vec<(&str, Value)> = vec![
            ("gpus", presence.nodes.iter().map(node_facts).collect()),
            ("driver", self.driver_version().map(VersionText::to_string).into()),
            ("mig", presence.is_sliced().into()),
            ("shown_to_cuda", self.shown().into()),
        ];
        if self.has_nvidia() {
            let library = |name| self.loader().find(name).map(|library| library_facts(&library));
            facts.push(("libraries", json!({"cuda": library(CUDA), "nvml": library(NVML)})));
            let image = self.image().map(|image| json!({"version": image.version.to_string(), "from": image.from}));
            facts.push(("image_cuda", image.into()));
        }
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn node_facts(node: &DeviceNode) -> Value {
    let usable = node.instances.iter().filter(|instance| instance.is_usable()).count();
    json!({
        "path": node.path, "model": node.model, "uuid": node.uuid, "bus": node.bus, "memory": node.memory,
        "instances": usable, "refused": node.errno().map(Errno::desc),
    })
}

fn library_facts(library: &LoadableLibrary) -> Value {
    let kind = format!("{:?}", library.kind).to_lowercase();
    json!({"path": library.path, "version": library.version.as_ref().map(VersionText::to_string), "kind": kind})
}

#[cfg(test)]
mod tests;
