//! Files that list the hosts of an MPI job, a line for each: of an MPIJob's launcher, and of LSF.

use crate::input::Input;
use crate::known::{Known, count};
use crate::world::World;

/// Completes the world of a launcher, which is none of the nodes.
pub(crate) fn mpi_launcher(world: &mut World, input: &Input<'_>) -> bool {
    let file = input.variables.get("OMPI_MCA_orte_default_hostfile").unwrap_or_default();
    world.nodes = count(lines(input, file).len(), file).filter(|count| count.value > 0);
    true
}

/// Completes the world of a rank that LSF's jsrun started: the file's first line is the launch node, and the second the first node.
pub(crate) fn lsf(world: &mut World, input: &Input<'_>) -> bool {
    let file = input.variables.get("LSB_DJOB_RANKFILE").unwrap_or_default();
    let second = lines(input, file).into_iter().nth(1);
    world.master = second.map(|second| Known::new(second, "LSB_DJOB_RANKFILE"));
    true
}

/// Returns the first word of each line that is neither empty nor a comment.
fn lines(input: &Input<'_>, file: &str) -> Vec<String> {
    let bytes = Some(file).filter(|file| !file.is_empty()).and_then(|file| (input.file)(file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect()
}
