//! PCI devices in sysfs, which shows the host's devices even in a container that has none of them.

use super::{Vendor, names};
use sys::Root;

const DEVICES: &str = "/sys/bus/pci/devices";
/// PCI vendors of GPUs, and their device classes: VGA and 3D controllers; for AMD also displays and accelerators.
const VENDORS: [(Vendor, &str, &[&str]); 2] = [
    (Vendor::Nvidia, "0x10de", &["0x0300", "0x0302"]),
    (Vendor::Amd, "0x1002", &["0x0300", "0x0302", "0x0380", "0x1200"]),
];

fn attribute(root: &Root, device: &str, name: &str) -> String {
    let text = root.text(format!("{DEVICES}/{device}/{name}")).unwrap_or_default();
    text.trim().to_owned()
}

/// Returns the number of the machine's GPUs and their (first) vendor; `None` if sysfs does not show them. Reads hundreds of small files,
/// so it is only for messages.
pub fn of_the_host(root: &Root) -> Option<(Vendor, usize)> {
    let devices = names(root, DEVICES);
    let vendors: Vec<(String, &String)> =
        devices.iter().map(|device| (attribute(root, device, "vendor"), device)).collect();
    let count = |(vendor, number, classes): &(Vendor, &str, &[&str])| {
        let is_gpu = |(of, device): &&(String, &String)| {
            of == number && classes.iter().any(|class| attribute(root, device, "class").starts_with(class))
        };
        (*vendor, vendors.iter().filter(is_gpu).count())
    };
    let found = VENDORS.iter().map(count).find(|(_, count)| *count > 0);
    (!devices.is_empty()).then(|| found.unwrap_or_default())
}

/// Returns whether a device of this vendor and one of these models is on the bus.
pub fn has(root: &Root, vendor: &str, models: &[&str]) -> bool {
    let is = |device: &String| {
        attribute(root, device, "vendor") == vendor && models.contains(&attribute(root, device, "device").as_str())
    };
    names(root, DEVICES).iter().any(is)
}

/// Returns whether a device no longer answers on the bus: its configuration then reads as ones.
pub fn is_gone(root: &Root, bus: &str) -> bool {
    let head = root.read(format!("{DEVICES}/{bus}/config")).unwrap_or_default();
    head.get(..4) == Some(&[0xff; 4])
}

/// Returns the used and available number of lanes, if fewer are used.
pub fn narrow(root: &Root, bus: &str) -> Option<(u32, u32)> {
    let lanes = |name| attribute(root, bus, name).parse::<u32>().ok().filter(|lanes| (1..=32).contains(lanes));
    let (now, most) = (lanes("current_link_width")?, lanes("max_link_width")?);
    (now < most).then_some((now, most))
}

/// Returns whether an IOMMU translates the device's addresses (not in pass-through mode), by the type of its group.
pub fn translated(root: &Root, bus: &str) -> bool {
    attribute(root, bus, "iommu_group/type").starts_with("DMA")
}
