//! mpirun as the launcher of an MPIJob: on which hosts its ranks start, and how they learn where rank 0 is.
//!
//! The operator sets the names of Open MPI 4. Open MPI 5 does not read them, and would start all ranks beside the launcher; its names begin
//! with `PRTE_MCA_`. Ranks of Open MPI inherit each `OMPI_MCA_` variable of mpirun and no other one (mpirun(1), `-x`); those of MPICH and
//! Intel MPI inherit all.

use super::wanted::{Asked, Wanted};
use crate::table::MASTER_BELOW_OPEN_MPI;
use crate::world::World;

/// What the operator sets for Open MPI 4, and the name of Open MPI 5.
const RENAMED: [(&str, &str); 3] = [
    ("OMPI_MCA_orte_default_hostfile", "PRTE_MCA_prte_default_hostfile"),
    ("OMPI_MCA_plm_rsh_args", "PRTE_MCA_plm_ssh_args"),
    ("OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent"),
];

/// Options that name other hosts than those of the file.
const HOSTS: [&str; 10] =
    ["-H", "-host", "--host", "-hostfile", "--hostfile", "-machinefile", "--machinefile", "-f", "-rf", "--rankfile"];

/// Returns the variables that mpirun wants of this world.
pub(super) fn wanted(world: &World, asked: &Asked<'_>) -> Vec<Wanted> {
    let by_file = !HOSTS.iter().any(|option| asked.option(option).is_some());
    let master = world.master.as_ref().filter(|_| by_file);
    let told = |name| Wanted::optional(name, "", asked.variable(name).as_ref());
    let renamed = RENAMED.iter().map(|(old, new)| Wanted { name: new, ..told(old) });
    let [hosts, rest @ ..] = &renamed.collect::<Vec<_>>()[..] else { return Vec::new() };
    if hosts.value.is_none() {
        return master.map(|master| Wanted::needed("TRAINIT_CLUSTER_MASTER", "", Some(master))).into_iter().collect();
    }
    let mut all = vec![Wanted { optional: false, ..hosts.clone() }];
    all.extend_from_slice(rest);
    all.push(Wanted { optional: master.is_none(), ..Wanted::needed(MASTER_BELOW_OPEN_MPI, "", master) });
    all
}
