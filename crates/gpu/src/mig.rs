//! MIG: the instances of a GPU, and which of them this container may use. Each has a node in /dev/nvidia-caps;
//! /proc/driver/nvidia/capabilities has the node's number.

use super::{names, numbered, refused};
use sys::Root;

/// A compute instance, the smallest part that a program can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputeInstance {
    /// The number of its GPU instance.
    pub gpu: u32,
    /// The number within the GPU instance.
    pub compute: u32,
    /// Whether its node and that of its GPU instance exist and may be opened.
    usable: bool,
}

impl ComputeInstance {
    /// Returns whether this container may use the instance.
    pub fn is_usable(&self) -> bool {
        self.usable
    }
}

const CAPABILITIES: &str = "/proc/driver/nvidia/capabilities";

/// Returns all instances that the driver reports, each with its GPU's number. With CDI these include other instances of the host.
pub(crate) fn instances(root: &Root) -> Vec<(u32, ComputeInstance)> {
    let gpus = names(root, CAPABILITIES);
    let gpus = gpus.iter().filter_map(|name| numbered(name, "gpu"));
    let mut all: Vec<_> = gpus.flat_map(|gpu| of_gpu(root, gpu).into_iter().map(move |one| (gpu, one))).collect();
    all.sort_by_key(|(gpu, instance)| (*gpu, instance.gpu, instance.compute));
    all
}

fn of_gpu(root: &Root, minor: u32) -> Vec<ComputeInstance> {
    let directory = format!("{CAPABILITIES}/gpu{minor}/mig");
    let parts = names(root, &directory);
    let parts = parts.iter().filter_map(|name| numbered(name, "gi"));
    parts.flat_map(|gpu| of_part(root, &format!("{directory}/gi{gpu}"), gpu)).collect()
}

fn of_part(root: &Root, directory: &str, gpu: u32) -> Vec<ComputeInstance> {
    let own = is_open(root, directory);
    let computes = names(root, directory);
    let computes = computes.iter().filter_map(|name| numbered(name, "ci"));
    computes
        .map(|compute| ComputeInstance {
            gpu,
            compute,
            usable: own && is_open(root, &format!("{directory}/ci{compute}")),
        })
        .collect()
}

fn is_open(root: &Root, directory: &str) -> bool {
    let minor = root.text(format!("{directory}/access")).ok().and_then(|text| parse_access(&text));
    minor.is_some_and(|minor| refused(root, &format!("/dev/nvidia-caps/nvidia-cap{minor}")).is_none())
}

/// Parses `DeviceFileMinor: 12`.
pub(crate) fn parse_access(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("DeviceFileMinor:"))?.trim().parse().ok()
}
