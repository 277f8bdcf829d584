//! NVIDIA: /dev/nvidiaN, /proc/driver/nvidia, and PCI in sysfs, which shows the host's devices even in a container that got none.

use super::{Node, names, refused};
use crate::sys::Root;
use std::path::Path;

/// NVIDIA's PCI vendor.
const VENDOR: &str = "0x10de";
/// PCI classes of GPUs: VGA and 3D controllers.
const CLASSES: [&str; 2] = ["0x0300", "0x0302"];

/// The kernel's driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its version, `570.172.08`; none: it is loaded, and does not tell.
    pub version: Option<String>,
}

/// The GPUs' nodes, in the order of their numbers.
pub fn nodes(root: &Root) -> Vec<Node> {
    let mut minors: Vec<u32> = names(root, "/dev").iter().filter_map(|name| minor(name)).collect();
    minors.sort_unstable();
    let models = if minors.is_empty() { Vec::new() } else { models(root) };
    let node = |minor: u32| {
        let path = format!("/dev/nvidia{minor}");
        let model = models.iter().find(|(number, _)| *number == minor).map(|(_, model)| model.clone());
        Node { refused: refused(root, &path), path, model }
    };
    minors.into_iter().map(node).collect()
}

/// `nvidia3` → 3; the control nodes have names, not numbers.
fn minor(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("nvidia")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The driver, by what it says of itself. A sandbox such as gVisor has devices and no version.
pub fn driver(root: &Root) -> Option<Driver> {
    let version = root.read("/proc/driver/nvidia/version").ok().and_then(|text| parse_version(&text));
    let loaded = version.is_some() || root.path("/proc/driver/nvidia").is_dir();
    loaded.then_some(Driver { version })
}

/// The first word of the NVRM line of /proc/driver/nvidia/version that is a version: the proprietary and the open driver name
/// themselves differently before it.
pub fn parse_version(text: &[u8]) -> Option<String> {
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"NVRM"))?;
    let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let is_version = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        (2..=3).contains(&parts.len())
            && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    words.into_iter().find(is_version).map(str::to_owned)
}

/// Minor numbers and models of /proc/driver/nvidia/gpus.
fn models(root: &Root) -> Vec<(u32, String)> {
    const GPUS: &str = "/proc/driver/nvidia/gpus";
    let information = |name: &String| root.text(Path::new(GPUS).join(name).join("information")).ok();
    names(root, GPUS).iter().filter_map(information).filter_map(|text| parse_information(&text)).collect()
}

/// `Model:` and `Device Minor:` of a GPU's information file.
fn parse_information(text: &str) -> Option<(u32, String)> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':')).map(str::trim)
    };
    Some((field("Device Minor")?.parse().ok()?, field("Model")?.to_owned()))
}

/// Whether a GPU is cut into MIG instances that are told here.
pub fn is_sliced(root: &Root) -> bool {
    const CAPABILITIES: &str = "/proc/driver/nvidia/capabilities";
    let cut =
        |gpu: &String| names(root, &format!("{CAPABILITIES}/{gpu}/mig")).iter().any(|name| name.starts_with("gi"));
    names(root, CAPABILITIES).iter().filter(|name| name.starts_with("gpu")).any(cut)
}

/// How many GPUs of NVIDIA's the machine has; none where sysfs does not tell. Hundreds of small files: only for a message.
pub fn host_count(root: &Root) -> Option<usize> {
    const DEVICES: &str = "/sys/bus/pci/devices";
    let devices = names(root, DEVICES);
    let reads = |device: &str, file: &str| root.text(format!("{DEVICES}/{device}/{file}")).unwrap_or_default();
    let is_gpu = |device: &&String| {
        reads(device, "vendor").trim() == VENDOR
            && CLASSES.iter().any(|class| reads(device, "class").starts_with(class))
    };
    (!devices.is_empty()).then(|| devices.iter().filter(is_gpu).count())
}
