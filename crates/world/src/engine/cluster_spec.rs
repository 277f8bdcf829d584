//! TF_CONFIG and Vertex AI's CLUSTER_SPEC: the tasks of a job by kind, and which of them this is, as JSON.

use crate::input::Input;
use crate::known::{Known, count};
use crate::world::World;
use serde_json::Value;

/// Kinds of tasks that train, in the order of their nodes. Parameter servers and evaluators are nodes of no trainer here.
const TF_KINDS: [&str; 3] = ["chief", "master", "worker"];
/// Vertex AI's pools: the primary replica, and the workers.
const VERTEX_POOLS: [&str; 2] = ["workerpool0", "workerpool1"];

/// Completes the world from TF_CONFIG.
pub(crate) fn tf_config(world: &mut World, input: &Input<'_>) -> bool {
    read(world, input, "TF_CONFIG", &TF_KINDS)
}

/// Completes the world from CLUSTER_SPEC.
pub(crate) fn vertex(world: &mut World, input: &Input<'_>) -> bool {
    read(world, input, "CLUSTER_SPEC", &VERTEX_POOLS)
}

fn read(world: &mut World, input: &Input<'_>, variable: &str, kinds: &[&str]) -> bool {
    let Some(spec) = input.variables.get(variable).and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let hosts = |kind: &str| -> Vec<&str> {
        spec["cluster"][kind].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let all: Vec<&str> = kinds.iter().flat_map(|kind| hosts(kind)).collect();
    let Some(first) = all.first() else { return false };
    world.nodes = count(all.len(), variable);
    world.take_address(Known::new((*first).to_owned(), variable));
    let kind = spec["task"]["type"].as_str().unwrap_or_default();
    let index = spec["task"]["index"].as_u64().or_else(|| spec["task"]["index"].as_str()?.parse().ok());
    let before: usize = kinds.iter().take_while(|known| **known != kind).map(|known| hosts(known).len()).sum();
    let own = index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < hosts(kind).len());
    world.node = own.filter(|_| kinds.contains(&kind)).and_then(|own| count(before + own, variable));
    // A parameter server is none of the counted nodes, and has no part in their rendezvous.
    world.node.is_some()
}
