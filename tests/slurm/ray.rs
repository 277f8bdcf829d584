//! A Ray cluster of three nodes, each started by trainit with the words of examples/ray (`RAY_PYTHON`: an interpreter that has ray): a job
//! of Ray Train survives the loss of a worker's node. `scripts/nightly ray` runs this test.

use crate::cluster::Cluster;
use crate::nodes::{address, ends_with_us};
use crate::support::look::{start_time, until_true};
use crate::support::{TRAINIT, skip};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ray takes a minute to miss a node, and its time to start where others compute as well.
const PATIENCE: Duration = Duration::from_secs(180);

/// Two workers report a checkpoint for each step. The first ones never end; those that go on make three steps more.
const TRAIN: &str = r#"import os, socket, sys, tempfile, time, ray, ray.train
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
work = sys.argv[1]
def loop():
    import os, socket, tempfile, time, ray.train
    saved = ray.train.get_checkpoint()
    first = 0
    if saved:
        with saved.as_directory() as directory:
            first = int(open(os.path.join(directory, "step")).read()) + 1
    rank = ray.train.get_context().get_world_rank()
    name = os.path.join(work, f"{'again' if first else 'began'}.{rank}")
    step = first
    while first == 0 or step < first + 3:
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "step"), "w") as file:
                file.write(str(step))
            ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(directory))
        with open(name + ".tmp", "w") as file:
            file.write(f"{first} {step} {ray.util.get_node_ip_address()}")
        os.rename(name + ".tmp", name)
        step += 1
        time.sleep(0.2)
trainer = DataParallelTrainer(
    loop,
    scaling_config=ScalingConfig(num_workers=2, placement_strategy="SPREAD"),
    run_config=RunConfig(name="digits", storage_path=os.path.join(work, "runs"), failure_config=FailureConfig(max_failures=3)),
)
print("ended at step", trainer.fit().metrics["step"], flush=True)
"#;

/// The shell line that examples/ray gives each container.
fn line() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ray/cluster.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, after) = text.split_once("args: [sh, -c, '").unwrap();
    after.split_once('\'').unwrap().0.to_owned()
}

/// A process of the job and its log.
struct Started {
    child: Child,
    log: std::path::PathBuf,
}

impl Started {
    fn new(mut command: Command, directory: &Path, name: &str) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        ends_with_us(&mut command);
        Started { child: command.spawn().unwrap(), log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The line about the end of the workload.
    fn end(&self) -> Option<String> {
        self.said().lines().find(|line| line.contains("trainit: end ")).map(str::to_owned)
    }

    /// The pid and the start time of trainit, which nsenter has become.
    fn identity(&self) -> (i32, Option<u64>) {
        let pid = self.child.id().try_into().unwrap();
        (pid, start_time(pid))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node(cluster: &Cluster, python: &str, number: usize, directory: &Path) -> Started {
    let ray = Path::new(python).with_file_name("ray");
    // Ray's sockets and logs are each node's own, as in containers.
    let own = directory.join("ray");
    cluster.node(&format!("n{number}")).sh("mount -t tmpfs tmpfs $0", &[own.to_str().unwrap()]);
    let place = match number {
        1 => format!("--head --port=6379 --temp-dir={}", own.display()),
        _ => format!("--address={}:6379", address(1)),
    };
    let start = format!(
        "{} start {place} --node-ip-address={} --num-cpus=1 --object-store-memory=100000000 --disable-usage-stats --block",
        ray.display(),
        address(number)
    );
    let mut command = cluster.node(&format!("n{number}")).command(TRAINIT);
    command.args(["run", "--mode", "train", "--", "sh", "-c", &line()]);
    command.env("KUBERAY_GEN_RAY_START_CMD", start).env("RAY_CLUSTER_NAME", "digits");
    command.env("TRAINIT_DEPS_REQUIREMENTS", "off");
    Started::new(command, directory, &format!("n{number}"))
}

/// What both workers noted: their first and their last step, and their address.
fn noted(directory: &Path, what: &str) -> Option<Vec<(u64, u64, String)>> {
    let one = |rank: u32| {
        let text = std::fs::read_to_string(directory.join(format!("{what}.{rank}"))).ok()?;
        let mut words = text.split(' ');
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    (0..2).map(one).collect()
}

/// Waits until there is an answer; tells the logs when none comes.
#[track_caller]
fn until<T>(what: &str, answer: impl Fn() -> Option<T>, logs: impl Fn() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}\n{}", logs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_job_of_ray_train_survives_the_loss_of_a_workers_node() {
    let Ok(python) = std::env::var("RAY_PYTHON") else {
        return skip("RAY_PYTHON names no interpreter with ray (scripts/nightly ray sets it)");
    };
    let Some(cluster) = Cluster::of(3) else { return };
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path();
    std::fs::create_dir(work.join("ray")).unwrap();
    let mut nodes: Vec<Started> = (1..=3).map(|number| node(&cluster, &python, number, work)).collect();
    let logs = |nodes: &[Started]| nodes.iter().map(Started::said).collect::<Vec<_>>().join("\n--\n");
    let runs = || nodes.iter().all(|node| node.said().contains("Ray runtime started")).then_some(());
    until("all nodes of Ray", runs, || logs(&nodes));
    assert_eq!(logs(&nodes).matches("world   KubeRay: node n").count(), 3, "{}", logs(&nodes));

    std::fs::write(work.join("train.py"), TRAIN).unwrap();
    let mut driver = cluster.node("n1").command(TRAINIT);
    driver.args([&python, work.join("train.py").to_str().unwrap(), work.to_str().unwrap()]);
    driver.env("RAY_ADDRESS", format!("{}:6379", address(1))).env("TRAINIT_DEPS_REQUIREMENTS", "off");
    driver.env("RAY_CLUSTER_NAME", "digits");
    let driver = Started::new(driver, work, "driver");
    let several_steps = || {
        assert_eq!(driver.end(), None, "{}", driver.said());
        noted(work, "began").filter(|both| both.iter().all(|(_, step, _)| *step >= 3))
    };
    let both = until("both workers to train", several_steps, || driver.said() + &logs(&nodes));

    // One of them is not on the head, where the driver is.
    let lost = (2..=3).find(|number| both.iter().any(|(.., at)| *at == address(*number))).unwrap();
    let (pid, start) = nodes[lost - 1].identity();
    nodes[lost - 1].child.kill().unwrap();
    nodes[lost - 1].child.wait().unwrap();
    until_true("trainit of the lost node is gone", || start_time(pid) != start);
    let end = until("the job's end", || driver.end(), || driver.said());
    assert!(end.contains("exit code 0"), "{}\n{}", driver.said(), logs(&nodes));
    let again = noted(work, "again").unwrap();
    assert!(
        again.iter().all(|(first, last, at)| *first >= 3 && *last == first + 2 && *at != address(lost)),
        "{again:?}"
    );
    assert!(driver.said().contains("ended at step"), "{}", driver.said());
}
