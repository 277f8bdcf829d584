//! `examples/no-shared-disk` as it stands: the digits job is stopped on one node and goes on on another, and the two share a bucket and a
//! git repository only.

use crate::support::look::until_true;
use crate::support::object_stores::{Server, python, transfer};
use crate::support::{TRAINIT, copy_program, has, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const UPLOAD: &str = "import os, sys, boto3
store = boto3.client('s3', endpoint_url=sys.argv[1])
for name in os.listdir(sys.argv[2]):
    store.upload_file(os.path.join(sys.argv[2], name), 'bucket', 'digits/data/' + name)";

/// What the nodes share, and the programs that each has.
struct Cluster {
    store: Server,
    home: tempfile::TempDir,
    environment: PathBuf,
}

impl Cluster {
    /// `None` where something is missing, which is told.
    fn new() -> Option<Self> {
        let (transfer, python, store) = (transfer()?, python()?, Server::s3(None)?);
        let environment = Path::new(TRAINIT).ancestors().nth(2)?.join("example-venv");
        if !has("git") || !environment.join("bin/python").exists() {
            skip("there is no environment with what the digits job needs (scripts/test makes it)");
            return None;
        }
        let home = tempfile::Builder::new().prefix("trainit-nodes-").tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        copy_program(transfer, home.path().join("bin/trainit-transfer"));
        copy_program(TRAINIT, home.path().join("bin/trainit"));
        let cluster = Cluster { store, home, environment };
        let data = example("digits/data");
        cluster.succeeds(cluster.keys(Command::new(python).args(["-c", UPLOAD, &cluster.store.url()]).arg(data)));
        let script = "cp -r \"$1\" code && cd code && git init -q -b main && git add . && \
                      git -c user.name=t -c user.email=t@localhost commit -q -m digits && git clone -q --bare . ../digits.git";
        let mut repository = Command::new("sh");
        repository.args(["-c", script, "sh"]).arg(example("digits/code")).current_dir(cluster.home.path());
        cluster.succeeds(&mut repository);
        Some(cluster)
    }

    fn keys<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")];
        command.envs(keys).env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_ENDPOINT_URL", self.store.url())
    }

    #[track_caller]
    fn succeeds(&self, command: &mut Command) {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Starts the job on a node. What it says goes into a file, which `said` returns.
    fn start(&self, node: &str, pace: &str) -> Child {
        let home = self.home.path();
        let path = [home.join("bin"), self.environment.join("bin"), PathBuf::from(std::env::var_os("PATH").unwrap())];
        let path = path.map(|path| path.display().to_string()).join(":");
        let log = fs::File::create(home.join(node).with_extension("log")).unwrap();
        let mut command = Command::new("sh");
        self.keys(&mut command).arg(example("no-shared-disk/digits.sh")).current_dir("/").env("PATH", path);
        command.env("CODE", format!("{}@main", home.join("digits.git").display())).env("BUCKET", "s3://bucket/digits");
        command.env("DISK", home.join(node)).env("PACE", pace).env("TRAINIT_GPU_COUNT", "none");
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn said(&self, node: &str) -> String {
        fs::read_to_string(self.home.path().join(node).with_extension("log")).unwrap()
    }

    /// Why the attempts ended that a node knows of.
    fn reasons(&self, node: &str) -> Vec<String> {
        let mut command = Command::new(TRAINIT);
        command.args(["history", "--json"]).arg(self.home.path().join(node).join("checkpoints"));
        let told: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let attempts = told["attempts"].as_array().unwrap();
        attempts.iter().map(|attempt| attempt["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the bucket has a whole checkpoint.
    fn has_checkpoint(&self) -> bool {
        self.store.ask("GET", "/bucket?list-type=2&prefix=digits/checkpoints/.trainit/step-", "").contains("<Contents>")
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

#[test]
fn a_job_that_is_stopped_on_one_node_goes_on_on_another() {
    let Some(cluster) = Cluster::new() else { return };
    let mut first = cluster.start("first", "1");
    until_true("a checkpoint in the bucket", || {
        assert!(first.try_wait().unwrap().is_none(), "{}", cluster.said("first"));
        cluster.has_checkpoint()
    });
    kill(Pid::from_raw(i32::try_from(first.id()).unwrap()), Signal::SIGTERM).unwrap();
    let code = first.wait().unwrap().code();
    let said = cluster.said("first");
    assert!(code == Some(143) && said.contains("SIGTERM: saved ") && said.contains("mirrored up to step "), "{said}");
    let saved = said.split_once("SIGTERM: saved ").unwrap().1.split_whitespace().next().unwrap();
    let saved = Path::new(saved).file_name().unwrap().to_str().unwrap().to_owned();

    let code = cluster.start("second", "0").wait().unwrap().code();
    let said = cluster.said("second");
    assert!(code == Some(0) && said.contains("done: 40 epochs"), "{code:?} {said}");
    let resumed = said.lines().find(|line| line.starts_with("resuming from ")).unwrap_or_else(|| panic!("{said}"));
    assert!(resumed.contains(&saved), "{saved}: {said}");
    // The history came with the checkpoint: all of the job is told on the second node.
    assert_eq!(cluster.reasons("second"), ["stopped", "done"], "{said}");
    assert!(said.contains("trainit: history: 2 attempts in "), "{said}");
}
