//! One process for each rank: torch.distributed's `env://`, and so DDP, Lightning, accelerate and DeepSpeed without their launchers.

use super::wanted::{Asked, Wanted};
use crate::scope::Scope;
use crate::world::World;

/// Returns the variables that a rank wants of this world. A process alone is no rank of anything.
pub(super) fn wanted(world: &World, _: &Asked<'_>) -> Vec<Wanted> {
    let several = world.size.as_ref().is_some_and(|size| size.value > 1);
    if world.scope != Scope::Process || !several {
        return Vec::new();
    }
    vec![
        Wanted::needed("RANK", "", world.rank.as_ref()),
        Wanted::needed("WORLD_SIZE", "", world.size.as_ref()),
        Wanted::needed("LOCAL_RANK", "", world.local.as_ref()),
        Wanted::optional("LOCAL_WORLD_SIZE", "", world.local_size.as_ref()),
        Wanted::optional("NODE_RANK", "", world.node.as_ref()),
        Wanted::needed("MASTER_ADDR", "", world.master.as_ref()),
        Wanted::needed("MASTER_PORT", "", world.port.as_ref()),
    ]
}
