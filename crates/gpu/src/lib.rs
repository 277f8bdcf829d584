//! GPUs as far as files tell: which device nodes there are, whether this user and this container may open them, what the kernel's
//! drivers say of themselves, which libraries the workload will find, what the image wants, and how many were promised. No library
//! is loaded and no device is opened. Knows `config`, `environment` and `sys`.
#![warn(unreachable_pub)]

mod accelerators;
mod amd;
pub mod cache;
mod compat;
pub mod facts;
mod image;
mod libraries;
mod mig;
mod models;
mod nvidia;
pub mod parse;
pub mod pci;
pub mod probe;
mod promise;
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
pub use promise::{Promise, Promised};
pub use release::{Support, Unfit, newest_cuda, own_driver, support, unfit};
pub use version::VersionText;
pub use visible::{VisibleEntry, VisibleGpus, visible_to_cuda};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use sys::Root;

/// Whose device it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vendor {
    /// CUDA.
    #[default]
    Nvidia,
    /// ROCm.
    Amd,
    /// oneAPI.
    Intel,
    /// Intel's accelerators.
    Gaudi,
    /// Google's.
    Tpu,
    /// Amazon's.
    Neuron,
}

impl Vendor {
    /// What one of its devices is called.
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
    /// Whose it is.
    pub vendor: Vendor,
    /// Its path.
    pub path: String,
    /// What it is, where the driver tells.
    pub model: Option<String>,
    /// Its name for ever (`GPU-…`), where the driver tells.
    pub uuid: Option<String>,
    /// Where it is on the PCI bus: `0000:65:00.0`.
    pub bus: Option<String>,
    /// Its memory in bytes, where the kernel tells.
    pub memory: Option<u64>,
    /// Why it cannot be opened for reading and writing; none: it can.
    pub refused: Option<Errno>,
    /// The instances that it is cut into.
    pub instances: Vec<ComputeInstance>,
    /// What is wrong with it, as its driver says.
    pub ill: Option<String>,
}

/// The GPUs that a container was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuPresence {
    /// One for each GPU, in the order of their numbers.
    pub nodes: Vec<DeviceNode>,
    /// The nodes beside them that every program needs, too.
    pub controls: Vec<Control>,
    /// NVIDIA's kernel driver.
    pub driver: Option<Driver>,
    /// GPUs are there that have no nodes to count: the name of the way they come.
    pub uncounted: Option<&'static str>,
    /// Render nodes of AMD's that lack /dev/kfd.
    pub without_kfd: usize,
}

impl GpuPresence {
    /// Some of the GPUs are cut into MIG instances: a node stands for several devices.
    pub fn is_sliced(&self) -> bool {
        self.nodes.iter().any(|node| !node.instances.is_empty())
    }

    /// The devices of this vendor that may be used: whole GPUs, and instances.
    pub fn devices(&self) -> usize {
        let open = self.nodes.iter().filter(|node| node.refused.is_none());
        open.map(|node| match node.instances.as_slice() {
            [] => 1,
            instances => instances.iter().filter(|instance| instance.is_usable()).count(),
        })
        .sum()
    }

    /// The nodes of NVIDIA's GPUs.
    pub fn nvidia(&self) -> impl Iterator<Item = &DeviceNode> {
        self.nodes.iter().filter(|node| node.vendor == Vendor::Nvidia)
    }
}

/// Ways to have a GPU that no node stands for: WSL2, Jetson.
const UNCOUNTED: [(&str, &str); 3] =
    [("dxg", "WSL2 (/dev/dxg)"), ("nvgpu", "Jetson (/dev/nvgpu)"), ("nvhost-gpu", "Jetson (/dev/nvhost-gpu)")];

/// Whether NVIDIA's driver stands behind something here, by the names in /dev alone. Nothing is read that the driver answers: one
/// that hangs would not.
pub fn has_nvidia(devices: &[String]) -> bool {
    !numbers(devices, "nvidia").is_empty()
}

/// A way of having GPUs that no node stands for, by the names in /dev.
pub fn uncounted(devices: &[String]) -> Option<&'static str> {
    UNCOUNTED.iter().find(|(name, _)| devices.iter().any(|device| device == name)).map(|(_, way)| *way)
}

/// NVIDIA's GPUs by the names in /dev alone, where the driver's own files hang.
pub fn named(devices: &[String]) -> GpuPresence {
    let node = |number: u32| DeviceNode { path: format!("/dev/nvidia{number}"), ..DeviceNode::default() };
    GpuPresence { nodes: numbers(devices, "nvidia").into_iter().map(node).collect(), ..GpuPresence::default() }
}

/// How many there are. NVIDIA's driver is not asked.
pub fn count(root: &Root, devices: &[String]) -> usize {
    let amds = amd::nodes(root, &|name| devices.iter().any(|device| device == name)).0;
    numbers(devices, "nvidia").len() + amds.len() + accelerators::nodes(root, devices).len()
}

/// Looks, without opening any device: that could start a GPU up, which takes seconds. Where there are none the names in /dev say all;
/// they say where else to look. What NVIDIA's driver tells in /proc may hang with it: this belongs into a process that can be given up.
pub fn look(root: &Root, devices: &[String]) -> GpuPresence {
    let has = |name: &str| devices.iter().any(|device| device == name);
    let mut nodes = nvidia::nodes(root, devices);
    let controls = nvidia::controls(root, devices);
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

/// Asks with access(2), which a device control group answers with EPERM without opening the device.
fn refused(root: &Root, path: &str) -> Option<Errno> {
    access(&root.path(path), AccessFlags::R_OK | AccessFlags::W_OK).err()
}

/// The names in a directory, or nothing.
pub fn names(root: &Root, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.path(directory)).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// `nvidia3` → 3 for `nvidia`; a name that goes on with anything but digits is another's.
fn numbered(name: &str, start: &str) -> Option<u32> {
    let digits = name.strip_prefix(start)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The numbers behind a name, in their order.
fn numbers(names: &[String], start: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| numbered(name, start)).collect();
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests;
