//! Nodes of one step that meet before anything runs: one refuses, one never comes, a name appears late, a node's packets are lost, and
//! checkpoints are on each node's own disk.

use crate::cluster::Cluster;
use crate::support::TRAINIT;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

/// Most seconds between a deadline and the end of a job: Slurm takes its time to start and to end a step on a busy machine.
const SLACK: Duration = Duration::from_secs(60);

/// A batch script whose step is one process on each node.
fn step(options: &str, command: &str) -> String {
    format!("#!/bin/sh\nexport TRAINIT_DEPS_REQUIREMENTS=off\nexec srun {options} {command}\n")
}

/// Runs a job to its end, and returns its exit code and its log.
fn end_of(cluster: &Cluster, settings: &[&str], script: &str) -> (String, String) {
    let work = tempfile::tempdir().unwrap();
    let id = cluster.submit_with(work.path(), settings, script);
    let over = |state: &str| ["FAILED", "COMPLETED", "CANCELLED", "NODE_FAIL", "TIMEOUT"].contains(&state);
    cluster.until("the job to end", || over(&cluster.state(&id)).then_some(()), &id);
    assert_eq!(cluster.field(&id, "Restarts"), "0", "{}", cluster.log(&id));
    (cluster.field(&id, "ExitCode"), cluster.log(&id))
}

#[test]
fn one_nodes_reason_is_the_reason_of_all_with_and_without_killing_the_step() {
    let Some(cluster) = Cluster::of(3) else { return };
    for node in ["n1", "n2"] {
        cluster.node(node).sh(
            "mount -t tmpfs tmpfs /mnt && mkdir /mnt/data && mount -t tmpfs tmpfs /mnt/data && echo x > /mnt/data/x",
            &[],
        );
    }
    for options in ["", "--kill-on-bad-exit=1"] {
        let (code, log) =
            end_of(&cluster, &["TRAINIT_DATA=/mnt/data"], &step(options, &format!("{TRAINIT} sleep 600")));
        assert_eq!(code, "111:0", "{options}: {log}");
        for node in ["n1", "n2", "n3"] {
            let told = format!("{node}:   fail  data    node 2 of 3 (n3): data: /mnt/data");
            assert!(log.contains(&told), "{options}: {told}\n{log}");
        }
        assert!(!log.contains("143"), "a node was only stopped\n{log}");
    }
}

#[test]
fn who_never_comes_is_named_and_who_is_late_is_waited_for() {
    let Some(cluster) = Cluster::of(3) else { return };
    let missing = format!("sh -c '[ \"$SLURM_PROCID\" = 1 ] || exec {TRAINIT} sleep 600'");
    let begun = Instant::now();
    let (code, log) = end_of(&cluster, &["TRAINIT_CLUSTER_WAIT=4s"], &step("", &missing));
    assert_eq!(code, "219:0", "{log}");
    assert_eq!(log.matches("node 1 of 3 did not come within 4 s").count(), 2, "{log}");
    assert!(begun.elapsed() < SLACK, "{:?}\n{log}", begun.elapsed());

    // The name of node 0 appears while the others look for it.
    let work = tempfile::tempdir().unwrap();
    let settings = ["TRAINIT_CLUSTER_MASTER=late-name", "TRAINIT_LOG_LEVEL=debug"];
    let id =
        cluster.submit_with(work.path(), &settings, &step("", &format!("{TRAINIT} sh -c 'echo $SLURM_PROCID runs'")));
    let seen = |text: &str| cluster.log(&id).contains(text).then_some(());
    cluster.until("a node that finds no address", || seen("late-name:"), &id);
    cluster.until("a node that tells so", || seen("has no address here"), &id);
    let mut hosts = OpenOptions::new().append(true).open(cluster.hosts()).unwrap();
    hosts.write_all(b"10.77.0.11 late-name\n").unwrap();
    cluster.until("the end", || (cluster.state(&id) == "COMPLETED").then_some(()), &id);
    for rank in 0..3 {
        assert!(cluster.log(&id).contains(&format!("{rank} runs")), "{}", cluster.log(&id));
    }
}

#[test]
fn a_node_whose_packets_are_lost_is_told_apart_and_own_disks_give_one_step() {
    let Some(cluster) = Cluster::of(3) else { return };
    // A second address of node 0, to which n3 sends what nobody takes: nothing comes back, as behind a filter.
    cluster.node("n1").sh("ip addr add 10.77.0.50/24 dev eth0", &[]);
    cluster.node("n3").sh("ip neigh replace 10.77.0.50 lladdr 02:00:00:00:00:01 dev eth0 nud permanent", &[]);
    let settings = ["TRAINIT_CLUSTER_MASTER=10.77.0.50", "TRAINIT_CLUSTER_WAIT=6s"];
    let (code, log) = end_of(&cluster, &settings, &step("", &format!("{TRAINIT} sleep 600")));
    assert_eq!(code, "219:0", "{log}");
    assert_eq!(log.matches("node 2 of 3 did not come within 6 s").count(), 2, "{log}");
    assert!(log.contains("nothing came back from 10.77.0.50:"), "{log}");

    for (node, steps) in [("n1", "100 200 300"), ("n2", "100 200"), ("n3", "200 400")] {
        let make = "mount -t tmpfs tmpfs /srv && mkdir /srv/ck && for step in $0; do echo '{}' > /srv/ck/ckpt-$step.json; done";
        cluster.node(node).sh(make, &[steps]);
    }
    let settings = [
        "TRAINIT_CHECKPOINT_DIR=/srv/ck",
        "TRAINIT_CHECKPOINT_RESUME=env",
        "TRAINIT_CHECKPOINT_PATTERN=ckpt-{step}.json",
    ];
    let say = format!("{TRAINIT} sh -c 'echo \"rank $SLURM_PROCID from $TRAINIT_RESUME_STEP\"'");
    let (code, log) = end_of(&cluster, &settings, &step("", &say));
    assert_eq!(code, "0:0", "{log}");
    for rank in 0..3 {
        assert!(log.contains(&format!("rank {rank} from 200")), "{log}");
    }
}
