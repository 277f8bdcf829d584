//! torchrun, once on each node: its options have a variable each (`PET_…`). Source: torch/distributed/run.py.
//!
//! The backend `static` is left alone: it compares no host names, which c10d gets wrong where a pod's name differs from its full name
//! (pytorch#73656).

use super::wanted::{Asked, Wanted, endpoint};
use crate::scope::Scope;
use crate::world::World;

/// Returns the variables that torchrun wants of this world.
pub(super) fn wanted(world: &World, asked: &Asked<'_>) -> Vec<Wanted> {
    if world.scope != Scope::Node || is_alone(asked) || world.elastic.is_some() {
        return Vec::new();
    }
    let processes = Wanted::optional("PET_NPROC_PER_NODE", "--nproc-per-node", world.local_size.as_ref());
    match world.nodes.as_ref().map(|nodes| nodes.value) {
        // torchrun's defaults are those of one node, but for one process.
        Some(1) if asked.launches => return vec![processes],
        Some(0 | 1) => return Vec::new(),
        _ => {}
    }
    let nodes = Wanted::needed("PET_NNODES", "--nnodes", world.nodes.as_ref());
    if is_dynamic(asked) {
        let id = Wanted::optional("PET_RDZV_ID", "--rdzv-id", world.job.as_ref());
        let at = Wanted::needed("PET_RDZV_ENDPOINT", "--rdzv-endpoint", endpoint(world).as_ref());
        return vec![nodes, processes, at, id];
    }
    let node = Wanted::needed("PET_NODE_RANK", "--node-rank", world.node.as_ref());
    let master = Wanted::needed("PET_MASTER_ADDR", "--master-addr", world.master.as_ref());
    let port = Wanted::needed("PET_MASTER_PORT", "--master-port", world.port.as_ref());
    vec![nodes, node, processes, master, port]
}

/// Returns whether a node that starts again finds the others: a static rendezvous is made once (pytorch#147064).
pub(super) fn rejoins(world: &World, asked: &Asked<'_>) -> bool {
    world.elastic.is_some() || is_alone(asked) || is_dynamic(asked)
}

/// Returns whether torchrun is told that there is one node only.
fn is_alone(asked: &Asked<'_>) -> bool {
    asked.option("--standalone").is_some() || asked.variable("PET_STANDALONE").is_some()
}

/// Returns whether the nodes meet by another backend than `static`, in which no node has a fixed index.
fn is_dynamic(asked: &Asked<'_>) -> bool {
    let backend = asked.option("--rdzv-backend").or_else(|| asked.variable("PET_RDZV_BACKEND"));
    backend.is_some_and(|backend| backend.value != "static")
}
