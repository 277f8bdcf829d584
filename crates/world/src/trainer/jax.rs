//! JAX: it reads the coordinator's address from a variable; number and index of its processes come from arguments, or from detectors of
//! its own. Source: jax/_src/distributed.py and runs of 0.10.2.

use super::wanted::{Asked, Wanted, endpoint};
use crate::world::World;

/// Returns the variable that JAX wants of this world. On TPUs it finds everything itself.
pub(super) fn wanted(world: &World, asked: &Asked<'_>) -> Vec<Wanted> {
    let on_tpu = ["TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES"];
    let more_than_one = |known: &Option<crate::known::Known<u32>>| known.as_ref().is_some_and(|known| known.value > 1);
    let several = more_than_one(&world.nodes) || more_than_one(&world.size);
    if !several || on_tpu.iter().any(|name| asked.variable(name).is_some()) {
        return Vec::new();
    }
    vec![Wanted::needed("JAX_COORDINATOR_ADDRESS", "", endpoint(world).as_ref())]
}
