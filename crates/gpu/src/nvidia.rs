//! NVIDIA: /dev/nvidiaN, the control nodes, and /proc/driver/nvidia.

use super::refusal::{Refusal, refused};
use super::{DeviceNode, Vendor, mig, names, numbers};
use crate::VersionText;
use nix::errno::Errno;
use std::path::Path;
use sys::Root;

/// The kernel driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The version, `570.172.08`; `None` if the loaded driver does not report it (gVisor).
    pub version: Option<VersionText>,
}

/// A node that every program needs besides those of the GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The path.
    pub path: &'static str,
    /// Why it may not be opened; ENOENT for a missing node.
    pub refused: Option<Refusal>,
}

impl Control {
    /// Returns whether the node is missing.
    pub fn is_missing(&self) -> bool {
        self.refused.as_ref().is_some_and(|refusal| refusal.errno == Errno::ENOENT)
    }
}

/// The node through which programs request GPUs.
pub const CTL: &str = "/dev/nvidiactl";
/// The node through which CUDA allocates memory; without it `cuInit` fails while nvidia-smi works.
pub const UVM: &str = "/dev/nvidia-uvm";

/// Returns the GPUs' nodes in the order of their numbers.
pub(crate) fn nodes(root: &Root, devices: &[String]) -> Vec<DeviceNode> {
    let minors = numbers(devices, "nvidia");
    let known = if minors.is_empty() { Vec::new() } else { gpus(root) };
    let mut instances = if minors.is_empty() { Vec::new() } else { mig::instances(root) };
    let node = |minor: u32| {
        let path = format!("/dev/nvidia{minor}");
        let own = known.iter().find(|(number, _)| *number == minor).map(|(_, node)| node.clone()).unwrap_or_default();
        let (mine, others) = std::mem::take(&mut instances).into_iter().partition(|(number, _)| *number == minor);
        instances = others;
        let mine: Vec<(u32, mig::ComputeInstance)> = mine;
        let instances = mine.into_iter().map(|(_, instance)| instance).collect();
        DeviceNode { refused: refused(root, &path), path, instances, ..own }
    };
    minors.into_iter().map(node).collect()
}

/// Returns the control nodes; empty if there is no device of NVIDIA's.
pub(crate) fn controls(root: &Root, devices: &[String]) -> Vec<Control> {
    let has = |path: &str| devices.iter().any(|name| path.strip_prefix("/dev/") == Some(name));
    if !has(CTL) && !has(UVM) && numbers(devices, "nvidia").is_empty() {
        return Vec::new();
    }
    let refused = |path| if has(path) { refused(root, path) } else { Some(Refusal::of(path, Errno::ENOENT)) };
    [CTL, UVM].map(|path| Control { path, refused: refused(path) }).into()
}

/// Returns the driver by its own files. A sandbox such as gVisor has devices and no version.
pub fn driver(root: &Root) -> Option<Driver> {
    let version = root.read("/proc/driver/nvidia/version").ok().and_then(|text| parse_version(&text));
    let loaded = version.is_some() || root.path("/proc/driver/nvidia").is_dir();
    loaded.then_some(Driver { version })
}

/// Returns the first word of the NVRM line of /proc/driver/nvidia/version that is a version: the proprietary and the open driver differ in
/// the words before it.
pub fn parse_version(text: &[u8]) -> Option<VersionText> {
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"NVRM"))?;
    let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.filter(|word| word.contains('.')).find_map(VersionText::of)
}

/// Returns minor numbers and the facts of each GPU, from /proc/driver/nvidia/gpus. With CDI the directory also lists other GPUs of the
/// host.
fn gpus(root: &Root) -> Vec<(u32, DeviceNode)> {
    const GPUS: &str = "/proc/driver/nvidia/gpus";
    let information = |name: &String| {
        let text = root.text(Path::new(GPUS).join(name).join("information")).ok()?;
        let (minor, node) = parse_information(&text)?;
        Some((minor, DeviceNode { bus: Some(name.to_ascii_lowercase()), ..node }))
    };
    names(root, GPUS).iter().filter_map(information).collect()
}

/// Parses the information file of a GPU.
pub(crate) fn parse_information(text: &str) -> Option<(u32, DeviceNode)> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':')).map(str::trim)
    };
    let uuid = field("GPU UUID").filter(|uuid| uuid.starts_with("GPU-") && !uuid.contains('?'));
    let node = DeviceNode {
        vendor: Vendor::Nvidia,
        model: field("Model").map(str::to_owned),
        uuid: uuid.map(str::to_owned),
        ..DeviceNode::default()
    };
    Some((field("Device Minor")?.parse().ok()?, node))
}
