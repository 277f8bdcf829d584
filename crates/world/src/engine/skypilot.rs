//! SkyPilot: the addresses of all nodes stand in one variable, a line for each.

use crate::input::Input;
use crate::known::Known;
use crate::world::World;

/// Completes the world: the first address is that of node 0.
pub(crate) fn skypilot(world: &mut World, input: &Input<'_>) -> bool {
    let addresses = input.variables.get("SKYPILOT_NODE_IPS").unwrap_or_default();
    let first = addresses.split_whitespace().next();
    world.master = first.map(|first| Known::new(first.to_owned(), "SKYPILOT_NODE_IPS"));
    true
}
