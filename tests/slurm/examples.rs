//! examples/slurm as it stands there, with the digits of examples/digits: stopped in the middle it saves, Slurm starts it again, and it
//! finishes.

use crate::cluster::Cluster;
use crate::packages;
use crate::support::TRAINIT;
use std::os::unix::fs::symlink;
use std::path::Path;

#[test]
fn the_digits_job_is_stopped_requeued_and_finished() {
    let Some(cluster) = Cluster::start() else { return };
    let Some(python) = packages::environment("digits", &["safetensors"]) else { return };
    let work = tempfile::tempdir().unwrap();
    symlink(TRAINIT, work.path().join("trainit")).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let script = std::fs::read_to_string(examples.join("slurm/digits.sh")).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", work.path().display(), python.join("bin").display());
    let out = work.path().join("out");
    let id = cluster.submit(
        "low",
        &[
            &format!("--export=ALL,PATH={path},OUT={},PACE=0.3", out.display()),
            &format!("--chdir={}", examples.join("digits").display()),
        ],
        &script,
    );
    cluster.until("a few epochs", || cluster.log(&id).contains("epoch  3").then_some(()), &id);
    cluster.run("scancel", &["--batch", "--signal=USR1", &id]);
    cluster.until("the job to be requeued", || (cluster.state(&id) == "PENDING").then_some(()), &id);
    cluster.run("scontrol", &["update", &format!("JobId={id}"), "StartTime=now+2"]);
    cluster.until("the job to finish", || (cluster.state(&id) == "COMPLETED").then_some(()), &id);
    let log = cluster.log(&id);
    assert!(out.join("DONE").exists() && log.contains("resuming from"), "{log}");
    assert_eq!((cluster.field(&id, "Restarts"), cluster.field(&id, "ExitCode")), ("1".into(), "0:0".into()), "{log}");
}
