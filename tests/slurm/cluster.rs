//! A Slurm: its daemons in the foreground, its files in a directory of its own, its keys made for it. Of one node, which is this machine,
//! or of several in namespaces. Ends with the test. Knows Slurm's commands; nothing of trainit.

use crate::job::Job;
use crate::nodes::{Node, address, ends_with_us};
use crate::support::port::free_port;
use crate::support::{has, skip};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The exit code that makes this Slurm requeue a job.
pub const REQUEUE_EXIT: u8 = 85;

/// Daemons, scheduling rounds and Python take their time where others compute as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two slurmd on one machine would be one too many.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Where Slurm freezes a job's processes, with control groups of version 1.
const FREEZER: &str = "/sys/fs/cgroup/freezer";

/// A running cluster.
pub struct Cluster {
    directory: tempfile::TempDir,
    daemons: Vec<Child>,
    /// The controller and then the nodes, where there are namespaces.
    nodes: Vec<Node>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts one; none, and a printed reason, where that cannot be.
    pub fn start() -> Option<Self> {
        let mut cluster = Self::new()?;
        cluster.write_files(&configuration(cluster.directory.path()));
        cluster.start_daemons();
        Some(cluster)
    }

    /// Starts one of so many nodes, `n1` and so on.
    pub fn of(count: usize) -> Option<Self> {
        if !["ip", "unshare", "nsenter"].into_iter().all(in_system) {
            return None;
        }
        let mut cluster = Self::new()?;
        cluster.write_files(&configuration_of(cluster.directory.path(), count));
        cluster.make_nodes(count);
        cluster.start_daemons();
        Some(cluster)
    }

    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("Slurm's daemons need root");
            return None;
        }
        if !["slurmctld", "slurmd", "munged", "sbatch"].into_iter().all(in_system) {
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        Some(Cluster { directory, daemons: Vec::new(), nodes: Vec::new(), _turn: turn })
    }

    fn make_nodes(&mut self, count: usize) {
        let hosts = self.directory.path().join("hosts");
        let lines = (1..=count).map(|number| format!("{} n{number}\n", address(number)));
        std::fs::write(&hosts, format!("127.0.0.1 localhost\n{} ctl\n", address(0)) + &lines.collect::<String>())
            .unwrap();
        self.nodes.push(Node::new("ctl", 0, &hosts, None));
        for number in 1..=count {
            let node = Node::new(&format!("n{number}"), number, &hosts, self.nodes.first());
            self.nodes.push(node);
        }
    }

    /// The file with the names of all nodes, which each of them reads.
    pub fn hosts(&self) -> std::path::PathBuf {
        self.directory.path().join("hosts")
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap()
    }

    fn write_files(&self, configuration: &str) {
        let directory = self.directory.path();
        for name in ["state", "spool", "log", "out"] {
            std::fs::create_dir(directory.join(name)).unwrap();
        }
        let mut key = std::fs::OpenOptions::new();
        let mut key = key.write(true).create(true).truncate(true).mode(0o600).open(directory.join("key")).unwrap();
        std::io::copy(&mut std::io::Read::take(std::fs::File::open("/dev/urandom").unwrap(), 1024), &mut key).unwrap();
        std::fs::write(directory.join("slurm.conf"), configuration).unwrap();
        std::fs::write(directory.join("cgroup.conf"), "CgroupPlugin=cgroup/v1\n").unwrap();
    }

    fn start_daemons(&mut self) {
        let directory = self.directory.path().to_str().unwrap().to_owned();
        let munge = ["key-file=key", "socket=munge", "pid-file=munge.pid", "log-file=log/munge", "seed-file=seed"];
        let munge = munge.map(|option| format!("--{}", option.replacen('=', &format!("={directory}/"), 1)));
        let munged = self.command_at(None, "munged");
        self.daemon(munged, "munged", &[&["--foreground".to_owned(), "--force".to_owned()], &munge[..]].concat());
        self.until("munged", || Path::new(&directory).join("munge").exists().then_some(()), "");
        self.daemon(self.command("slurmctld"), "slurmctld", &["-D".to_owned(), "-i".to_owned()]);
        if self.nodes.is_empty() {
            self.daemon(self.command("slurmd"), "slurmd", &["-D".to_owned()]);
        }
        let names: Vec<String> = self.nodes.iter().skip(1).map(|node| node.name.clone()).collect();
        for name in &names {
            let slurmd = self.command_at(Some(self.node(name)), "slurmd");
            self.daemon(slurmd, &format!("slurmd-{name}"), &["-D".to_owned(), "-N".to_owned(), name.clone()]);
        }
        let idle =
            || self.run("sinfo", &["-h", "-N", "-o", "%T", "-p", "low"]).matches("idle").count() == names.len().max(1);
        self.until("idle nodes", || idle().then_some(()), "");
    }

    /// The thread of the test outlives the cluster, so a daemon ends with it even when the test is killed.
    fn daemon(&mut self, mut command: Command, log: &str, words: &[String]) {
        let log = std::fs::File::create(self.directory.path().join("log").join(format!("{log}.out"))).unwrap();
        command.args(words).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        ends_with_us(&mut command);
        self.daemons.push(command.spawn().unwrap());
    }

    /// One of Slurm's programs, where the controller is.
    fn command(&self, name: &str) -> Command {
        self.command_at(self.nodes.first(), name)
    }

    fn command_at(&self, node: Option<&Node>, name: &str) -> Command {
        let mut command = node.map_or_else(|| Command::new(name), |node| node.command(name));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("SLURM_CONF", self.directory.path().join("slurm.conf"))
            .env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.current_dir(self.directory.path());
        command
    }

    /// Runs one of Slurm's commands and gives what it printed; empty where it failed, as it may while a job changes its state.
    pub fn run(&self, name: &str, words: &[&str]) -> String {
        let output = self.command(name).args(words).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Submits a batch script and gives the job's number.
    pub fn submit(&self, partition: &str, options: &[&str], text: &str) -> String {
        let script = self.directory.path().join(format!("{partition}.sh"));
        std::fs::write(&script, text).unwrap();
        let log = format!("{}/out/%j", self.directory.path().display());
        let common =
            ["--parsable", "-p", partition, "-n1", "--exclusive", "--time=10", "--open-mode=append", "-o", &log];
        let id = self.run("sbatch", &[&common[..], options, &[script.to_str().unwrap()]].concat());
        assert!(id.parse::<u32>().is_ok(), "sbatch says {id:?}\n{}", self.log(""));
        id
    }

    /// Submits a batch script, one task a node and on all nodes, which runs in this directory with these settings (`NAME=VALUE`).
    pub fn submit_with(&self, directory: &Path, settings: &[&str], text: &str) -> String {
        self.submit_over("low", self.nodes.len() - 1, directory, settings, text)
    }

    /// Does the same in this partition, on so many nodes.
    pub fn submit_over(
        &self,
        partition: &str,
        nodes: usize,
        directory: &Path,
        settings: &[&str],
        text: &str,
    ) -> String {
        let script = directory.join("job.sh");
        std::fs::write(&script, text).unwrap();
        let log = format!("{}/out/%j", self.directory.path().display());
        let nodes = format!("-N{nodes}");
        let mut command = self.command("sbatch");
        command.envs(settings.iter().filter_map(|setting| setting.split_once('=')));
        command.args(["--parsable", "-p", partition, &nodes, "--ntasks-per-node=1", "--time=10", "-o", &log, "-D"]);
        let output = command.arg(directory).arg(&script).output().unwrap();
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(id.parse::<u32>().is_ok(), "sbatch says {id:?} {}", String::from_utf8_lossy(&output.stderr));
        id
    }

    /// A field of `scontrol show job`.
    pub fn field(&self, id: &str, name: &str) -> String {
        let text = self.run("scontrol", &["show", "job", id]);
        let value = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    }

    /// A job's state.
    pub fn state(&self, id: &str) -> String {
        self.field(id, "JobState")
    }

    /// Lets a requeued job start now. Says whether it has begun.
    pub fn start_now(&self, id: &str) -> bool {
        match self.state(id).as_str() {
            "PENDING" => drop(self.run("scontrol", &["update", &format!("JobId={id}"), "StartTime=now"])),
            state => return self.field(id, "Restarts") == "1" && ["RUNNING", "COMPLETED"].contains(&state),
        }
        false
    }

    /// What a job printed, and what the controller did meanwhile.
    pub fn log(&self, id: &str) -> String {
        let read = |name: String| std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        format!("job {id}:\n{}\nslurmctld:\n{}", read(format!("out/{id}")), read("log/slurmctld.out".into()))
    }

    /// Waits until there is an answer; tells the job's log when none comes.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut answer: impl FnMut() -> Option<T>, id: &str) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = answer() {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}\n{}", self.log(id));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a job has made a few steps.
    #[track_caller]
    pub fn wait_for_steps(&self, job: &Job, id: &str) {
        self.until("a few steps", || job.rank(0).filter(|rank| rank.step >= rank.first + 3), id);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A job's processes belong to slurmstepd, which outlives slurmd.
        self.run("scancel", &["--user=root"]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) && !self.run("squeue", &["-h"]).is_empty() {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.daemons.iter_mut().rev().for_each(end);
        remove_groups(&Path::new(FREEZER).join(format!("slurm_{}", host())));
    }
}

/// What slurmd leaves of its control groups: a step's is only empty once its last process is gone.
fn remove_groups(group: &Path) {
    let begun = Instant::now();
    while group.exists() && begun.elapsed() < Duration::from_secs(10) {
        let below = std::fs::read_dir(group).into_iter().flatten().flatten();
        below.filter(|entry| entry.path().is_dir()).for_each(|entry| remove_groups(&entry.path()));
        if std::fs::remove_dir(group).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Asks a daemon to leave, so that it takes its control groups away.
fn end(daemon: &mut Child) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon.id() as i32), nix::sys::signal::SIGTERM);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) && daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = daemon.kill();
    let _ = daemon.wait();
}

/// How Slurm finds a job's processes. What is in production signals a step's tasks; linuxproc would signal every process below them.
fn tracking() -> &'static str {
    if Path::new(FREEZER).join("tasks").exists() { "cgroup" } else { "pgid" }
}

/// Daemons are in /usr/sbin, which is not on everybody's PATH.
fn in_system(tool: &str) -> bool {
    Path::new("/usr/sbin").join(tool).exists() || has(tool)
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_owned()
}

/// Of nodes in namespaces, which find each other by the name.
fn configuration_of(directory: &Path, count: usize) -> String {
    let here = directory.display();
    format!(
        "ClusterName=several
SlurmctldHost=ctl({controller})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge
CredType=cred/munge
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd-%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=3
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName=n[1-{count}] CPUs=8 RealMemory=100 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=spot Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=60
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
",
        controller = address(0)
    )
}

fn configuration(directory: &Path) -> String {
    let (controller, node) = (free_port(), free_port());
    let (here, host, tracking) = (directory.display(), host(), tracking());
    format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd.pid
ProctrackType=proctrack/{tracking}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
RequeueExit={REQUEUE_EXIT}
KillWait=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 RealMemory=100 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"
    )
}
