//! SageMaker: hosts and the name of this one stand in a file of JSON. Source: sagemaker-training-toolkit.

use crate::input::Input;
use crate::known::{Known, count};
use crate::world::World;
use serde_json::Value;

/// The file that SageMaker writes into each container of a training job.
const FILE: &str = "/opt/ml/input/config/resourceconfig.json";

/// Completes the world from the file of resources.
pub(crate) fn sagemaker(world: &mut World, input: &Input<'_>) -> bool {
    let Some(bytes) = (input.file)(FILE) else { return false };
    let Ok(resources) = serde_json::from_slice::<Value>(&bytes) else { return false };
    let hosts: Vec<&str> = resources["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(here) = resources["current_host"].as_str() else { return false };
    let Some(first) = hosts.first() else { return false };
    here.clone_into(&mut world.name);
    world.nodes = count(hosts.len(), FILE);
    world.node = hosts.iter().position(|host| *host == here).and_then(|index| count(index, FILE));
    world.master = Some(Known::new((*first).to_owned(), FILE));
    true
}
