//! AWS Batch: the main node gets no address of itself, and need not be the first.

use crate::input::Input;
use crate::known::Known;
use crate::row::number;
use crate::world::World;

/// Completes the world of a node of a multi-node parallel job.
pub(crate) fn aws_batch(world: &mut World, input: &Input<'_>) -> bool {
    let main = number(input, &["AWS_BATCH_JOB_MAIN_NODE_INDEX"]).map_or(0, |main: Known<u32>| main.value);
    if let Some(node) = &mut world.node {
        if node.value == main && world.master.is_none() && !input.host.is_empty() {
            world.master = Some(Known::new(input.host.to_owned(), "the host's name"));
        }
        // The trainer's node 0 is the master, so the main node is counted first.
        node.value = match node.value {
            index if index == main => 0,
            index if index < main => index.saturating_add(1),
            index => index,
        };
    }
    // The first attempt is number 1, and the job's id of a node ends with `#` and its index.
    world.attempt.iter_mut().for_each(|attempt| attempt.value = attempt.value.saturating_sub(1));
    let whole = |job: String| Some(job.split('#').next()?.to_owned());
    world.job = world.job.take().and_then(|job| job.then(whole));
    true
}
