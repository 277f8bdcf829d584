//! Jobs of three nodes, with the batch script of docs/exit-codes.md as it stands there, and what Slurm's end of a step leaves behind.

use crate::cluster::Cluster;
use crate::support::TRAINIT;
use crate::support::look::{start_time, until_true};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Each rank notes that it runs; it saves when it is asked to stop. A second start ends by itself.
const TRAIN: &str = r#"import os, signal, sys, time
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
case, start, rank = os.environ["CASE"], os.environ.get("SLURM_RESTART_COUNT", "0"), os.environ["SLURM_PROCID"]
def note(what):
    open(f"{case}.{start}.{rank}.{what}", "w").close()
note("runs")
end = time.time() + (600 if start == "0" else 0.2)
while time.time() < end and not got:
    if case == "own" and rank == "2" and all(os.path.exists(f"own.0.{other}.runs") for other in "01"):
        sys.exit(1)
    time.sleep(0.05)
if got:
    note("saved")
"#;

/// A node that is busy at the first start, and fit at the second.
const HOOK: &str = "#!/bin/sh\n[ \"$(hostname)\" != n3 ] || [ -n \"$SLURM_RESTART_COUNT\" ] || exit 75\n";

/// The first shell script of docs/exit-codes.md that a batch system can read.
pub fn recipe() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/exit-codes.md")).unwrap();
    let begin = page.find("#!/bin/bash\n#SBATCH").unwrap();
    let length = page[begin..].find("```").unwrap();
    page[begin..begin + length].to_owned()
}

/// What the script names: `trainit`, `python` and `train.py`.
pub fn lay_out(directory: &Path) -> PathBuf {
    let programs = directory.join("bin");
    std::fs::create_dir(&programs).unwrap();
    symlink(TRAINIT, programs.join("trainit")).unwrap();
    symlink("/usr/bin/python3", programs.join("python")).unwrap();
    std::fs::write(directory.join("train.py"), TRAIN).unwrap();
    let hook = directory.join("hook.sh");
    std::fs::write(&hook, HOOK).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    programs
}

#[test]
fn the_documents_batch_script_requeues_what_can_help_and_nothing_else() {
    let Some(cluster) = Cluster::of(3) else { return };
    let work = tempfile::tempdir().unwrap();
    let programs = lay_out(work.path());
    for node in ["n1", "n2"] {
        cluster.node(node).sh(
            "mount -t tmpfs tmpfs /mnt && mkdir /mnt/data && mount -t tmpfs tmpfs /mnt/data && echo x > /mnt/data/x",
            &[],
        );
    }
    let hook = format!("TRAINIT_HOOKS_BEFORE_START={}", work.path().join("hook.sh").display());
    let submit = |case: &str, settings: &[&str]| {
        let path = format!("PATH={}:/usr/bin:/bin", programs.display());
        let case = format!("CASE={case}");
        let settings = [&["TRAINIT_DEPS_REQUIREMENTS=off", &path, &case], settings].concat();
        cluster.submit_with(work.path(), &settings, &recipe())
    };
    let noted = |what: String| work.path().join(what).exists();
    let mount = submit("mount", &["TRAINIT_DATA=/mnt/data"]);
    let own = submit("own", &[]);
    let busy = submit("busy", &[&hook]);
    let preempted = submit("preempted", &[]);

    cluster.until(
        "all ranks to run",
        || (0..3).all(|rank| noted(format!("preempted.0.{rank}.runs"))).then_some(()),
        &preempted,
    );
    cluster.run("scancel", &["--batch", "--signal=USR1", &preempted]);
    let requeued = |id: &str| (cluster.field(id, "Restarts") == "1").then_some(());
    cluster.until("the preempted job to be requeued", || requeued(&preempted), &preempted);
    assert!((0..3).all(|rank| noted(format!("preempted.0.{rank}.saved"))), "{}", cluster.log(&preempted));
    cluster.until("the busy node's job to be requeued", || requeued(&busy), &busy);
    for id in [&busy, &preempted] {
        cluster.until("the second start", || cluster.start_now(id).then_some(()), id);
        cluster.until("its end", || (cluster.state(id) == "COMPLETED").then_some(()), id);
        assert_eq!(cluster.field(id, "Restarts"), "1", "{}", cluster.log(id));
    }
    for (id, code) in [(&mount, "111:0"), (&own, "1:0")] {
        cluster.until("it to fail", || (cluster.state(id) == "FAILED").then_some(()), id);
        let end = (cluster.field(id, "ExitCode"), cluster.field(id, "Restarts"));
        assert_eq!(end, (code.to_owned(), "0".to_owned()), "{}", cluster.log(id));
    }
}

#[test]
fn a_step_that_slurm_kills_by_its_group_leaves_no_trainer_on_the_node() {
    let Some(cluster) = Cluster::of(1) else { return };
    let work = tempfile::tempdir().unwrap();
    let deaf = "import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: None); open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid')\nwhile True: time.sleep(60)";
    std::fs::write(work.path().join("deaf.py"), deaf).unwrap();
    for command in ["python3 deaf.py", "sh -c 'setsid python3 deaf.py & wait'"] {
        let script = format!("#!/bin/sh\nsrun {TRAINIT} run -- {command}\n");
        let id = cluster.submit_with(work.path(), &["TRAINIT_DEPS_REQUIREMENTS=off"], &script);
        let file = work.path().join("pid");
        let pid: i32 = cluster.until("the trainer", || std::fs::read_to_string(&file).ok()?.parse().ok(), &id);
        std::fs::remove_file(&file).unwrap();
        let start = start_time(pid);
        cluster.run("scancel", &[&id]);
        until_true("the trainer is gone", || start_time(pid) != start);
        cluster.until(
            "an idle node",
            || cluster.run("sinfo", &["-h", "-o", "%T", "-p", "low"]).contains("idle").then_some(()),
            &id,
        );
    }
}
