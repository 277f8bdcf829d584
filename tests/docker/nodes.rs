//! The pods of each kind of Kubernetes job as containers on one network with names: no controller runs, so their environments are written
//! down here (docs/cluster.md names the variables). Each pod finds its world, and the pods of a job meet by the names that its kind gives.

use crate::harness::{Container, Run, docker, docker_says, unique_name};
use crate::images::{Image, image};

/// A network that is removed when the test lets go of it.
pub struct Network(pub String);

impl Network {
    pub fn new() -> Self {
        let name = unique_name();
        docker_says(["network", "create", "--label", "trainit.test", &name]);
        Network(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(["network", "rm", &self.0]);
    }
}

/// A job: the pods' host names with their domain, the name by which others find each, and the variables, in which `{}` is the node's index.
struct Kind {
    hosts: [&'static str; 2],
    domain: &'static str,
    known_as: [&'static str; 2],
    variables: &'static str,
    /// The world of the second pod, in the row's words.
    world: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind {
        hosts: ["indexed-0", "indexed-1"],
        domain: "indexed.team.svc.cluster.local",
        known_as: ["indexed-0.indexed.team.svc.cluster.local", "indexed-1.indexed.team.svc.cluster.local"],
        variables: "JOB_COMPLETION_INDEX={} TRAINIT_CLUSTER_NODES=2",
        world: "indexed Job: node 1 of 2 (indexed-1), master indexed-0.indexed.team.svc.cluster.local:29500",
    },
    Kind {
        hosts: ["set-workers-0-0", "set-workers-0-1"],
        domain: "set.team.svc.cluster.local",
        known_as: ["set-workers-0-0.set.team.svc.cluster.local", "set-workers-0-1.set.team.svc.cluster.local"],
        variables: "JOB_COMPLETION_INDEX={} TRAINIT_CLUSTER_NODES=2",
        world: "JobSet: node 1 of 2 (set-workers-0-1), master set-workers-0-0.set.team.svc.cluster.local:29500",
    },
    Kind {
        hosts: ["lws-0", "lws-0-1"],
        domain: "lws.team.svc.cluster.local",
        known_as: ["lws-0.lws.team", "lws-0-1.lws.team"],
        variables: "LWS_LEADER_ADDRESS=lws-0.lws.team LWS_GROUP_SIZE=2 LWS_WORKER_INDEX={}",
        world: "LeaderWorkerSet: node 1 of 2 (lws-0-1), master lws-0.lws.team:29500",
    },
    Kind {
        hosts: ["pytorch-master-0", "pytorch-worker-0"],
        domain: "team.svc.cluster.local",
        known_as: ["pytorch-master-0", "pytorch-worker-0"],
        variables: "MASTER_ADDR=pytorch-master-0 MASTER_PORT=23456 RANK={} WORLD_SIZE=16 PET_NNODES=2 PET_NODE_RANK={} \
                    PET_NPROC_PER_NODE=8 PET_MASTER_ADDR=pytorch-master-0 PET_MASTER_PORT=23456",
        world: "PyTorchJob: node 1 of 2 (pytorch-worker-0), 8 processes here, master pytorch-master-0:23456",
    },
    Kind {
        hosts: ["train-node-0-0", "train-node-0-1"],
        domain: "train.team.svc.cluster.local",
        known_as: ["train-node-0-0.train", "train-node-0-1.train"],
        variables: "JOB_COMPLETION_INDEX={} PET_NNODES=2 PET_NPROC_PER_NODE=4 PET_NODE_RANK={} \
                    PET_MASTER_ADDR=train-node-0-0.train PET_MASTER_PORT=29500",
        world: "Kubeflow Trainer: node 1 of 2 (train-node-0-1), 4 processes here, master train-node-0-0.train:29500",
    },
];

/// What torchrun reads.
const SAY: &str = "echo nodes=$PET_NNODES node=$PET_NODE_RANK master=$PET_MASTER_ADDR:$PET_MASTER_PORT";

impl Kind {
    /// Starts the pod of this node, of which torchrun is taken to be the command.
    fn pod(&self, image: &str, network: &Network, node: usize, more: &str) -> Container {
        let (host, domain, name, network) = (self.hosts[node], self.domain, self.known_as[node], &network.0);
        let variables = self.variables.replace("{}", &node.to_string());
        let options: Vec<String> = variables.split_whitespace().map(|variable| format!("-e {variable}")).collect();
        Run::of(image)
            .with(&format!("--network {network} --network-alias {name} --hostname {host} --domainname {domain}"))
            .with(&format!("-e KUBERNETES_SERVICE_HOST=10.96.0.1 -e TRAINIT_CLUSTER_WAIT=60s -e TRAINIT_CLUSTER_TRAINER=torchrun {more}"))
            .with(&options.join(" "))
            .command(&["sh", "-c", SAY])
            .start()
    }

    /// The master as the row tells it, with its port.
    fn master(&self) -> &str {
        self.world.rsplit(' ').next().unwrap_or_default()
    }
}

#[test]
fn the_pods_of_each_kind_of_job_find_their_world_and_meet_by_name() {
    let Some(image) = image(Image::Alpine) else { return };
    let network = Network::new();
    for kind in &KINDS {
        // The name of node 0 does not exist yet when the other one looks for it.
        let second = kind.pod(&image, &network, 1, "-e TRAINIT_LOG_LEVEL=debug");
        second.wait_for_text(kind.world);
        let first = kind.pod(&image, &network, 0, "").ended().expect_code(0);
        let second = second.ended().expect_code(0);
        for (node, pod) in [first, second].into_iter().enumerate() {
            let said = format!("nodes=2 node={node} master={}", kind.master());
            pod.expect_text(&["all 2 nodes are ready", &said]);
        }
    }
}

#[test]
fn one_pods_reason_is_the_reason_of_all_of_its_job() {
    let Some(image) = image(Image::Alpine) else { return };
    let network = Network::new();
    let kind = &KINDS[0];
    let first = kind.pod(&image, &network, 0, "");
    let second = kind.pod(&image, &network, 1, "-e TRAINIT_DATA=/data");
    for pod in [first, second] {
        pod.ended().expect_code(111).expect_text(&["node 1 of 2 (indexed-1): data: /data"]);
    }
}

#[test]
fn the_launcher_of_an_mpi_job_is_no_rank_and_waits_for_nobody() {
    let Some(image) = image(Image::Alpine) else { return };
    let launcher = "-e KUBERNETES_SERVICE_HOST=10.96.0.1 -e OMPI_MCA_plm_rsh_agent=/etc/mpi/kubexec.sh \
                    -e OMPI_MCA_orte_default_hostfile=/etc/mpi/hostfile -e NVIDIA_VISIBLE_DEVICES=";
    let ended = Run::of(&image).with(launcher).command(&["sh", "-c", "echo rank=$RANK."]).finish().expect_code(0);
    ended.expect_text(&["MPI launcher: the launcher, which is no rank", "rank=."]);
}
