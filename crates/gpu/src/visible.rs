//! CUDA_VISIBLE_DEVICES and its like: which of the GPUs that are here a program is shown.

use super::{GpuPresence, Vendor};
use std::collections::BTreeSet;
use sys::environment::Environment;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisibleEntry<'a> {
    /// The n-th that is here.
    Index(i64),
    /// By the beginning of its name: `GPU-8932f937`.
    Gpu(&'a str),
    /// An instance: `MIG-…`.
    Mig(&'a str),
    /// An instance as drivers before R470 named it: `MIG-GPU-…/1/0`.
    OldMig(&'a str),
    /// Nothing that names a device.
    Nonsense,
}

impl<'a> VisibleEntry<'a> {
    /// Reads an entry.
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

/// What a list makes of the GPUs that are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleGpus {
    /// The variable that holds it.
    pub variable: &'static str,
    /// What it says.
    pub text: String,
    /// So many are shown.
    pub shown: usize,
    /// The entry at which the list ends, because it names no device that is here.
    pub cut: Option<String>,
}

/// Variables that choose, by vendor; the first that is set.
const VARIABLES: [(Vendor, &[&str]); 2] = [
    (Vendor::Nvidia, &["CUDA_VISIBLE_DEVICES"]),
    (Vendor::Amd, &["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"]),
];

impl VisibleGpus {
    /// For the GPUs of these vendors; none: nothing chooses, all are shown.
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

    /// Nothing is shown, as a person writes who wants that.
    pub fn is_empty(&self) -> bool {
        matches!(self.text.trim(), "" | "-1" | "NoDevFiles" | "none" | "void")
    }
}

/// How many are shown, and the entry at which the list ends. It stops at the first entry that is not valid, and an empty list hides
/// all (CUDA programming guide, environment variables). `names`: of the GPUs that are here, where they are known.
fn select(text: &str, names: &[Option<&str>]) -> (usize, Option<String>) {
    let all_known = names.iter().all(Option::is_some);
    let is_here = |start: &str| !all_known || names.iter().flatten().any(|name| name.starts_with(start));
    let is_valid = |entry: &&str| match VisibleEntry::of(entry) {
        VisibleEntry::Index(index) => usize::try_from(index).is_ok_and(|index| index < names.len()),
        VisibleEntry::Gpu(start) => is_here(start),
        VisibleEntry::Mig(_) | VisibleEntry::OldMig(_) => true,
        VisibleEntry::Nonsense => false,
    };
    // Said twice, an index is still one GPU.
    let name = |entry: &str| match VisibleEntry::of(entry) {
        VisibleEntry::Index(index) => index.to_string(),
        _ => entry.trim().to_owned(),
    };
    let shown = text.split(',').take_while(is_valid).map(name).collect::<BTreeSet<String>>();
    // Of instances a program is shown one.
    let instances = shown.iter().filter(|name| name.starts_with("MIG-")).count();
    let cut = text.split(',').find(|entry| !is_valid(entry)).map(|entry| entry.trim().to_owned());
    (shown.len() - instances.saturating_sub(1), cut)
}

/// How many of `count` GPUs CUDA shows to a program.
pub fn visible_to_cuda(environment: &Environment, count: usize) -> usize {
    let value = environment.iter().find(|(name, _)| *name == "CUDA_VISIBLE_DEVICES").map(|(_, value)| value);
    value.map_or(count, |value| select(&value.to_string_lossy(), &vec![None; count]).0)
}
