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

/// The lanes of a device's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// The lanes in use.
    pub now: u32,
    /// The lanes that the device and the port above it can use.
    pub most: u32,
}

impl Lanes {
    /// Returns whether fewer are used than there could be.
    pub fn is_narrow(self) -> bool {
        self.now < self.most
    }
}

/// Returns the lanes of a device; `None` if sysfs does not show them. A slot with fewer lanes than the card is built so.
pub fn lanes(root: &Root, bus: &str) -> Option<Lanes> {
    let lanes = |text: &str| text.trim().parse::<u32>().ok().filter(|lanes| (1..=32).contains(lanes));
    let own = |name| lanes(&attribute(root, bus, name));
    // In sysfs a device lies in the directory of its port.
    let device = root.path(format!("{DEVICES}/{bus}")).canonicalize().ok();
    let port = device.and_then(|device| std::fs::read_to_string(device.parent()?.join("max_link_width")).ok());
    let port = port.and_then(|text| lanes(&text));
    let most = own("max_link_width")?;
    Some(Lanes { now: own("current_link_width")?, most: port.map_or(most, |port| port.min(most)) })
}

/// Returns whether this is a virtual machine, by the processor's flags (x86). What it shows of PCI is its monitor's invention.
pub fn is_virtual(root: &Root) -> bool {
    let processor = root.text("/proc/cpuinfo").unwrap_or_default();
    let flags = processor.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// Returns whether an IOMMU translates the device's addresses (not in pass-through mode), by the type of its group.
pub fn translated(root: &Root, bus: &str) -> bool {
    attribute(root, bus, "iommu_group/type").starts_with("DMA")
}
