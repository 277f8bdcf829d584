//! AMD: /dev/kfd and the render nodes in the kernel's topology, which shows only what this container may use.

use super::{DeviceNode, Vendor, names, numbers, refused};
use sys::Root;

const TOPOLOGY: &str = "/sys/class/kfd/kfd/topology/nodes";
/// AMD's PCI vendor.
const VENDOR: &str = "0x1002";

/// Returns the GPUs' render nodes in the order of the topology, and the number of AMD's render nodes that cannot compute because /dev/kfd
/// is missing. If /dev/kfd is refused, all nodes are.
pub(crate) fn nodes(root: &Root, has: &dyn Fn(&str) -> bool) -> (Vec<DeviceNode>, usize) {
    if !has("kfd") {
        return (Vec::new(), if has("dri") { rendering(root) } else { 0 });
    }
    let gate = refused(root, "/dev/kfd");
    let gpus = numbers(&names(root, TOPOLOGY), "").into_iter().filter_map(|number| gpu(root, number));
    let node = |gpu: AmdGpu| {
        let path = format!("/dev/dri/renderD{}", gpu.minor);
        let memory = Some(gpu.memory).filter(|bytes| *bytes > 0);
        let model = Some(gpu.model);
        DeviceNode {
            vendor: Vendor::Amd,
            refused: gate.clone().or_else(|| refused(root, &path)),
            path,
            model,
            memory,
            ..DeviceNode::default()
        }
    };
    let given = |gpu: &AmdGpu| root.path(format!("/dev/dri/renderD{}", gpu.minor)).exists();
    (gpus.filter(given).map(node).collect(), 0)
}

struct AmdGpu {
    minor: u32,
    memory: u64,
    model: String,
}

fn gpu(root: &Root, number: u32) -> Option<AmdGpu> {
    let directory = format!("{TOPOLOGY}/{number}");
    let (minor, target) = parse_properties(&root.text(format!("{directory}/properties")).ok()?)?;
    let banks = format!("{directory}/mem_banks");
    let bank = |bank: u32| root.text(format!("{banks}/{bank}/properties")).ok().and_then(|text| parse_bank(&text));
    let memory = numbers(&names(root, &banks), "").into_iter().filter_map(bank).fold(0, u64::saturating_add);
    Some(AmdGpu { minor, memory, model: target.map_or("AMD GPU".to_owned(), |target| format!("AMD GPU ({target})")) })
}

fn value(properties: &str, name: &str) -> Option<u64> {
    properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Returns the render node and the instruction set (90402 is gfx942) of a topology node that computes; a CPU has no SIMD units.
pub(crate) fn parse_properties(properties: &str) -> Option<(u32, Option<String>)> {
    value(properties, "simd_count").filter(|count| *count > 0)?;
    let minor = value(properties, "drm_render_minor").filter(|minor| *minor > 0)?;
    let target = value(properties, "gfx_target_version").filter(|target| *target > 0);
    let target = target.map(|target| format!("gfx{}{:x}{:x}", target / 10_000, target / 100 % 100, target % 100));
    Some((u32::try_from(minor).ok()?, target))
}

/// Returns the bytes of a memory bank on the card: heap 1 or 2.
pub(crate) fn parse_bank(properties: &str) -> Option<u64> {
    value(properties, "heap_type").filter(|heap| matches!(heap, 1 | 2))?;
    value(properties, "size_in_bytes")
}

/// Counts AMD's render nodes in /dev/dri.
fn rendering(root: &Root) -> usize {
    let vendor = |minor: &u32| root.text(format!("/sys/class/drm/renderD{minor}/device/vendor")).unwrap_or_default();
    numbers(&names(root, "/dev/dri"), "renderD").iter().filter(|minor| vendor(minor).trim() == VENDOR).count()
}
