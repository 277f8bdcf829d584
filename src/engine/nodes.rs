//! The number of nodes of this job, by the variables of what started it.

use sys::environment::Environment;

/// Variables with the number of nodes. torchrun's comes first, since it starts the ranks; a range (`1:4`) counts by its end.
/// Slurm's variables of the step come before those of the allocation, of which a step may use a part.
const NODES: [&str; 6] =
    ["PET_NNODES", "SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES", "NNODES", "NUM_NODES"];

/// Variables with the number of processes on all nodes, and on this one: Open MPI's, and those of the ranks of torchrun.
const RANKS: [(&str, &str); 2] =
    [("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"), ("WORLD_SIZE", "LOCAL_WORLD_SIZE")];

/// Variables that are set on each pod of a job with several: the index by Kubernetes' indexed jobs and JobSet. They do not tell how
/// many pods there are, so an index above 0 shows two at least.
const INDEXES: [&str; 1] = ["JOB_COMPLETION_INDEX"];

/// Several nodes, and the variable that tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeveralNodes {
    /// The least number of nodes.
    pub at_least: u64,
    /// The variable that tells.
    pub from: &'static str,
}

/// Returns the nodes of this job where the variables tell of several.
pub fn several_nodes(environment: &Environment) -> Option<SeveralNodes> {
    let number = |name: &str| environment.text(name)?.rsplit(':').next()?.trim().parse::<u64>().ok();
    let told = NODES.iter().find_map(|name| Some((number(name)?, *name)));
    let ranks = || {
        let quotient = |(all, here)| Some((number(all)?.div_ceil(number(here).filter(|here| *here > 0)?), all));
        RANKS.iter().copied().find_map(quotient)
    };
    let index = || INDEXES.iter().find_map(|name| Some((number(name)?.saturating_add(1), *name)));
    let (at_least, from) = told.or_else(ranks).or_else(index)?;
    (at_least > 1).then_some(SeveralNodes { at_least, from })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        several_nodes(&variables.iter().copied().collect()).map(|nodes| (nodes.at_least, nodes.from))
    }

    #[test]
    fn each_engine_tells_its_nodes() {
        assert_eq!(told(&[("SLURM_NNODES", "3")]), Some((3, "SLURM_NNODES")));
        assert_eq!(told(&[("PET_NNODES", "1:4"), ("SLURM_NNODES", "8")]), Some((4, "PET_NNODES")));
        let mpi = [("OMPI_COMM_WORLD_SIZE", "16"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "8")];
        assert_eq!(told(&mpi), Some((2, "OMPI_COMM_WORLD_SIZE")));
        assert_eq!(told(&[("JOB_COMPLETION_INDEX", "2")]), Some((3, "JOB_COMPLETION_INDEX")));
    }

    #[test]
    fn one_node_is_not_several() {
        let step = [("SLURM_STEP_NUM_NODES", "1"), ("SLURM_NNODES", "8")];
        let ranks = [("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "8")];
        let odd = [("PET_NNODES", "many"), ("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "0")];
        for variables in [&[][..], &step, &ranks, &odd, &[("JOB_COMPLETION_INDEX", "0")], &[("WORLD_SIZE", "8")]] {
            assert_eq!(told(variables), None, "{variables:?}");
        }
    }
}
