//! A training whose nodes share nothing but an S3 server and the network: each has a mount namespace of its own, with an empty disk, saves
//! its part of each checkpoint there, and uploads it. All go on from the same step on other nodes.

use crate::support::look::until_true;
use crate::support::object_stores::{Server, python, transfer};
use crate::support::port::free_port;
use crate::support::{TRAINIT, can_unshare, copy_program, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

const NODES: u32 = 3;

struct Nodes {
    store: Server,
    home: tempfile::TempDir,
    python: String,
}

impl Nodes {
    /// `None` where something is missing, which is told.
    fn new() -> Option<Self> {
        let (transfer, python, store) = (transfer()?, python()?, Server::s3(None)?);
        if !can_unshare() || !nix::unistd::geteuid().is_root() {
            skip("nodes need mounts of their own: unshare --mount true");
            return None;
        }
        let home = tempfile::Builder::new().prefix("trainit-nodes-").tempdir().unwrap();
        ["bin", "disk"].iter().for_each(|name| fs::create_dir(home.path().join(name)).unwrap());
        copy_program(transfer, home.path().join("bin/trainit-transfer"));
        copy_program(TRAINIT, home.path().join("bin/trainit"));
        Some(Nodes { store, home, python: python.to_str().unwrap().to_owned() })
    }

    /// Starts the training on nodes that nobody has used. What they say goes into files, which `said` returns.
    fn start(&self, name: &str, steps: &str) -> Vec<Child> {
        let port = free_port().to_string();
        (0..NODES).map(|node| self.start_one(name, steps, node, &port)).collect()
    }

    fn start_one(&self, name: &str, steps: &str, node: u32, port: &str) -> Child {
        let home = self.home.path();
        let disk = home.join("disk");
        let log = fs::File::create(home.join(format!("{name}-{node}.log"))).unwrap();
        let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/checkpoints\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(&disk)
            .arg(home.join("bin/trainit"));
        command.args(["run", "--mode", "train", "--", &self.python]);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stage/shards.py"))
            .arg(disk.join("checkpoints"))
            .arg(steps);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir("/");
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
        command.envs(keys).env("AWS_ENDPOINT_URL", self.store.url());
        let settings = [
            ("CLUSTER_NODES", NODES.to_string()),
            ("CLUSTER_NODE", node.to_string()),
            ("CLUSTER_MASTER", "127.0.0.1".to_owned()),
            ("CLUSTER_PORT", port.to_owned()),
            ("CLUSTER_TRAINER", "off".to_owned()),
            ("CHECKPOINT_DIR", disk.join("checkpoints").display().to_string()),
            ("CHECKPOINT_MIRROR", "s3://bucket/shards".to_owned()),
            ("CHECKPOINT_RESUME", "env".to_owned()),
            ("DEPS_REQUIREMENTS", "off".to_owned()),
            ("GPU_COUNT", "none".to_owned()),
        ];
        command.envs(settings.map(|(name, value)| (format!("TRAINIT_{name}"), value)));
        command.env("SHARDS_PORT", port);
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn said(&self, name: &str, node: u32) -> String {
        fs::read_to_string(self.home.path().join(format!("{name}-{node}.log"))).unwrap()
    }

    fn all_said(&self, name: &str) -> String {
        (0..NODES).map(|node| format!("-- {node}\n{}", self.said(name, node))).collect()
    }

    /// The steps of which all parts are in the bucket.
    fn whole(&self) -> Vec<u64> {
        let listed = self.store.ask("GET", "/bucket?list-type=2&max-keys=1000&prefix=shards/.trainit/step-", "");
        let parts: Vec<&str> =
            listed.split("<Key>shards/.trainit/step-").skip(1).filter_map(|one| one.split('<').next()).collect();
        let has =
            |step: &u64| (1..=NODES).all(|part| parts.contains(&format!("{step}.json.{part}-of-{NODES}").as_str()));
        (1..200).filter(has).collect()
    }

    #[track_caller]
    fn all_end_with(&self, name: &str, nodes: Vec<Child>, code: i32) {
        for (node, mut child) in nodes.into_iter().enumerate() {
            let ended = child.wait().unwrap().code();
            assert_eq!(ended, Some(code), "node {node}\n{}", self.all_said(name));
        }
    }
}

#[test]
fn nodes_that_save_parts_on_disks_of_their_own_go_on_from_one_step_on_others() {
    let Some(job) = Nodes::new() else { return };
    let nodes = job.start("first", "0");
    until_true("a whole checkpoint in the bucket", || !job.whole().is_empty());
    for child in &nodes {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }
    job.all_end_with("first", nodes, 143);
    let newest = job.whole().pop().unwrap();
    for node in 0..NODES {
        let said = job.said("first", node);
        assert!(said.contains("mirrored up to step"), "node {node}: {}", job.all_said("first"));
    }

    job.all_end_with("second", job.start("second", "2"), 0);
    for node in 0..NODES {
        let said = job.said("second", node);
        assert!(said.contains(&format!("begins at step {newest}\n")), "{newest}: {}", job.all_said("second"));
    }
    assert_eq!(job.whole().pop(), Some(newest + 2), "{}", job.all_said("second"));
    assert!(Path::new(&job.home.path().join("disk")).read_dir().unwrap().next().is_none(), "the nodes shared a disk");
}
