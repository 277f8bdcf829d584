//! The number of GPUs that was promised, by a scheduler's variable or by an explicit list for NVIDIA's runtime. `all`, which every CUDA
//! image sets, promises nothing. A promise is one of devices: what is named twice counts once, and a word that names no device promises
//! none.

use crate::device_list::DeviceList;
use crate::promised::Promised;
use sys::environment::Environment;

/// A promise of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The variable with the promise.
    pub variable: &'static str,
    /// The promised number.
    pub promised: Promised,
    /// Whether a scheduler made the promise: fewer GPUs are the node's fault.
    pub scheduler: bool,
}

/// Variables of Run:ai, SageMaker, SkyPilot and Slurm: the GPUs of the node, or of the pod.
const SCHEDULERS: [&str; 4] = ["RUNAI_NUM_OF_GPUS", "SM_NUM_GPUS", "SKYPILOT_NUM_GPUS_PER_NODE", SLURM];
/// The variable of Slurm with the GPUs of a step on this node, whose tasks may have a part each (srun(1)).
const SLURM: &str = "SLURM_GPUS_ON_NODE";
/// Lists that Slurm sets for one task (`--gpus-per-task`, `--gpu-bind`), and for all tasks of a step.
const SHARES: [&str; 3] = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_STEP_GPUS"];
/// The variable that NVIDIA's container runtime reads.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

impl Promise {
    /// Returns the first valid promise; a scheduler's has priority over a list for the runtime.
    pub fn of(environment: &Environment) -> Option<Self> {
        let list = environment.text(VISIBLE).map(DeviceList::of_runtime).unwrap_or_default();
        for variable in SCHEDULERS {
            let Some(promised) = environment.text(variable).and_then(parse_number) else { continue };
            let scheduled = Promise { variable, promised, scheduler: true };
            return if variable == SLURM {
                scheduled.of_task(environment)
            } else {
                Some(scheduled.without_slices(&list))
            };
        }
        list.promised().map(|promised| Promise { variable: VISIBLE, promised, scheduler: false })
    }

    /// Narrows Slurm's number to the share of this task; `None` if the task has none.
    fn of_task(self, environment: &Environment) -> Option<Self> {
        let Promised::Exactly(of_node) = self.promised else { return Some(self) };
        // Empty lists count too: they hide all.
        let value = |name: &str| environment.iter().find(|(known, _)| *known == name)?.1.to_str();
        let shares = SHARES.into_iter().filter_map(|variable| Some((variable, value(variable)?)));
        for (variable, text) in shares {
            match DeviceList::of_task(text).promised() {
                Some(promised) if promised.most().is_some_and(|most| most < of_node) || promised.is_of_instances() => {
                    return Some(Promise { variable, promised, ..self });
                }
                None if DeviceList::hides_all(text) => return None,
                _ => {}
            }
        }
        Some(self)
    }

    /// Takes the runtime's list where it names fewer GPUs more often: a scheduler counts the slices of a shared GPU (time slicing, MPS).
    fn without_slices(self, list: &DeviceList) -> Self {
        match (self.promised, list.promised()) {
            (Promised::Exactly(number), Some(promised))
                if list.repeats() && promised.most().is_some_and(|most| most < number) =>
            {
                Promise { promised, ..self }
            }
            _ => self,
        }
    }
}

/// Returns whether a list for the runtime tells of slices of a shared GPU: a device plugin names it once for each, or numbers them.
pub fn names_slices(text: &str) -> bool {
    DeviceList::of_runtime(text).repeats() || text.contains("::")
}

/// Parses a scheduler's number; Run:ai and SkyPilot assign fractions. Zero promises nothing.
fn parse_number(text: &str) -> Option<Promised> {
    let number: f64 = text.trim().parse().ok()?;
    match number {
        n if !n.is_finite() || n <= 0.0 => None,
        n if n.fract() != 0.0 => Some(Promised::Some),
        n => Some(Promised::Exactly(n as u32)),
    }
}
