//! The number of GPUs that was promised, by a scheduler's variable or by an explicit list for NVIDIA's runtime. `all`, which every CUDA
//! image sets, promises nothing.

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

/// A promised number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promised {
    /// Exactly this many.
    Exactly(u32),
    /// At least one: a fraction of a GPU, or MIG instances.
    Some,
    /// No number: the image uses GPUs if there are any.
    Wish,
}

/// Variables of Run:ai, SageMaker, SkyPilot and Slurm.
const SCHEDULERS: [&str; 4] = ["RUNAI_NUM_OF_GPUS", "SM_NUM_GPUS", "SKYPILOT_NUM_GPUS_PER_NODE", "SLURM_GPUS_ON_NODE"];
/// The variable that NVIDIA's container runtime reads.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

impl Promise {
    /// Returns the first valid promise; a scheduler's has priority over a list for the runtime.
    pub fn of(environment: &Environment) -> Option<Self> {
        let scheduler = |variable: &'static str| {
            let promised = parse_number(environment.text(variable)?)?;
            Some(Promise { variable, promised, scheduler: true })
        };
        let list = || {
            let promised = parse_list(environment.text(VISIBLE)?)?;
            Some(Promise { variable: VISIBLE, promised, scheduler: false })
        };
        SCHEDULERS.into_iter().find_map(scheduler).or_else(list)
    }
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

/// Parses a list of indices or UUIDs; `nvidia.com/gpu=0` is CDI's form of an index.
fn parse_list(text: &str) -> Option<Promised> {
    let entry = |word: &str| word.trim().rsplit('=').next().unwrap_or_default().to_owned();
    let entries: Vec<String> = text.split(',').map(entry).collect();
    match entries.first().map(String::as_str)? {
        "" | "none" | "void" => None,
        _ if entries.iter().any(|entry| entry == "all") => Some(Promised::Wish),
        _ if entries.iter().any(|entry| entry.starts_with("MIG-") || entry.contains(':')) => Some(Promised::Some),
        _ => Some(Promised::Exactly(u32::try_from(entries.len()).unwrap_or(u32::MAX))),
    }
}
