//! What is asked of the GPUs: how many there have to be and who says so, and what each of them has to be.

use crate::config::{CudaVersion, ForwardCompat, FreeMemory, GpuCount, MigPolicy, OriginValue, Settings, Size};
use gpu::VersionText;
use gpu::{Promise, Promised};

/// How many GPUs there have to be, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// At least so many.
    pub least: u32,
    /// At most so many; none: any number more.
    pub most: Option<u32>,
    /// The words for who says so.
    pub by: String,
    /// More than `most` is only told: a promise, not a demand.
    pub promise: bool,
    /// A scheduler promises: a node that breaks its word may be the exception.
    pub scheduler: bool,
    /// GPUs are wished for, and their absence is worth a warning.
    pub user_request: bool,
}

impl Demand {
    /// By the configuration, else by what the surroundings promise.
    pub fn of(count: &OriginValue<GpuCount>, promise: Option<&Promise>) -> Self {
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
        let (least, most, user_request) = match promise.promised {
            Promised::Exactly(number) => (number, Some(number), false),
            Promised::Some => (1, None, false),
            Promised::Wish => (0, None, true),
        };
        Demand { least, most, by, promise: true, scheduler: promise.scheduler, user_request }
    }

    /// How it is told: `4 promised by RUNAI_NUM_OF_GPUS`, `at least 2 asked for by …`.
    pub fn words(&self) -> String {
        match self.most {
            Some(_) => format!("{} {}", self.least, self.by),
            None => format!("at least {} {}", self.least, self.by),
        }
    }

    /// Nobody must have a GPU here.
    pub fn is_none(&self) -> bool {
        self.most == Some(0)
    }
}

/// What each GPU has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuRequirements {
    /// Least memory.
    pub memory: Option<Size>,
    /// Least memory that nobody has taken.
    pub free_memory: Option<FreeMemory>,
    /// Least compute capability.
    pub capability: Option<VersionText>,
    /// Oldest driver.
    pub driver: Option<VersionText>,
    /// Oldest CUDA that the driver has to support.
    pub cuda: Option<CudaVersion>,
    /// All of one model.
    pub same_model: bool,
    /// Whole, or cut into instances.
    pub mig: MigPolicy,
    /// Warnings are failures.
    pub strict: bool,
    /// CUDA's forward compatibility.
    pub compat: ForwardCompat,
}

/// A size that is asked for is meant as it is written on the card: so many hundredths may be missing.
const KEPT: u64 = 10;

impl GpuRequirements {
    /// So many bytes a GPU has to have at least.
    pub fn least_memory(&self) -> u64 {
        self.memory.map_or(0, |size| size.0 - size.0 / 100 * KEPT)
    }

    /// By the configuration.
    pub fn of(settings: &Settings) -> Self {
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
