//! `requeue: scontrol` with the batch script of docs/trainers.md: this Slurm requeues no exit code of these jobs by itself.

use crate::cluster::Cluster;
use crate::job::{Job, script};
use crate::several::lay_out;
use crate::support::TRAINIT;
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

/// The batch script with that key, with this job in place of what the page names.
fn recipe(job: &Job) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trainers.md")).unwrap();
    let scripts = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let script_of_page = scripts.into_iter().find(|text| text.contains("TRAINIT_REQUEUE=scontrol")).unwrap();
    assert!(
        script_of_page.contains("TRAINIT_CHECKPOINT_DIR=/shared/run ")
            && script_of_page.contains("exec trainit python train.py")
    );
    let train = format!(
        "TRAINIT_CHECKPOINT_PATTERN='ckpt-{{step}}.json' exec {TRAINIT} python3 {} {}",
        script("plain.py"),
        job.word()
    );
    script_of_page.replace("/shared/run", job.word()).replace("exec trainit python train.py", &train)
}

/// Starts the requeued job, which Slurm would let wait for two minutes, and waits until it has gone on and finished.
///
/// Slurm revokes a job's credentials up to the second in which `scontrol requeue` ends it, so the next start is in a later one.
#[track_caller]
fn assert_goes_on(cluster: &Cluster, job: &Job, id: &str, saved: u64) {
    cluster.until("the job to be requeued", || (cluster.state(id) == "PENDING").then_some(()), id);
    cluster.run("scontrol", &["update", &format!("JobId={id}"), "StartTime=now+2"]);
    cluster.until("the job to finish", || (cluster.state(id) == "COMPLETED").then_some(()), id);
    assert_eq!(job.rank(0).unwrap().first, saved + 1, "{}", cluster.log(id));
    assert_eq!((cluster.field(id, "Restarts"), cluster.field(id, "ExitCode")), ("1".into(), "0:0".into()));
    job.assert_nobody_left();
}

#[test]
fn a_preempted_job_has_slurm_start_it_again_without_an_exit_code_that_requeues() {
    let Some(cluster) = Cluster::start() else { return };
    let job = Job::new();
    let id = cluster.submit("low", &["--signal=B:USR1@30"], &recipe(&job));
    cluster.wait_for_steps(&job, &id);
    let other = cluster.submit("high", &[], "#!/bin/sh\ntrue\n");
    let saved = crate::assert_saved(&cluster, &job, &id);
    cluster.until("the other job to run instead", || (cluster.state(&other) == "COMPLETED").then_some(()), &id);
    assert_goes_on(&cluster, &job, &id, saved);
    let log = cluster.log(&id);
    assert!(log.contains(&format!("requeue: Slurm starts job {id} again")), "{log}");
    assert!(log.contains("USR1") && log.contains("ends with 143"), "{log}");
    let told = history(job.path());
    assert_eq!(ends(&told), [("stopped", 143), ("done", 0)], "{told:#}");
    assert!(told["attempts"][0]["end"]["asked_by"].as_str().is_some_and(|by| by.starts_with("SIGUSR1")), "{told:#}");
    assert_eq!(
        (&told["attempts"][1]["gap"], &told["attempts"][0]["start"]["job"]),
        (&"between".into(), &id.as_str().into())
    );
    assert_adds_up(&told);
}

/// What `trainit history --json` prints.
fn history(place: &Path) -> Json {
    let output = Command::new(TRAINIT).args(["history", "--json"]).arg(place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ends(told: &Json) -> Vec<(&str, u64)> {
    let end = |attempt: &Json| attempt["end"]["code"].as_u64().unwrap_or(999);
    let attempts = told["attempts"].as_array().unwrap().iter();
    attempts.map(|attempt| (attempt["reason"].as_str().unwrap_or("runs"), end(attempt))).collect()
}

/// Fails unless the parts are the time from the first start to the last end.
fn assert_adds_up(told: &Json) {
    let sum = &told["sum"];
    let number = |of: &Json| of.as_f64().unwrap();
    let parts: f64 = sum["parts"].as_object().unwrap().values().map(number).sum();
    let wall = number(&sum["until"]) - number(&sum["since"]);
    assert!((parts - wall).abs() < 1.0, "{parts} of {wall}: {sum:#}");
}

#[test]
fn a_stopped_job_starts_again_and_a_cancelled_or_failed_one_does_not() {
    let Some(cluster) = Cluster::start() else { return };
    let job = Job::new();
    let id = cluster.submit("low", &[], &recipe(&job));
    cluster.wait_for_steps(&job, &id);
    cluster.run("scancel", &["--batch", "--signal=TERM", &id]);
    let saved = crate::assert_saved(&cluster, &job, &id);
    assert_goes_on(&cluster, &job, &id, saved);

    let job = Job::new();
    let id = cluster.submit("low", &[], &recipe(&job));
    cluster.wait_for_steps(&job, &id);
    cluster.run("scancel", &[&id]);
    crate::assert_saved(&cluster, &job, &id);
    cluster.until("the job to be cancelled", || (cluster.state(&id) == "CANCELLED").then_some(()), &id);
    cluster.until("the last word", || cluster.log(&id).contains("is being ended by Slurm").then_some(()), &id);
    assert_ne!(cluster.field(&id, "Restarts"), "1");

    let id = cluster.submit(
        "low",
        &[],
        &format!("#!/bin/sh\nexport TRAINIT_REQUEUE=scontrol\nexec {TRAINIT} run --mode train -- sh -c 'exit 7'\n"),
    );
    cluster.until("the job to fail", || (cluster.state(&id) == "FAILED").then_some(()), &id);
    assert_eq!((cluster.field(&id, "Restarts"), cluster.field(&id, "ExitCode")), ("0".into(), "7:0".into()));
}

/// A step of three nodes, whose processes are all told of a preemption.
const STEP: &str = "#!/bin/bash
#SBATCH --requeue --open-mode=append
export TRAINIT_EXIT_MAP=143=0 TRAINIT_STOP_ON=USR1=stop TRAINIT_REQUEUE=scontrol TRAINIT_HISTORY_FILE=$PWD/$CASE.jsonl
srun --kill-on-bad-exit=1 trainit python train.py
";

#[test]
fn of_several_nodes_the_first_has_the_job_started_again_and_a_failed_node_does_not() {
    let Some(cluster) = Cluster::of(3) else { return };
    let work = tempfile::tempdir().unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", lay_out(work.path()).display());
    let submit = |case: &str| {
        let case = format!("CASE={case}");
        cluster.submit_with(work.path(), &["TRAINIT_DEPS_REQUIREMENTS=off", &path, &case], STEP)
    };
    let all = |what: &str| (0..3).all(|rank| work.path().join(format!("{}.{rank}.{what}", "preempted.0")).exists());
    let (preempted, own) = (submit("preempted"), submit("own"));
    cluster.until("all ranks to run", || all("runs").then_some(()), &preempted);
    cluster.run("scancel", &["--signal=USR1", &preempted]);
    cluster.until("the job to be requeued", || (cluster.state(&preempted) == "PENDING").then_some(()), &preempted);
    assert!(all("saved"), "{}", cluster.log(&preempted));
    cluster.run("scontrol", &["update", &format!("JobId={preempted}"), "StartTime=now+2"]);
    cluster.until("its end", || (cluster.state(&preempted) == "COMPLETED").then_some(()), &preempted);
    let log = cluster.log(&preempted);
    assert_eq!(cluster.field(&preempted, "Restarts"), "1", "{log}");
    // The three nodes are one attempt, which the first of them writes.
    let told = history(&work.path().join("preempted.jsonl"));
    assert_eq!(ends(&told), [("stopped", 0), ("done", 0)], "{told:#}");
    assert_eq!((&told["attempts"][0]["start"]["nodes"], &told["skipped"]), (&3.into(), &0.into()), "{told:#}");
    assert_adds_up(&told);
    assert!(log.contains("n1: trainit: end   python train.py: exit code 0; stopped by SIGUSR1"), "{log}");

    cluster.until("the other job to fail", || (cluster.state(&own) == "FAILED").then_some(()), &own);
    let log = cluster.log(&own);
    assert_eq!((cluster.field(&own, "ExitCode"), cluster.field(&own, "Restarts")), ("1:0".into(), "0".into()), "{log}");
    assert!(log.contains("requeue: not asked for"), "{log}");
}
