//! The requirements for GPUs: how many, who asks for them, and what each GPU has to be.

use crate::config::{CudaVersion, ForwardCompat, FreeMemory, GpuCount, MigPolicy, OriginValue, Settings, Size};
use gpu::VersionText;
use gpu::{Promise, Promised};

/// The required number of GPUs, and its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Least number of GPUs.
    pub least: u32,
    /// Largest number of GPUs; `None` for no limit.
    pub most: Option<u32>,
    /// Promised MIG instances, which count only where instances can be told apart.
    pub instances: Option<u32>,
    /// Words that name the source.
    pub by: String,
    /// A surplus is only logged: the number is a promise, not a demand.
    pub promise: bool,
    /// The source is a scheduler; a node that breaks the promise may be the exception.
    pub scheduler: bool,
    /// The environment asks for GPUs without a number, so their absence is worth a warning.
    pub user_request: bool,
}

impl Demand {
    /// Takes the number from the configuration, else from the promise of the environment.
    pub(super) fn of(count: &OriginValue<GpuCount>, promise: Option<&Promise>) -> Self {
        let asked =
            |least, most| Demand { least, most, by: format!("asked for by {}", count.origin), ..Demand::default() };
        match (count.value, promise) {
            (GpuCount::None, _) => asked(0, Some(0)),
            (GpuCount::Exactly(number), _) => asked(number, Some(number)),
            (GpuCount::AtLeast(number), _) => asked(number, None),
            (GpuCount::Auto, Some(promise)) => Self::promised(promise),
            (GpuCount::Any, _) | (GpuCount::Auto, None) => Demand::default(),
        }
    }

    fn promised(promise: &Promise) -> Self {
        let by = format!("promised by {}", promise.variable);
        let (least, most) = match promise.promised {
            Promised::Exactly(number) => (number, Some(number)),
            Promised::Between(least, most) => (least, Some(most)),
            Promised::Some | Promised::Instances(_) => (1, None),
            Promised::NoNumber => (0, None),
        };
        let instances = Some(promise.promised).filter(|promised| matches!(promised, Promised::Instances(_)));
        Demand {
            least,
            most,
            instances: instances.and_then(Promised::most),
            by,
            promise: true,
            scheduler: promise.scheduler,
            user_request: promise.promised == Promised::NoNumber,
        }
    }

    /// Formats the demand: `4 promised by RUNAI_NUM_OF_GPUS`, `at least 2 asked for by …`.
    pub(super) fn words(&self) -> String {
        match (self.instances, self.most) {
            (Some(instances), _) => format!("{instances} {}", self.by),
            (None, Some(most)) if most > self.least => format!("{} to {most} {}", self.least, self.by),
            (None, Some(_)) => format!("{} {}", self.least, self.by),
            (None, None) => format!("at least {} {}", self.least, self.by),
        }
    }

    /// Returns whether no GPU may be here.
    pub(super) fn is_none(&self) -> bool {
        self.most == Some(0)
    }
}

/// The requirements for each GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GpuRequirements {
    /// Least memory.
    pub memory: Option<Size>,
    /// Least memory that is not in use.
    pub free_memory: Option<FreeMemory>,
    /// Least compute capability.
    pub capability: Option<VersionText>,
    /// Oldest driver.
    pub driver: Option<VersionText>,
    /// Oldest CUDA that the driver has to support.
    pub cuda: Option<CudaVersion>,
    /// All of one model.
    pub same_model: bool,
    /// Whether GPUs are whole or cut into MIG instances.
    pub mig: MigPolicy,
    /// Whether warnings are failures.
    pub strict: bool,
    /// CUDA's forward compatibility.
    pub compat: ForwardCompat,
}

/// Hundredths of the required memory that may be missing: users write the nominal size of the card.
const KEPT: u64 = 10;

impl GpuRequirements {
    /// Returns the least number of bytes that a GPU has to have.
    pub(super) fn least_memory(&self) -> u64 {
        self.memory.map_or(0, |size| size.0 - size.0 / 100 * KEPT)
    }

    /// Reads the requirements from the configuration.
    pub(super) fn of(settings: &Settings) -> Self {
        GpuRequirements {
            memory: settings.gpu_memory.value,
            free_memory: settings.gpu_free_memory.value,
            capability: settings.gpu_capability.value.clone(),
            driver: settings.gpu_driver.value.clone(),
            cuda: settings.gpu_cuda.value.clone(),
            same_model: settings.gpu_same_model.value,
            mig: settings.gpu_mig.value,
            strict: settings.gpu_strict.value,
            compat: settings.gpu_compat.value,
        }
    }
}
