//! What trainit makes of a real Slurm's variables on three nodes: torchrun trains over them with the batch script of docs/cluster.md as
//! it stands there, each task of a step gets its rank, and the batch script's process gets none.

use crate::cluster::Cluster;
use crate::job::torch_is_here;
use crate::support::TRAINIT;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Each rank adds one to a sum over all of them, and notes what it sees.
const TRAIN: &str = r#"import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
name = f"rank.{dist.get_rank()}"
with open(name + ".tmp", "w") as file:
    file.write(f"{int(total)} of {dist.get_world_size()} at {os.environ['MASTER_ADDR']}")
os.rename(name + ".tmp", name)
"#;

/// Notes the variables of a process below the name of its case.
const SAY: &str = r#"import json, os, sys
name = f"{sys.argv[1]}.{os.environ.get('SLURM_PROCID', '-')}"
with open(name + ".tmp", "w") as file:
    json.dump(dict(os.environ), file)
os.rename(name + ".tmp", name)
"#;

/// Steps of two tasks for each node, of an order of their own, and of a job that is submitted within a step.
const STEPS: &str = "#!/bin/sh
#SBATCH --exclusive
trainit python say.py batch
srun -n6 --ntasks-per-node=2 --overcommit trainit python say.py ranks
srun -n2 -N2 -m arbitrary -w n3,n1 trainit python say.py arbitrary
srun -n1 -N1 sbatch -p low -N2 --ntasks-per-node=1 --time=10 -o inner.log inner.sh
";

/// What a trainer reads of a rank.
const RANK: [&str; 6] = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR"];

/// The batch script of docs/cluster.md.
fn recipe() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cluster.md")).unwrap();
    let begin = page.find("#!/bin/bash\n#SBATCH").unwrap();
    let length = page[begin..].find("```").unwrap();
    page[begin..begin + length].to_owned()
}

/// A directory that all nodes share, with `trainit`, `python` and the scripts.
fn lay_out() -> (tempfile::TempDir, String) {
    let work = tempfile::tempdir().unwrap();
    let programs = work.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    symlink(TRAINIT, programs.join("trainit")).unwrap();
    symlink("/usr/bin/python3", programs.join("python")).unwrap();
    for (name, text) in [("train.py", TRAIN), ("say.py", SAY), ("inner.sh", "#!/bin/sh\ntrainit python say.py inner\n")]
    {
        std::fs::write(work.path().join(name), text).unwrap();
    }
    let path = format!("PATH={}:/usr/bin:/bin", programs.display());
    (work, path)
}

#[test]
fn torchrun_trains_over_three_nodes_by_the_documents_batch_script() {
    if !torch_is_here() {
        return;
    }
    let Some(cluster) = Cluster::of(3) else { return };
    let (work, path) = lay_out();
    // Debian 12's torch 1.13 fails on its own default for the ranks' output.
    let output = ["PET_REDIRECTS=1", "PET_TEE=1", "PET_LOG_DIR=logs", "TRAINIT_CLUSTER_PROCESSES=2"];
    let settings = [&["TRAINIT_DEPS_REQUIREMENTS=off", &path], &output[..]].concat();
    let id = cluster.submit_with(work.path(), &settings, &recipe());
    let ended = || Some(cluster.state(&id)).filter(|state| ["COMPLETED", "FAILED"].contains(&state.as_str()));
    assert_eq!(cluster.until("the training to end", ended, &id), "COMPLETED", "{}", cluster.log(&id));
    for rank in 0..6 {
        let noted = std::fs::read_to_string(work.path().join(format!("rank.{rank}"))).unwrap_or_default();
        assert_eq!(noted, "6 of 6 at n1", "rank {rank}\n{}", cluster.log(&id));
    }
    let log = cluster.log(&id);
    let port = 10_000 + id.parse::<u32>().unwrap();
    let row =
        format!("n1:   ok    world   slurm step: node 0 of 3 (n1), 2 processes here, master n1:{port}; PET_NNODES");
    assert!(log.contains(&row), "{row}\n{log}");
    // The first node writes all lines, and the others their end.
    for node in ["n1", "n2", "n3"] {
        assert_eq!(log.contains(&format!("{node}:   ok ")), node == "n1", "{log}");
        assert!(log.contains(&format!("{node}: trainit: end ")), "{log}");
    }
}

#[test]
fn each_task_of_a_step_gets_its_rank_and_the_batch_script_none() {
    let Some(cluster) = Cluster::of(3) else { return };
    let (work, path) = lay_out();
    let id = cluster.submit_with(work.path(), &["TRAINIT_DEPS_REQUIREMENTS=off", &path], STEPS);
    let said = |case: String| -> Value {
        let read = || serde_json::from_slice(&std::fs::read(work.path().join(&case)).ok()?).ok();
        cluster.until(&case, read, &id)
    };
    let ranks: Vec<Value> = (0..6).map(|rank| said(format!("ranks.{rank}"))).collect();
    for (rank, variables) in ranks.iter().enumerate() {
        let (rank, local, node) = (rank.to_string(), (rank % 2).to_string(), (rank / 2).to_string());
        let wanted = [rank.as_str(), "6", &local, "2", &node, "n1"];
        assert_eq!(RANK.map(|name| variables[name].as_str().unwrap_or("-")), wanted, "{}", cluster.log(&id));
        assert_eq!(variables["MASTER_PORT"], ranks[0]["MASTER_PORT"]);
        let names = ["TRAINIT_NODES", "TRAINIT_NODE", "TRAINIT_RANK", "TRAINIT_SIZE"];
        assert_eq!(names.map(|name| variables[name].as_str().unwrap_or("-")), ["3", &node, &rank, "6"]);
    }
    // PROCID 0 is set there, too.
    let batch = said("batch.0".into());
    assert_eq!(RANK.map(|name| batch[name].as_str()), [None; 6]);
    assert_eq!((batch["TRAINIT_NODES"].as_str(), batch["TRAINIT_RANK"].as_str()), (Some("3"), None));
    // Rank 0 is on n3 there, and nothing tells that to the task on n1.
    for rank in 0..2 {
        let arbitrary = said(format!("arbitrary.{rank}"));
        assert_eq!(RANK.map(|name| arbitrary[name].as_str()), [None; 6], "{arbitrary}");
    }
    // The inner job inherits the step's variables, and its process is no task of that step.
    let inner = said("inner.0".into());
    assert_eq!(RANK.map(|name| inner[name].as_str()), [None; 6], "{inner:#}");
    assert_eq!(inner["TRAINIT_NODES"], "2", "{inner:#}");
}

#[test]
fn a_list_of_hosts_stands_for_what_scontrol_shows() {
    let Some(cluster) = Cluster::of(1) else { return };
    for list in ["n1", "n[1-3]", "r[1-2]n[01-02],x", "gpu[008-011],gpu2", "a[1,3,5-6]b[0-1]", "n[09-11]"] {
        let shown = cluster.run("scontrol", &["show", "hostnames", list]);
        assert_eq!(world::host_names(list), shown.lines().collect::<Vec<_>>(), "{list}");
    }
}
