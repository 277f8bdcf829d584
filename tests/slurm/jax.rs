//! What trainit tells of a job, held against JAX's own detectors (`JAX_PYTHON`: an interpreter that has jax): in a step of Slurm, and of
//! Open MPI on two nodes. `scripts/nightly jax` runs these tests.

use crate::cluster::Cluster;
use crate::mpi::{agent, open_mpi};
use crate::support::{TRAINIT, skip};
use std::path::Path;

/// Says what JAX's detector finds and what trainit has set, then meets the others by `initialize`.
const ORACLE: &str = r#"import os, jax
from jax._src.clusters import ClusterEnv
found = next((env for env in ClusterEnv._cluster_types if not env.opt_in_only_method and env.is_env_present()), None)
host = lambda address: address.rsplit(":", 1)[0]
if found:
    detected = host(found.get_coordinator_address(None, None)), found.get_process_count(), found.get_process_id()
    print("detected", found.name, *detected, flush=True)
print("told", host(os.environ["JAX_COORDINATOR_ADDRESS"]), os.environ["TRAINIT_SIZE"], os.environ["TRAINIT_RANK"], flush=True)
INITIALIZE
print("process", jax.process_index(), "of", jax.process_count(), "on", os.uname().nodename, flush=True)
"#;

/// The interpreter with jax.
fn python() -> Option<String> {
    let named = std::env::var("JAX_PYTHON").ok();
    if named.is_none() {
        skip("JAX_PYTHON names no interpreter with jax (scripts/nightly jax sets it)");
    }
    named
}

fn put(directory: &Path, initialize: &str) -> String {
    let file = directory.join("oracle.py");
    std::fs::write(&file, ORACLE.replace("INITIALIZE", initialize)).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The line of docs/cluster.md for engines that JAX has no detector for, with the variables for ranks.
fn documented() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cluster.md")).unwrap();
    let at = page.find("jax.distributed.initialize(num_processes").unwrap();
    let line = page[at..].split('`').next().unwrap();
    line.replace("TRAINIT_NODES", "TRAINIT_SIZE").replace("TRAINIT_NODE\"", "TRAINIT_RANK\"")
}

#[test]
fn in_a_step_of_slurm_trainit_says_what_jax_finds() {
    let Some(python) = python() else { return };
    let Some(cluster) = Cluster::of(3) else { return };
    let work = tempfile::tempdir().unwrap();
    let oracle = put(work.path(), "jax.distributed.initialize()");
    let script = format!("#!/bin/sh\nexec srun --label {TRAINIT} {python} {oracle}\n");
    let settings = ["TRAINIT_DEPS_REQUIREMENTS=off", "TRAINIT_CLUSTER_TRAINER=jax", "JAX_PLATFORMS=cpu"];
    let id = cluster.submit_with(work.path(), &settings, &script);
    let ended = || Some(cluster.state(&id)).filter(|state| ["COMPLETED", "FAILED"].contains(&state.as_str()));
    assert_eq!(cluster.until("the end", ended, &id), "COMPLETED", "{}", cluster.log(&id));
    let log = cluster.log(&id);
    for rank in 0..3 {
        let said = [
            format!("{rank}: detected slurm n1 3 {rank}"),
            format!("{rank}: told n1 3 {rank}"),
            format!("{rank}: process {rank} of 3 on n{}", rank + 1),
        ];
        said.iter().for_each(|line| assert!(log.contains(line), "{line}\n{log}"));
    }
}

#[test]
fn below_open_mpi_the_documents_line_meets_the_others_and_jax_finds_the_same() {
    let Some(python) = python() else { return };
    let Some(cluster) = Cluster::of(2) else { return };
    let work = tempfile::tempdir().unwrap();
    let Some(launcher) = open_mpi(&agent(&cluster, work.path())) else { return };
    let oracle = put(work.path(), &documented());
    // Version 5 sets nothing that JAX's detector looks for; version 4 names the host of mpirun so.
    for (uri, detects) in [(None, false), (Some("4096.0;tcp://10.77.0.11:4711"), true)] {
        let given = [("TRAINIT_CLUSTER_TRAINER", "jax"), ("JAX_PLATFORMS", "cpu")];
        let settings: Vec<_> = given.into_iter().chain(uri.map(|uri| ("OMPI_MCA_orte_hnp_uri", uri))).collect();
        let output = launcher.run(&cluster, &settings, &["run", "--", &python, &oracle]);
        let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}\n{log}");
        for rank in 0..4 {
            assert!(said.contains(&format!("told n1 4 {rank}")), "{said}\n{log}");
            assert!(said.contains(&format!("process {rank} of 4 on n{}", rank / 2 + 1)), "{said}\n{log}");
            // The address is that of n1, where rank 0 is.
            assert_eq!(said.contains(&format!("detected ompi 10.77.0.11 4 {rank}")), detects, "{said}\n{log}");
        }
    }
}
