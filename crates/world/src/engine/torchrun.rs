//! torchrun's own variables (`PET_…`): a number of nodes may be a range. Source: torch/distributed/run.py.

use crate::input::Input;
use crate::known::Known;
use crate::world::World;

/// Completes the world of a node whose number of nodes may be `MIN:MAX`.
pub(crate) fn torchrun_variables(world: &mut World, input: &Input<'_>) -> bool {
    let range = input.variables.get("PET_NNODES").and_then(|text| text.trim().split_once(':'));
    let range = range.and_then(|(least, most)| Some((least.parse::<u32>().ok()?, most.parse::<u32>().ok()?)));
    match range {
        Some((least, most)) if least == most => world.nodes = Some(Known::new(most, "PET_NNODES")),
        Some(range) => world.elastic = Some(Known::new(range, "PET_NNODES")),
        None => {}
    }
    true
}
