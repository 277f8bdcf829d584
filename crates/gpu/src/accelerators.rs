//! Intel's GPUs, Gaudi, TPUs and Neuron: their number, and whether they may be opened. Their own tools report more.

use super::{DeviceNode, Vendor, names, numbers, pci, refused};
use sys::Root;

/// Intel's PCI vendor, and the address of the graphics in its processors, which are not for computing.
const INTEL: &str = "0x8086";
const INTEGRATED: &str = "0000:00:02.0";
/// Google's PCI vendor, and its chips: v2 and v3, v4, v5p, v5e, v6e, 7x.
const GOOGLE: &str = "0x1ae0";
const CHIPS: [&str; 6] = ["0x0027", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"];

/// Returns all accelerators by the names in /dev.
pub(crate) fn nodes(root: &Root, devices: &[String]) -> Vec<DeviceNode> {
    let has = |name: &str| devices.iter().any(|device| device == name);
    let mut nodes = Vec::new();
    if has("dri") {
        nodes.extend(intel(root));
    }
    nodes.extend(gaudi(root, devices, has("accel")));
    nodes.extend(tpu(root, devices, has("vfio")));
    nodes.extend(each(root, "/dev/neuron", numbers(devices, "neuron"), Vendor::Neuron, "AWS Neuron"));
    nodes
}

fn each(root: &Root, start: &str, numbers: Vec<u32>, vendor: Vendor, model: &str) -> Vec<DeviceNode> {
    let node = |number: u32| {
        let path = format!("{start}{number}");
        let refused = refused(root, &path);
        DeviceNode { vendor, path, model: Some(model.to_owned()), refused, ..DeviceNode::default() }
    };
    numbers.into_iter().map(node).collect()
}

fn intel(root: &Root) -> Vec<DeviceNode> {
    let device = |minor: u32| format!("/sys/class/drm/renderD{minor}/device");
    let attribute = |minor: u32, name: &str| {
        let text = root.text(format!("{}/{name}", device(minor))).unwrap_or_default();
        text.trim().to_owned()
    };
    let is_card = |minor: &u32| {
        let integrated = || {
            let slot = attribute(*minor, "uevent");
            slot.lines().any(|line| line.strip_prefix("PCI_SLOT_NAME=") == Some(INTEGRATED))
        };
        attribute(*minor, "vendor") == INTEL && attribute(*minor, "class").starts_with("0x03") && !integrated()
    };
    let memory = |minor: u32| {
        let cards = names(root, &format!("{}/drm", device(minor)));
        let bytes = |card: &String| attribute(minor, &format!("drm/{card}/lmem_total_bytes")).parse().ok();
        cards.iter().filter(|name| name.starts_with("card")).find_map(bytes)
    };
    let minors = numbers(&names(root, "/dev/dri"), "renderD").into_iter().filter(is_card).collect::<Vec<u32>>();
    let nodes = each(root, "/dev/dri/renderD", minors.clone(), Vendor::Intel, "Intel GPU");
    nodes.into_iter().zip(minors).map(|(node, minor)| DeviceNode { memory: memory(minor), ..node }).collect()
}

/// Returns Gaudi's nodes: `/dev/accel/accelN` since Linux 6.2, `/dev/hlN` before.
fn gaudi(root: &Root, devices: &[String], accel: bool) -> Vec<DeviceNode> {
    const MODEL: &str = "Intel Gaudi";
    let old = each(root, "/dev/hl", numbers(devices, "hl"), Vendor::Gaudi, MODEL);
    if !accel || !old.is_empty() {
        return old;
    }
    let new = numbers(&names(root, "/dev/accel"), "accel");
    let status = |number: u32| root.text(format!("/sys/class/accel/accel{number}/device/status")).ok();
    let nodes = each(root, "/dev/accel/accel", new.clone(), Vendor::Gaudi, MODEL);
    // The driver reports `Operational` or another state.
    let ill = |number| status(number).map(|text| text.trim().to_owned()).filter(|text| text != "Operational");
    nodes.into_iter().zip(new).map(|(node, number)| DeviceNode { ill: ill(number), ..node }).collect()
}

/// Returns TPU nodes: `/dev/accelN` up to v4, a VFIO group since.
fn tpu(root: &Root, devices: &[String], vfio: bool) -> Vec<DeviceNode> {
    const MODEL: &str = "Google TPU";
    let old = each(root, "/dev/accel", numbers(devices, "accel"), Vendor::Tpu, MODEL);
    let groups = if vfio && old.is_empty() { numbers(&names(root, "/dev/vfio"), "") } else { Vec::new() };
    if groups.is_empty() || !pci::has(root, GOOGLE, &CHIPS) {
        return old;
    }
    each(root, "/dev/vfio/", groups, Vendor::Tpu, MODEL)
}
