//! Jetson: its GPU is a part of the chip and has nodes of another driver (nvgpu, nvhost, nvmap). Since JetPack 5 the driver of the display
//! adds /dev/nvidia0 and /dev/nvidiactl, through which nothing computes (meta-tegra#1038, ollama#1979).

use super::nvidia::{self, Control};
use super::refusal::refused;
use super::{UVM, numbers};
use sys::Root;

/// Nodes of the GPU of a Jetson, and the words for the platform.
const GPU: [(&str, &str); 5] = [
    ("nvgpu", "Jetson (/dev/nvgpu)"),
    ("nvhost-gpu", "Jetson (/dev/nvhost-gpu)"),
    ("nvhost-ctrl-gpu", "Jetson (/dev/nvhost-ctrl-gpu)"),
    ("nvhost-as-gpu", "Jetson (/dev/nvhost-as-gpu)"),
    ("nvmap", "Jetson (/dev/nvmap)"),
];
/// The nodes that every program opens on it, by JetPack's version.
const OPENED: [&str; 4] = ["/dev/nvmap", "/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0/ctrl"];

/// Returns the platform by the names in /dev. /dev/nvmap alone also serves cameras and codecs, so that it counts only beside the nodes of
/// the display. With a card in a slot (Clara AGX, IGX) there is /dev/nvidia-uvm, and the card is meant.
pub(crate) fn platform(devices: &[String]) -> Option<&'static str> {
    let has = |name: &str| devices.iter().any(|device| device == name);
    let display = !numbers(devices, "nvidia").is_empty();
    if has(UVM.trim_start_matches("/dev/")) {
        return None;
    }
    GPU.iter().find(|(name, _)| has(name) && (display || *name != "nvmap")).map(|(_, words)| *words)
}

/// Returns the nodes that programs open.
pub(crate) fn controls(root: &Root) -> Vec<Control> {
    let here = OPENED.into_iter().filter(|path| root.path(path).symlink_metadata().is_ok());
    here.map(|path| nvidia::Control { path, refused: refused(root, path) }).collect()
}
