//! Jobs of several nodes that a job of higher priority preempts. Where the partition requeues, torchrun's ranks save once, come back on other
//! nodes and go on at one step; where it cancels, they save, and that is the end.

use crate::cluster::Cluster;
use crate::job::torch_is_here;
use crate::several::{lay_out, recipe};
use std::path::Path;

/// Each rank notes where and at which step it begins and ends; the first one saves. A second start ends by itself.
const TRAIN: &str = r#"import os, signal, time, torch, torch.distributed as dist
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
dist.init_process_group("gloo")
start, rank = os.environ.get("SLURM_RESTART_COUNT", "0"), dist.get_rank()
first = int(os.environ.get("TRAINIT_RESUME_STEP") or -1) + 1
def put(name, text):
    with open(name + ".tmp", "w") as file:
        file.write(text)
    os.rename(name + ".tmp", name)
step, work = first, torch.zeros(1)
while not work and (start == "0" or step < first + 3):
    work = torch.tensor([float(len(asked))])
    dist.all_reduce(work)
    if step == first:
        put(f"began.{start}.{rank}", f"{first} on {os.uname().nodename}")
    step += 1
    time.sleep(0.05)
if rank == 0:
    put(f"run/ckpt-{step}.json", "{}")
dist.barrier()
put(f"ended.{start}.{rank}", str(step))
"#;

/// What each rank noted; none until all have.
fn noted(work: &Path, what: &str) -> Option<Vec<String>> {
    (0..3).map(|rank| std::fs::read_to_string(work.join(format!("{what}.{rank}"))).ok()).collect()
}

/// The steps of the checkpoints that there are.
fn saved(work: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(work.join("run")).unwrap().flatten();
    let step = |name: String| name.strip_prefix("ckpt-")?.strip_suffix(".json")?.parse().ok();
    let mut steps: Vec<u64> = names.filter_map(|entry| step(entry.file_name().into_string().ok()?)).collect();
    steps.sort_unstable();
    steps
}

#[test]
fn a_preempted_torchrun_saves_once_and_goes_on_at_one_step_on_other_nodes() {
    if !torch_is_here() {
        return;
    }
    let Some(cluster) = Cluster::of(4) else { return };
    let work = tempfile::tempdir().unwrap();
    let (work, programs) = (work.path(), lay_out(work.path()));
    std::fs::write(work.join("train.py"), TRAIN).unwrap();
    std::fs::create_dir(work.join("run")).unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", programs.display());
    let checkpoints = format!("TRAINIT_CHECKPOINT_DIR={}", work.join("run").display());
    // Debian 12's torch 1.13 fails on its own default for the ranks' output.
    let settings = [
        "TRAINIT_DEPS_REQUIREMENTS=off",
        "TRAINIT_CHECKPOINT_PATTERN=ckpt-{step}.json",
        "TRAINIT_CHECKPOINT_RESUME=env",
        "TRAINIT_CLUSTER_PROCESSES=1",
        "PET_REDIRECTS=1",
        "PET_TEE=1",
        "PET_LOG_DIR=logs",
        &path,
        &checkpoints,
    ];
    let script = recipe().replace("trainit python train.py", "trainit torchrun train.py");
    let id = cluster.submit_over("low", 3, work, &settings, &script);
    let began = cluster.until("all ranks to train", || noted(work, "began.0"), &id);
    assert_eq!(began, ["0 on n1", "0 on n2", "0 on n3"], "{}", cluster.log(&id));

    let other = cluster.submit("high", &["-w", "n1"], "#!/bin/sh\nsleep 600\n");
    let ended = cluster.until("all ranks to stop", || noted(work, "ended.0"), &id);
    cluster.until("the other job to run instead", || (cluster.state(&other) == "RUNNING").then_some(()), &id);
    let steps = saved(work);
    assert_eq!((ended, steps.len()), (vec![steps[0].to_string(); 3], 1), "{steps:?}\n{}", cluster.log(&id));

    cluster.until("the job to be requeued", || (cluster.state(&id) == "PENDING").then_some(()), &id);
    cluster.run("scontrol", &["update", &format!("JobId={id}"), "StartTime=now+2"]);
    cluster.until("the job to finish", || (cluster.state(&id) == "COMPLETED").then_some(()), &id);
    let (first, last) = (steps[0] + 1, steps[0] + 4);
    let began = noted(work, "began.1").unwrap_or_default();
    assert_eq!(began, ["n2", "n3", "n4"].map(|node| format!("{first} on {node}")), "{}", cluster.log(&id));
    assert_eq!((noted(work, "ended.1"), saved(work)), (Some(vec![last.to_string(); 3]), vec![steps[0], last]));
    assert_eq!((cluster.field(&id, "Restarts"), cluster.field(&id, "ExitCode")), ("1".into(), "0:0".into()));
}

#[test]
fn a_job_that_its_partition_cancels_saves_and_does_not_come_back() {
    let Some(cluster) = Cluster::of(2) else { return };
    let work = tempfile::tempdir().unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", lay_out(work.path()).display());
    let settings = ["TRAINIT_DEPS_REQUIREMENTS=off", "CASE=cancelled", &path];
    let script = "#!/bin/sh\nexec srun trainit python train.py\n";
    let id = cluster.submit_over("spot", 2, work.path(), &settings, script);
    let all = |what: &str| (0..2).all(|rank| work.path().join(format!("cancelled.0.{rank}.{what}")).exists());
    cluster.until("all ranks to run", || all("runs").then_some(()), &id);
    let other = cluster.submit("high", &["-w", "n2"], "#!/bin/sh\ntrue\n");
    cluster.until("the other job to run instead", || (cluster.state(&other) == "COMPLETED").then_some(()), &id);
    assert!(all("saved"), "{}", cluster.log(&id));
    // It ended by itself within the grace, so Slurm calls it failed, with the code of a stop.
    cluster.until("the end", || (cluster.state(&id) == "FAILED").then_some(()), &id);
    let end = ["ExitCode", "Restarts"].map(|name| cluster.field(&id, name));
    assert_eq!(end, ["143:0", "0"], "{}", cluster.log(&id));
}
