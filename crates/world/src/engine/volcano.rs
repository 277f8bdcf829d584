//! Volcano: hosts of each task in a variable whose name holds the task's, unless the plug-in for PyTorch tells more.

use crate::input::Input;
use crate::known::{Known, count};
use crate::world::World;

/// Names of tasks whose first pod is node 0.
const FIRST: [&str; 4] = ["MASTER", "CHIEF", "LAUNCHER", "HEAD"];

/// Completes the world from `VC_TASK_HOSTS`, of one task or of a master and its workers.
pub(crate) fn volcano(world: &mut World, input: &Input<'_>) -> bool {
    if world.nodes.is_some() {
        return true;
    }
    let names = input.variables.names();
    let task = |name: &str| name.strip_prefix("VC_").and_then(|rest| rest.strip_suffix("_HOSTS")).map(str::to_owned);
    let mut lists: Vec<(bool, &str)> =
        names.into_iter().filter_map(|name| Some((!FIRST.contains(&task(name)?.as_str()), name))).collect();
    lists.sort_unstable();
    let is_clear = lists.len() == 1 || lists.len() == 2 && lists.iter().filter(|(other, _)| *other).count() == 1;
    let Some((_, from)) = lists.first().copied().filter(|_| is_clear) else { return true };
    let value = |name: &str| input.variables.get(name).unwrap_or_default();
    let hosts: Vec<&str> = lists
        .iter()
        .flat_map(|(_, name)| value(name).split(','))
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .collect();
    // A pod's host name is the first part of its full name.
    let is_here = |host: &&str| host.split('.').next() == Some(input.host);
    world.nodes = count(hosts.len(), from).filter(|nodes| nodes.value > 0);
    world.node = hosts.iter().position(is_here).and_then(|index| count(index, from));
    hosts.first().into_iter().for_each(|first| world.take_address(Known::new((*first).to_owned(), from)));
    true
}
