//! CUDA_VISIBLE_DEVICES and similar variables: which of the GPUs a program sees. The lists are read as the drivers read them.

use super::{GpuPresence, Vendor};
use crate::device_list::DeviceList;
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
        match number(entry) {
            Some(index) => VisibleEntry::Index(index),
            _ if entry.starts_with("MIG-GPU-") => VisibleEntry::OldMig(entry),
            _ if entry.starts_with("MIG-") => VisibleEntry::Mig(entry),
            _ if entry.starts_with("GPU-") => VisibleEntry::Gpu(entry),
            _ => VisibleEntry::Nonsense,
        }
    }
}

/// Parses the number at the begin of an entry as strtol(3) does, which the driver uses: `1gpu` is 1.
fn number(entry: &str) -> Option<i64> {
    let sign = usize::from(entry.starts_with(['+', '-']));
    let digits = entry.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    entry.get(..sign + digits)?.parse().ok()
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
    /// What of the list is not as its author meant it.
    pub fault: Option<ListFault>,
}

/// A part of a list that the driver reads in another way than a person does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// The entry ends the list, because it names no existing device.
    Cut(String),
    /// The entry names a device for the second time: CUDA shows none at all.
    Repeated(String),
    /// The driver reads only the number at the begin of the entry: `0;1` is 0.
    Misread(String, i64),
}

/// Variables by vendor, in the order in which each limits what the one before it leaves. Of alternatives the first that is set counts: HIP
/// reads CUDA's variable only without its own.
const VARIABLES: [(Vendor, &[&[&str]]); 2] = [
    (Vendor::Nvidia, &[&["CUDA_VISIBLE_DEVICES"]]),
    (Vendor::Amd, &[&["ROCR_VISIBLE_DEVICES"], &["HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"]]),
];

impl VisibleGpus {
    /// Evaluates the lists for these GPUs; `None` if no variable limits them. Of several lists the first with a fault is returned, else the
    /// last.
    pub fn of(environment: &Environment, presence: &GpuPresence) -> Option<Self> {
        let here = |vendor: Vendor| presence.nodes.iter().any(|node| node.vendor == vendor);
        let (vendor, nested) = VARIABLES.iter().find(|(vendor, _)| here(*vendor))?;
        let open = presence.nodes.iter().filter(|node| node.vendor == *vendor && node.refused.is_none());
        let mut names: Vec<Option<&str>> = open.map(|node| node.uuid.as_deref()).collect();
        let mut all = Vec::new();
        for alternatives in *nested {
            let Some((variable, text)) = alternatives.iter().find_map(|name| Some((*name, value(environment, name)?)))
            else {
                continue;
            };
            let (shown, fault) = match vendor {
                Vendor::Nvidia => select(&text, &names),
                _ => select_each(&text, names.len()),
            };
            names = vec![None; shown];
            all.push(VisibleGpus { variable, text, shown, fault });
        }
        let shown = all.last()?.shown;
        let faulty = all.iter().position(|list| list.fault.is_some() && !list.is_empty());
        let told = all.into_iter().enumerate().rfind(|(at, _)| faulty.is_none_or(|faulty| *at == faulty))?;
        Some(VisibleGpus { shown, ..told.1 })
    }

    /// Returns whether the list hides all GPUs on purpose.
    pub fn is_empty(&self) -> bool {
        DeviceList::hides_all(&self.text)
    }
}

fn value(environment: &Environment, name: &str) -> Option<String> {
    let (_, value) = environment.iter().find(|(known, _)| *known == name)?;
    Some(value.to_string_lossy().into_owned())
}

/// Returns the number of GPUs that CUDA shows, and what of the list it reads in a way of its own. The begin of the list decides whether it
/// is one of UUIDs, of instances or of indices; the first entry of another kind, or of no device, ends it; a device that is named twice
/// empties it. PyTorch reads the list in the same way (torch/cuda/__init__.py, `_parse_visible_devices`). `names` holds the known UUIDs.
fn select(text: &str, names: &[Option<&str>]) -> (usize, Option<ListFault>) {
    let kind = std::mem::discriminant(&VisibleEntry::of(text.split(',').next().unwrap_or_default()));
    let (mut known, mut fault) = (BTreeSet::new(), None);
    for entry in text.split(',').map(str::trim) {
        let read = VisibleEntry::of(entry);
        let device =
            Some(read).filter(|read| std::mem::discriminant(read) == kind).and_then(|read| device(read, names));
        let Some(device) = device else { return (count(&known), Some(ListFault::Cut(entry.to_owned()))) };
        if !known.insert(device) {
            return (0, Some(ListFault::Repeated(entry.to_owned())));
        }
        fault = fault.or_else(|| misread(entry, read));
    }
    (count(&known), fault)
}

/// Returns a name of the device that an entry stands for; `None` if the device is not here.
fn device(entry: VisibleEntry<'_>, names: &[Option<&str>]) -> Option<String> {
    let all_known = names.iter().all(Option::is_some);
    match entry {
        VisibleEntry::Index(index) => {
            usize::try_from(index).ok().filter(|at| *at < names.len()).map(|at| at.to_string())
        }
        VisibleEntry::Gpu(start) if all_known => {
            let mut matching = names.iter().flatten().filter(|name| name.starts_with(start));
            // A prefix of two UUIDs names neither.
            matching.next().filter(|_| matching.next().is_none()).map(|name| (*name).to_owned())
        }
        VisibleEntry::Gpu(name) | VisibleEntry::Mig(name) | VisibleEntry::OldMig(name) => Some(name.to_owned()),
        VisibleEntry::Nonsense => None,
    }
}

/// Counts what a program sees: only one of several instances.
fn count(known: &BTreeSet<String>) -> usize {
    if known.iter().any(|name| name.starts_with("MIG-")) { 1 } else { known.len() }
}

fn misread(entry: &str, read: VisibleEntry<'_>) -> Option<ListFault> {
    match read {
        VisibleEntry::Index(index) if entry.parse() != Ok(index) => Some(ListFault::Misread(entry.to_owned(), index)),
        _ => None,
    }
}

/// Returns the number of GPUs that ROCm shows: entries are judged one by one, and the first that names no device ends the list. AMD's
/// UUIDs are not known here, so that each counts as a device.
fn select_each(text: &str, here: usize) -> (usize, Option<ListFault>) {
    let is_here = |entry: &&str| match VisibleEntry::of(entry) {
        VisibleEntry::Index(index) => usize::try_from(index).is_ok_and(|index| index < here),
        VisibleEntry::Gpu(_) => true,
        _ => false,
    };
    let shown: BTreeSet<&str> = text.split(',').take_while(is_here).map(str::trim).collect();
    let cut = text.split(',').find(|entry| !is_here(entry)).map(|entry| ListFault::Cut(entry.trim().to_owned()));
    (shown.len().min(here), cut)
}

/// Returns how many of `count` GPUs CUDA shows to a program.
pub fn visible_to_cuda(environment: &Environment, count: usize) -> usize {
    value(environment, "CUDA_VISIBLE_DEVICES").map_or(count, |text| select(&text, &vec![None; count]).0)
}

/// Returns whether CUDA_VISIBLE_DEVICES hides all GPUs on purpose.
pub fn hidden_from_cuda(environment: &Environment) -> bool {
    value(environment, "CUDA_VISIBLE_DEVICES").is_some_and(|text| DeviceList::hides_all(&text))
}
