//! AMD: /dev/kfd and the render nodes that the kernel's topology names. The topology shows only what this container may use.

use super::{Node, names, refused};
use crate::sys::Root;

/// The GPUs' render nodes, in the order of the topology. All of them go through /dev/kfd: refused there is refused everywhere.
pub fn nodes(root: &Root) -> Vec<Node> {
    const TOPOLOGY: &str = "/sys/class/kfd/kfd/topology/nodes";
    if !root.path("/dev/kfd").exists() {
        return Vec::new();
    }
    let mut numbers: Vec<u32> = names(root, TOPOLOGY).iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let properties = |number: u32| root.text(format!("{TOPOLOGY}/{number}/properties")).ok();
    let minors = numbers.into_iter().filter_map(properties).filter_map(|text| render_minor(&text));
    let gate = refused(root, "/dev/kfd");
    let node = |minor: u32| {
        let path = format!("/dev/dri/renderD{minor}");
        Node { refused: gate.or_else(|| refused(root, &path)), path, model: Some("AMD GPU".to_owned()) }
    };
    minors.filter(|minor| root.path(format!("/dev/dri/renderD{minor}")).exists()).map(node).collect()
}

/// The render node of a topology node that computes; a CPU has no SIMD units.
fn render_minor(properties: &str) -> Option<u32> {
    let value = |name: &str| properties.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    value("simd_count ").filter(|count| *count > 0)?;
    value("drm_render_minor ").filter(|minor| *minor > 0)
}
