//! Files that list the hosts of an MPI job, a line for each: of an MPIJob's launcher, and of LSF.

use crate::input::Input;
use crate::known::{Known, count};
use crate::world::World;

/// The variables that name the file of hosts to a launcher: of Open MPI, Intel MPI and MPICH.
pub(crate) const HOST_FILES: [&str; 3] = ["OMPI_MCA_orte_default_hostfile", "I_MPI_HYDRA_HOST_FILE", "HYDRA_HOST_FILE"];

/// Completes the world of a launcher, which is none of the nodes. Each launcher fills the hosts of its file in order, so rank 0 is on the
/// first. A line is `host slots=2` for Open MPI and `host:2` for the others.
pub(crate) fn mpi_launcher(world: &mut World, input: &Input<'_>) -> bool {
    let file = HOST_FILES.iter().find_map(|name| input.variables.get(name)).unwrap_or_default();
    let hosts = lines(input, file);
    world.nodes = count(hosts.len(), file).filter(|count| count.value > 0);
    let first = hosts.first().and_then(|line| line.split(':').next()).filter(|host| !host.is_empty());
    world.master = first.map(|host| Known::new(host.to_owned(), file));
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
