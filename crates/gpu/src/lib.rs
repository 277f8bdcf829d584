//! GPUs as far as files show: the device nodes, the permissions of this user and container, the facts of the kernel's drivers, the
//! libraries that the workload will find, the image's requirements, and the promised number. Only `probe` loads libraries, in processes of
//! its own. The crate uses `gpu_probe`, `sys` and `text`, and no other crate of trainit.
#![warn(unreachable_pub)]

mod accelerators;
mod amd;
pub mod cache;
mod compat;
mod device_list;
pub mod facts;
mod image;
mod jetson;
mod libraries;
mod mig;
mod models;
mod nvidia;
pub mod parse;
pub mod pci;
pub mod probe;
mod promise;
mod promised;
mod refusal;
mod release;
pub mod require;
mod version;
mod visible;

pub use compat::{Compat, compat, may_be_right as compat_may_be_right, may_have as may_have_compat};
pub use image::{ImageCuda, image_cuda};
pub use libraries::{CUDA, LibraryKind, LoadableLibrary, Loader, NVML, PTX};
pub use mig::ComputeInstance;
pub use models::Brand;
pub use nvidia::{CTL, Control, Driver, UVM, driver, parse_version};
pub use promise::{Promise, names_slices};
pub use promised::Promised;
pub use refusal::{NodeRights, Refusal};
pub use release::{Support, Unfit, newest_cuda, own_driver, support, unfit};
pub use version::VersionText;
pub use visible::{ListFault, VisibleEntry, VisibleGpus, hidden_from_cuda, visible_to_cuda};

use nix::errno::Errno;
use refusal::refused;
use sys::Root;

/// The vendor of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vendor {
    /// NVIDIA (CUDA).
    #[default]
    Nvidia,
    /// AMD (ROCm).
    Amd,
    /// Intel (oneAPI).
    Intel,
    /// Intel's accelerators.
    Gaudi,
    /// Google.
    Tpu,
    /// Amazon.
    Neuron,
}

impl Vendor {
    /// Returns the noun for a device of this vendor.
    pub const fn noun(self) -> &'static str {
        match self {
            Vendor::Nvidia | Vendor::Amd | Vendor::Intel => "GPU",
            Vendor::Gaudi => "Gaudi accelerator",
            Vendor::Tpu => "TPU chip",
            Vendor::Neuron => "Neuron device",
        }
    }
}

/// A device node of one GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceNode {
    /// The vendor.
    pub vendor: Vendor,
    /// The path.
    pub path: String,
    /// The model, if the driver reports it.
    pub model: Option<String>,
    /// The UUID (`GPU-…`), if the driver reports it.
    pub uuid: Option<String>,
    /// The address on the PCI bus: `0000:65:00.0`.
    pub bus: Option<String>,
    /// Memory in bytes, if the kernel reports it.
    pub memory: Option<u64>,
    /// Why the GPU may not be used; `None` if its nodes may be read and written.
    pub refused: Option<Refusal>,
    /// The MIG instances.
    pub instances: Vec<ComputeInstance>,
    /// The fault that the driver reports.
    pub ill: Option<String>,
}

/// The GPUs of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuPresence {
    /// One node for each GPU, in the order of their numbers.
    pub nodes: Vec<DeviceNode>,
    /// Other nodes that every program needs.
    pub controls: Vec<Control>,
    /// NVIDIA's kernel driver.
    pub driver: Option<Driver>,
    /// The name of a platform on which GPUs have no countable nodes.
    pub uncounted: Option<&'static str>,
    /// Number of AMD's render nodes without /dev/kfd.
    pub without_kfd: usize,
}

impl GpuPresence {
    /// Returns whether a GPU is cut into MIG instances, so that one node stands for several devices.
    pub fn is_sliced(&self) -> bool {
        self.nodes.iter().any(|node| !node.instances.is_empty())
    }

    /// Returns the number of usable devices: whole GPUs and instances.
    pub fn devices(&self) -> usize {
        let open = self.nodes.iter().filter(|node| node.refused.is_none());
        open.map(|node| match node.instances.as_slice() {
            [] => 1,
            instances => instances.iter().filter(|instance| instance.is_usable()).count(),
        })
        .sum()
    }

    /// Returns whether GPUs exist, and a device control group refuses every one of them.
    pub fn is_closed(&self) -> bool {
        !self.nodes.is_empty() && self.nodes.iter().all(|node| node.errno() == Some(Errno::EPERM))
    }

    /// Returns the nodes of NVIDIA's GPUs.
    pub fn nvidia(&self) -> impl Iterator<Item = &DeviceNode> {
        self.nodes.iter().filter(|node| node.vendor == Vendor::Nvidia)
    }
}

/// The node of WSL2, where GPUs have none of their own.
const WSL: &str = "/dev/dxg";

impl DeviceNode {
    /// Returns the error with which the GPU is refused.
    pub fn errno(&self) -> Option<Errno> {
        self.refused.as_ref().map(|refusal| refusal.errno)
    }
}

/// Returns whether a device of NVIDIA's driver exists, by the names in /dev alone. Files that the driver answers may hang, so none is
/// read.
pub fn has_nvidia(devices: &[String]) -> bool {
    !numbers(devices, "nvidia").is_empty() && jetson::platform(devices).is_none()
}

/// Returns the platform on which GPUs have no nodes, by the names in /dev.
pub fn uncounted(devices: &[String]) -> Option<&'static str> {
    let wsl = devices.iter().any(|device| WSL.strip_prefix("/dev/") == Some(device));
    if wsl { Some("WSL2 (/dev/dxg)") } else { jetson::platform(devices) }
}

/// Returns NVIDIA's GPUs by the names in /dev alone, for a driver whose files hang.
pub fn named(devices: &[String]) -> GpuPresence {
    let node = |number: u32| DeviceNode { path: format!("/dev/nvidia{number}"), ..DeviceNode::default() };
    GpuPresence { nodes: numbers(devices, "nvidia").into_iter().map(node).collect(), ..GpuPresence::default() }
}

/// Returns the number of GPUs without asking NVIDIA's driver.
pub fn count(root: &Root, devices: &[String]) -> usize {
    let amds = amd::nodes(root, &|name| devices.iter().any(|device| device == name)).0;
    numbers(devices, "nvidia").len() + amds.len() + accelerators::nodes(root, devices).len()
}

/// Finds the GPUs without opening a device: that could initialise a GPU, which takes seconds. Without GPUs the names in /dev suffice. The
/// files of NVIDIA's driver in /proc may hang, so this must run in a process that can be abandoned.
pub fn look(root: &Root, devices: &[String]) -> GpuPresence {
    let has = |name: &str| devices.iter().any(|device| device == name);
    let jetson = jetson::platform(devices).is_some();
    let mut nodes = if jetson { Vec::new() } else { nvidia::nodes(root, devices) };
    let controls = if jetson { jetson::controls(root) } else { nvidia::controls(root, devices) };
    let known = !nodes.is_empty() || !controls.is_empty();
    let (amds, without_kfd) = amd::nodes(root, &has);
    nodes.extend(amds);
    nodes.extend(accelerators::nodes(root, devices));
    GpuPresence {
        driver: known.then(|| driver(root)).flatten(),
        uncounted: uncounted(devices).filter(|_| nodes.is_empty()),
        nodes,
        controls,
        without_kfd,
    }
}

/// Returns the names in a directory; an unreadable directory counts as empty.
pub fn names(root: &Root, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.path(directory)).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Parses `nvidia3` as 3 for the prefix `nvidia`; a name with other characters after the prefix belongs to another driver.
fn numbered(name: &str, start: &str) -> Option<u32> {
    let digits = name.strip_prefix(start)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Returns the numbers after a prefix, sorted.
fn numbers(names: &[String], start: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| numbered(name, start)).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests;
