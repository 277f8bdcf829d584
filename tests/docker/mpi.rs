//! An MPIJob as Kubeflow's MPI operator sets it up: workers that run sshd, and a launcher whose mpirun starts the ranks by ssh, each pod a
//! container on one network with names. The launcher's Open MPI is the one of `MPIRUN`, which scripts/setup installs from Python's index.
//!
//! Source of the variables and files: pkg/controller/mpi_job_controller.go of kubeflow/mpi-operator 0.8.2.

use crate::harness::{Container, Run, skipped};
use crate::images::mpi;
use crate::nodes::Network;
use std::path::PathBuf;

/// A rank that says where it runs, and that needs a second to save at a stop.
const RANK: &str = "trap 'sleep 1; echo rank $RANK saved; exit' TERM; \
                    echo rank=$RANK of=$WORLD_SIZE on=$(hostname) master=$MASTER_ADDR pod=$POD; while :; do sleep 0.1; done";

/// The pods of one job.
struct Pods {
    image: String,
    network: Network,
    /// The directory of Open MPI, which the wheel has found itself to be in.
    prefix: String,
}

impl Pods {
    /// Nothing, and a printed reason, where the image or Open MPI cannot be had.
    fn new() -> Option<Self> {
        let Some(mpirun) = std::env::var_os("MPIRUN").map(PathBuf::from) else {
            skipped("no mpirun of a wheel (scripts/setup installs it, and MPIRUN names it)");
            return None;
        };
        let prefix = mpirun.parent()?.parent()?.to_str()?.to_owned();
        Some(Pods { image: mpi()?, network: Network::new(), prefix })
    }

    fn pod(&self, name: &str, options: &str) -> Run {
        let (network, prefix) = (&self.network.0, &self.prefix);
        let path = format!("{prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Run::of(&self.image)
            .with(&format!(
                "--network {network} --hostname {name} --network-alias {name}.digits.team.svc --shm-size 1g"
            ))
            .with(&format!("-v {prefix}:{prefix}:ro -e PATH={path} -e KUBERNETES_SERVICE_HOST=10.96.0.1 {options}"))
    }

    /// The two workers, once they answer; the first one with more options.
    fn workers(&self, first: &str) -> [Container; 2] {
        let worker = |index: usize, more: &str| {
            let variables =
                format!("-e K_MPI_JOB_ROLE=worker -e POD=worker-{index} -e TRAINIT_STOP_ON=USR1=stop {more}");
            self.pod(&format!("digits-worker-{index}"), &variables).command(&["ssh"]).start()
        };
        let both = [worker(0, first), worker(1, "")];
        both.iter().for_each(|worker| worker.wait_for_text("ready after"));
        both
    }

    fn launcher(&self, options: &[&str], words: &[&str]) -> Container {
        let variables = "-e K_MPI_JOB_ROLE=launcher -e OMPI_MCA_orte_keep_fqdn_hostnames=true \
            -e OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile -e OMPI_MCA_orte_set_default_slots=1 \
            -e OMPI_MCA_plm_rsh_args=-oConnectionAttempts=10 -e NVIDIA_VISIBLE_DEVICES= -e NVIDIA_DRIVER_CAPABILITIES= \
            -e TRAINIT_STOP_SIGNAL=USR1";
        let mpirun = ["mpirun", "--allow-run-as-root", "--prefix", &self.prefix, "-np", "2"];
        let words = [&mpirun, options, &["trainit"], words].concat();
        self.pod("digits-launcher", variables).command(&words).start()
    }
}

#[test]
fn an_mpi_jobs_ranks_run_on_its_workers_meet_and_save_when_the_launcher_is_stopped() {
    let Some(pods) = Pods::new() else { return };
    let _workers = pods.workers("");
    let launcher = pods.launcher(&[], &["sh", "-c", RANK]);
    for rank in 0..2 {
        let master = "master=digits-worker-0.digits.team.svc";
        launcher.wait_for_text(&format!("rank={rank} of=2 on=digits-worker-{rank} {master} pod=worker-{rank}"));
    }
    launcher.stop(60);
    let ended = launcher.ended().expect_code(143);
    ended.expect_text(&[
        "MPI launcher: the launcher of 2 nodes, which is no rank; PRTE_MCA_prte_default_hostfile",
        "all 2 ranks are ready",
        "rank 0 saved",
        "rank 1 saved",
    ]);
}

#[test]
fn one_worker_pods_reason_ends_all_ranks_of_an_mpi_job_and_its_launcher() {
    let Some(pods) = Pods::new() else { return };
    let _workers = pods.workers(&format!("-v {}:/srv/data:ro", pods.prefix));
    let launcher = pods.launcher(&["-x", "TRAINIT_DATA=/srv/data"], &["sh", "-c", "echo it runs"]);
    let ended = launcher.ended().expect_code(111).expect_text(&["rank 1 of 2 (digits-worker-1): data: /srv/data"]);
    assert!(!ended.text.lines().any(|line| line == "it runs"), "{}", ended.text);
}
