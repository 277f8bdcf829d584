//! Lists of devices that a runtime or a scheduler writes: indices, UUIDs, MIG instances, names of CDI. The question is how many devices
//! such a list names, each counted once.

use crate::promised::Promised;
use std::collections::BTreeSet;

/// The devices that a list names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceList {
    indices: BTreeSet<u32>,
    /// UUIDs in small letters; NVIDIA's runtime accepts prefixes.
    uuids: BTreeSet<String>,
    instances: BTreeSet<String>,
    /// Whether an entry stands for all devices.
    all: bool,
    /// Whether an entry names no device: a path, or a mark of a device plugin. What such a list means, the plugin alone knows.
    unknown: bool,
    repeats: bool,
}

/// Words that hide all devices: of Slurm, of NVIDIA's runtime, of CUDA's users.
const HIDING: [&str; 5] = ["", "-1", "NoDevFiles", "none", "void"];
/// The most devices that a range may name.
const RANGE: u32 = 4096;

impl DeviceList {
    /// Parses NVIDIA_VISIBLE_DEVICES.
    pub(crate) fn of_runtime(text: &str) -> Self {
        let mut list = DeviceList::default();
        if !Self::hides_all(text) {
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).for_each(|entry| list.add_named(entry));
        }
        list
    }

    /// Parses a list that a scheduler writes for a task; its indices may be ranges.
    pub(crate) fn of_task(text: &str) -> Self {
        let mut list = DeviceList::default();
        if !Self::hides_all(text) {
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).for_each(|entry| list.add_range(entry));
        }
        list
    }

    /// Returns whether a list names no device on purpose.
    pub(crate) fn hides_all(text: &str) -> bool {
        HIDING.contains(&text.trim())
    }

    /// Returns whether the list names a device more than once.
    pub(crate) fn repeats(&self) -> bool {
        self.repeats
    }

    /// Returns the promised number; `None` if the list promises none.
    pub(crate) fn promised(&self) -> Option<Promised> {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (indices, uuids, instances) =
            (number(self.indices.len()), number(self.uuids.len()), number(self.instances.len()));
        let sum = indices.saturating_add(uuids).saturating_add(instances);
        match () {
            () if self.unknown => None,
            () if self.all => Some(Promised::NoNumber),
            () if sum == 0 => None,
            () if instances > 0 => Some(Promised::Instances(instances.max(indices).max(uuids))),
            () if indices > 0 && uuids > 0 => Some(Promised::Between(indices.max(uuids), sum)),
            () => Some(Promised::Exactly(sum)),
        }
    }

    /// Adds an entry, which may be a name of CDI: `nvidia.com/gpu=0`. Kinds other than GPUs and instances are not counted.
    fn add_named(&mut self, entry: &str) {
        let Some((kind, name)) = entry.split_once('=') else { return self.add(entry) };
        match kind.rsplit_once('/') {
            Some((_, "gpu" | "mig")) => {
                let bare = name.strip_prefix("gpu").or_else(|| name.strip_prefix("mig"));
                self.add(bare.filter(|bare| bare.starts_with(|letter: char| letter.is_ascii_digit())).unwrap_or(name));
            }
            Some(_) => {}
            None => self.unknown = true,
        }
    }

    fn add_range(&mut self, entry: &str) {
        let range = entry.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match range {
            Some((first, last)) if first <= last && last - first < RANGE => {
                (first..=last).for_each(|index: u32| self.add(&index.to_string()));
            }
            _ => self.add(entry),
        }
    }

    fn add(&mut self, entry: &str) {
        // A device plugin numbers the slices of a shared device: GPU-…::3.
        let name = entry.split_once("::").map_or(entry, |(name, _)| name).to_ascii_lowercase();
        let is_new = match name.parse() {
            _ if name == "all" => !std::mem::replace(&mut self.all, true),
            Ok(index) => self.indices.insert(index),
            _ if name.starts_with("mig-") || is_position(&name) => self.instances.insert(name),
            _ if name.starts_with("gpu-") => self.add_uuid(name),
            _ => !std::mem::replace(&mut self.unknown, true),
        };
        self.repeats |= !is_new;
    }

    /// Adds a UUID, unless it is a prefix of a known one, or a known one is a prefix of it.
    fn add_uuid(&mut self, name: String) -> bool {
        let is_same = |known: &String| known.starts_with(&name) || name.starts_with(known.as_str());
        !self.uuids.iter().any(is_same) && self.uuids.insert(name)
    }
}

/// Returns whether a name is a GPU's number and that of an instance on it: `0:1`.
fn is_position(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once(':').is_some_and(|(gpu, instance)| is_number(gpu) && is_number(instance))
}
