//! GPUs as far as files tell: which device nodes there are, whether this user and this container may open them, what the kernel's
//! driver says of itself, and how many were promised. No library is loaded and no device is opened. Knows `environment` and `sys`.

mod amd;
pub mod facts;
mod nvidia;
pub mod probe;
mod promise;

pub use nvidia::{Driver, host_count, parse_version};
pub use promise::{Promise, Promised, visible_to_cuda};

use crate::sys::Root;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// A device node of one GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its path.
    pub path: String,
    /// What it is, where the driver tells.
    pub model: Option<String>,
    /// Why it cannot be opened for reading and writing; none: it can.
    pub refused: Option<Errno>,
}

/// The GPUs that a container was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// One for each GPU, in the order of their numbers.
    pub nodes: Vec<Node>,
    /// NVIDIA's kernel driver.
    pub driver: Option<Driver>,
    /// GPUs are there that have no nodes to count: the name of the way they come.
    pub uncounted: Option<&'static str>,
    /// Some of the GPUs are cut into MIG instances: a node stands for several devices.
    pub sliced: bool,
}

/// Ways to have a GPU that no node stands for: WSL2, Jetson.
const UNCOUNTED: [(&str, &str); 3] = [
    ("/dev/dxg", "WSL2 (/dev/dxg)"),
    ("/dev/nvgpu", "Jetson (/dev/nvgpu)"),
    ("/dev/nvhost-gpu", "Jetson (/dev/nvhost-gpu)"),
];

/// Looks, without opening any device: that could start a GPU up, which takes seconds.
pub fn look(root: &Root) -> Presence {
    let mut nodes = nvidia::nodes(root);
    nodes.extend(amd::nodes(root));
    let uncounted = UNCOUNTED.iter().find(|(path, _)| nodes.is_empty() && root.path(path).exists());
    Presence {
        driver: nvidia::driver(root),
        uncounted: uncounted.map(|(_, name)| *name),
        sliced: nvidia::is_sliced(root),
        nodes,
    }
}

/// Asks with access(2), which a device control group answers with EPERM without opening the device.
fn refused(root: &Root, path: &str) -> Option<Errno> {
    access(&root.path(path), AccessFlags::R_OK | AccessFlags::W_OK).err()
}

/// The names in a directory, or nothing.
fn names(root: &Root, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.path(directory)).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests;
