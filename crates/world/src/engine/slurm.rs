//! Slurm: a step's processes, and the one process of a batch script. Sources: srun(1), sbatch(1), and runs of 22.05.

use super::{host_names, repeated};
use crate::input::Input;
use crate::known::Known;
use crate::row::number;
use crate::scope::Scope;
use crate::world::World;

/// The least of the numbers that Slurm keeps for steps without tasks of their own: batch script, interactive shell and others.
const SPECIAL_STEPS: u32 = 0xffff_fff0;

/// The component of a job whose parts differ (`--het-group`): a list of nodes tells only its own.
const PARTS: &[&str] = &["SLURM_HET_SIZE", "SLURM_PACK_SIZE"];

/// Variables that srun sets alike for a job and for its step: number of nodes, and of tasks on each of them.
const ALIKE: [(&str, &str); 2] =
    [("SLURM_NNODES", "SLURM_STEP_NUM_NODES"), ("SLURM_TASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE")];

/// Completes the world of a step's process.
pub(crate) fn slurm_step(world: &mut World, input: &Input<'_>) -> bool {
    let hosts = host_names(input.variables.get("SLURM_STEP_NODELIST").unwrap_or_default());
    let here = input.variables.get("SLURMD_NODENAME").unwrap_or(input.host);
    if is_no_task(input, &hosts) {
        return false;
    }
    here.clone_into(&mut world.name);
    let tasks = |node: Known<u32>| repeated(input.variables.get("SLURM_STEP_TASKS_PER_NODE")?, node.value);
    let of_node = world.node.clone().and_then(tasks);
    world.local_size = of_node.map(|tasks| Known::new(tasks, "SLURM_STEP_TASKS_PER_NODE"));
    world.job = job(input);
    settle_scope(world, input);
    if number(input, PARTS).is_some_and(|parts: Known<u32>| parts.value > 1) {
        (world.nodes, world.node, world.rank, world.size) = (None, None, None, None);
        return true;
    }
    // Rank 0 of an arbitrary distribution may be on any node; node 0 is the first of the list in every distribution.
    let arbitrary = input.variables.get("SLURM_DISTRIBUTION").is_some_and(|kind| kind.starts_with("arbitrary"));
    let first = hosts.into_iter().next().filter(|_| world.scope == Scope::Node || !arbitrary);
    world.master = first.map(|first| Known::new(first, "SLURM_STEP_NODELIST"));
    true
}

/// Returns whether this process is no task of the step that its variables tell: it belongs to a step without tasks, or to the batch script
/// of a job that was submitted within another job's step, whose variables it inherits.
fn is_no_task(input: &Input<'_>, hosts: &[String]) -> bool {
    let variable = |name: &str| input.variables.get(name);
    let special = number(input, &["SLURM_STEP_ID"]).is_none_or(|step: Known<u32>| step.value >= SPECIAL_STEPS);
    let differs = |(job, step): &(&str, &str)| variable(job).is_some_and(|value| variable(step) != Some(value));
    let among = |name: &str, list: &[String]| list.is_empty() || list.iter().any(|host| host == name);
    let of_job = host_names(variable("SLURM_JOB_NODELIST").unwrap_or_default());
    let elsewhere = variable("SLURMD_NODENAME").is_some_and(|here| !among(here, hosts))
        || hosts.iter().any(|host| !among(host, &of_job));
    let group = || (input.file)("/proc/self/cgroup").unwrap_or_default();
    let is_batch = || String::from_utf8_lossy(&group()).lines().any(|line| line.contains("/step_batch"));
    special || ALIKE.iter().any(differs) || elsewhere || is_batch()
}

/// One task on a node is the node itself where it has several GPUs or starts the ranks; else it is a rank.
fn settle_scope(world: &mut World, input: &Input<'_>) {
    let alone = world.local_size.as_ref().is_some_and(|tasks| tasks.value == 1);
    let gpus = number(input, &["SLURM_GPUS_ON_NODE"]).filter(|gpus: &Known<u32>| gpus.value > 1);
    let launches = input.given.launches || input.command.starts_ranks();
    if alone && (launches || gpus.is_some()) {
        world.become_node();
        world.local_size = gpus;
    }
}

/// A job may run several steps at a time, which must not meet each other.
fn job(input: &Input<'_>) -> Option<Known<String>> {
    let job = input.variables.get("SLURM_JOB_ID")?;
    Some(match input.variables.get("SLURM_STEP_ID") {
        Some(step) => Known::new(format!("{job}.{step}"), "SLURM_JOB_ID"),
        None => Known::new(job.to_owned(), "SLURM_JOB_ID"),
    })
}

/// Completes the world of a batch script's process: its PROCID 0 is no rank.
pub(crate) fn slurm_batch(world: &mut World, input: &Input<'_>) -> bool {
    let first = host_names(input.variables.get("SLURM_JOB_NODELIST").unwrap_or_default()).into_iter().next();
    world.master = first.map(|first| Known::new(first, "SLURM_JOB_NODELIST"));
    // On one node the batch script's process may be the only one of the job.
    if world.nodes.as_ref().is_some_and(|nodes| nodes.value == 1) && input.given.launches {
        world.scope = Scope::Node;
        world.node = Some(Known::new(0, "SLURM_NNODES"));
    }
    true
}
