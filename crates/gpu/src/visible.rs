//! CUDA_VISIBLE_DEVICES and similar variables: which of the GPUs a program sees.

use super::{GpuPresence, Vendor};
use std::collections::BTreeSet;
use sys::environment::Environment;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisibleEntry<'a> {
    /// The n-th GPU.
    Index(i64),
    /// A GPU by a prefix of its UUID: `GPU-8932f937`.
    Gpu(&'a str),
    /// A MIG instance: `MIG-…`.
    Mig(&'a str),
    /// A MIG instance in the form of drivers before R470: `MIG-GPU-…/1/0`.
    OldMig(&'a str),
    /// Text that names no device.
    Nonsense,
}

impl<'a> VisibleEntry<'a> {
    /// Parses an entry.
    pub fn of(entry: &'a str) -> Self {
        let entry = entry.trim();
        match entry.parse() {
            Ok(index) => VisibleEntry::Index(index),
            _ if entry.starts_with("MIG-GPU-") => VisibleEntry::OldMig(entry),
            _ if entry.starts_with("MIG-") => VisibleEntry::Mig(entry),
            _ if entry.starts_with("GPU-") => VisibleEntry::Gpu(entry),
            _ => VisibleEntry::Nonsense,
        }
    }
}

/// The effect of a list on the GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleGpus {
    /// The variable with the list.
    pub variable: &'static str,
    /// The value of the variable.
    pub text: String,
    /// Number of visible GPUs.
    pub shown: usize,
    /// The entry that ends the list, because it names no existing device.
    pub cut: Option<String>,
}

/// Variables by vendor; the first one that is set counts.
const VARIABLES: [(Vendor, &[&str]); 2] = [
    (Vendor::Nvidia, &["CUDA_VISIBLE_DEVICES"]),
    (Vendor::Amd, &["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"]),
];

impl VisibleGpus {
    /// Evaluates the list for these GPUs; `None` if no variable limits them.
    pub fn of(environment: &Environment, presence: &GpuPresence) -> Option<Self> {
        let here = |vendor: Vendor| presence.nodes.iter().any(|node| node.vendor == vendor);
        let (vendor, variables) = VARIABLES.iter().find(|(vendor, _)| here(*vendor))?;
        let set = |name: &&'static str| {
            let (_, value) = environment.iter().find(|(known, _)| known == name)?;
            Some((*name, value.to_string_lossy().into_owned()))
        };
        let (variable, text) = variables.iter().find_map(set)?;
        let open = presence.nodes.iter().filter(|node| node.vendor == *vendor && node.refused.is_none());
        let names: Vec<Option<&str>> = open.map(|node| node.uuid.as_deref()).collect();
        let (shown, cut) = select(&text, &names);
        Some(VisibleGpus { variable, text, shown, cut })
    }

    /// Returns whether the list hides all GPUs on purpose.
    pub fn is_empty(&self) -> bool {
        matches!(self.text.trim(), "" | "-1" | "NoDevFiles" | "none" | "void")
    }
}

/// Returns the number of visible GPUs, and the entry that ends the list. The first invalid entry ends it, and an empty list hides all
/// (CUDA programming guide, environment variables). `names` holds the known UUIDs.
fn select(text: &str, names: &[Option<&str>]) -> (usize, Option<String>) {
    let all_known = names.iter().all(Option::is_some);
    let is_here = |start: &str| !all_known || names.iter().flatten().any(|name| name.starts_with(start));
    let is_valid = |entry: &&str| match VisibleEntry::of(entry) {
        VisibleEntry::Index(index) => usize::try_from(index).is_ok_and(|index| index < names.len()),
        VisibleEntry::Gpu(start) => is_here(start),
        VisibleEntry::Mig(_) | VisibleEntry::OldMig(_) => true,
        VisibleEntry::Nonsense => false,
    };
    // A repeated index is still one GPU.
    let name = |entry: &str| match VisibleEntry::of(entry) {
        VisibleEntry::Index(index) => index.to_string(),
        _ => entry.trim().to_owned(),
    };
    let shown = text.split(',').take_while(is_valid).map(name).collect::<BTreeSet<String>>();
    // A program sees only one of several instances.
    let instances = shown.iter().filter(|name| name.starts_with("MIG-")).count();
    let cut = text.split(',').find(|entry| !is_valid(entry)).map(|entry| entry.trim().to_owned());
    (shown.len() - instances.saturating_sub(1), cut)
}

/// Returns how many of `count` GPUs CUDA shows to a program.
pub fn visible_to_cuda(environment: &Environment, count: usize) -> usize {
    let value = environment.iter().find(|(name, _)| *name == "CUDA_VISIBLE_DEVICES").map(|(_, value)| value);
    value.map_or(count, |value| select(&value.to_string_lossy(), &vec![None; count]).0)
}
