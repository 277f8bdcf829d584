//! trainit as the batch process and as the task of a step of a real Slurm, on this machine alone: preempted, it saves, ends with the
//! code that RequeueExit names, and the next start goes on. Needs root, slurmctld, slurmd and munged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod cluster;
mod examples;
mod exchange;
mod jax;
#[path = "../trainers/job.rs"]
#[allow(dead_code, reason = "the other tests of trainers use the rest")]
mod job;
mod mpi;
mod nodes;
#[path = "../trainers/packages.rs"]
mod packages;
mod preempted;
mod ray;
mod requeue;
mod several;
#[path = "../support/mod.rs"]
mod support;
mod world;

use cluster::{Cluster, REQUEUE_EXIT};
use job::{Job, script};
use support::TRAINIT;

/// The job as a batch script's last line, and what trainit is told.
fn batch(job: &Job, exec: &str) -> String {
    let settings = format!(
        "TRAINIT_CHECKPOINT_DIR={dir} TRAINIT_CHECKPOINT_PATTERN=ckpt-{{step}}.json TRAINIT_CHECKPOINT_RESUME=env \
         TRAINIT_STOP_EXIT_CODE={REQUEUE_EXIT} TRAINIT_STOP_ON=USR1=stop",
        dir = job.word()
    );
    let train = script("plain.py");
    format!("#!/bin/sh\nexport {settings}\nexec {exec}{TRAINIT} run -- python3 {train} {}\n", job.word())
}

/// What is there once a stop was asked for and has been followed.
#[track_caller]
fn assert_saved(cluster: &Cluster, job: &Job, id: &str) -> u64 {
    let rank = cluster.until("the rank to leave", || job.rank(0).filter(|rank| rank.left), id);
    assert_eq!(rank.signals, 1, "told more than once\n{}", cluster.log(id));
    assert_eq!(job.checkpoints(), [rank.step], "{}", cluster.log(id));
    rank.step
}

#[test]
fn a_preempted_job_saves_is_requeued_and_goes_on() {
    let Some(cluster) = Cluster::start() else { return };
    let job = Job::new();
    let id = cluster.submit("low", &["--requeue", "--signal=B:USR1@30"], &batch(&job, ""));
    cluster.wait_for_steps(&job, &id);
    let other = cluster.submit("high", &[], "#!/bin/sh\ntrue\n");
    let saved = assert_saved(&cluster, &job, &id);
    cluster.until("the other job to run instead", || (cluster.state(&other) == "COMPLETED").then_some(()), &id);

    // Slurm waits two minutes before it starts a requeued job.
    cluster.until("the job to go on", || cluster.start_now(&id).then_some(()), &id);
    cluster.until("the job to finish", || (cluster.state(&id) == "COMPLETED").then_some(()), &id);
    assert_eq!(job.rank(0).unwrap().first, saved + 1, "{}", cluster.log(&id));
    assert_eq!((cluster.field(&id, "Restarts"), cluster.field(&id, "ExitCode")), ("1".into(), "0:0".into()));
    let log = cluster.log(&id);
    for told in ["USR1", "newest checkpoint", &format!("ends with {REQUEUE_EXIT}"), &format!("step {saved}")] {
        assert!(log.contains(told), "{told}: {log}");
    }
    job.assert_nobody_left();
}

#[test]
fn the_exit_code_alone_makes_slurm_requeue() {
    let Some(cluster) = Cluster::start() else { return };
    let job = Job::new();
    let id = cluster.submit("low", &["--requeue"], &batch(&job, ""));
    cluster.wait_for_steps(&job, &id);
    cluster.run("scancel", &["--batch", "--signal=USR1", &id]);
    assert_saved(&cluster, &job, &id);
    cluster.until("the job to be requeued", || (cluster.field(&id, "Restarts") == "1").then_some(()), &id);
    cluster.run("scancel", &[&id]);
}

#[test]
fn a_cancelled_job_saves_within_slurms_kill_wait() {
    let Some(cluster) = Cluster::start() else { return };
    // As the batch process Slurm signals trainit alone; as a step's task it signals trainit's process group.
    for exec in ["", "srun "] {
        let job = Job::new();
        let id = cluster.submit("low", &["--no-requeue"], &batch(&job, exec));
        cluster.wait_for_steps(&job, &id);
        cluster.run("scancel", &[&id]);
        assert_saved(&cluster, &job, &id);
        cluster.until("the job to be cancelled", || (cluster.state(&id) == "CANCELLED").then_some(()), &id);
        job.assert_nobody_left();
    }
}
