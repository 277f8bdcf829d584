//! Ranks that mpirun of Open MPI (`MPIRUN`) and mpiexec of MPICH (`MPIEXEC`) start on two nodes, each below a trainit of its own: they get
//! their variables, and one node's reason is the reason of all.

use crate::cluster::Cluster;
use crate::support::{TRAINIT, skip};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// What a trainer reads of a rank, printed as one line.
const SAY: &str =
    "echo rank=$RANK of=$WORLD_SIZE local=$LOCAL_RANK of=$LOCAL_WORLD_SIZE on=$(hostname) at=$MASTER_ADDR";

/// A launcher, and its options for two ranks on each of two nodes.
pub struct Launcher {
    program: PathBuf,
    options: Vec<String>,
}

/// In place of ssh: runs the launcher's daemon on the node that is named before its command line.
pub fn agent(cluster: &Cluster, directory: &Path) -> String {
    let file = directory.join("agent");
    let pid = |name| cluster.node(name).pid();
    let text = format!(
        "#!/bin/sh\nwhile [ \"${{1#-}}\" != \"$1\" ]; do shift; done\ncase $1 in n1) at={};; n2) at={};; *) exit 1;; esac\nshift\n\
         exec nsenter -t $at -n -u -m -- sh -c \"$*\"\n",
        pid("n1"),
        pid("n2")
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.to_str().unwrap().to_owned()
}

fn launcher(variable: &str, options: &[&str]) -> Option<Launcher> {
    let Some(program) = std::env::var_os(variable) else {
        skip(&format!("{variable} does not name a launcher (scripts/test sets it)"));
        return None;
    };
    Some(Launcher { program: program.into(), options: options.iter().map(|word| (*word).to_owned()).collect() })
}

pub fn open_mpi(agent: &str) -> Option<Launcher> {
    let agent = ["--prtemca", "plm_ssh_agent", agent, "--prtemca", "prte_if_include", "10.77.0.0/24"];
    let hosts = ["--allow-run-as-root", "--host", "n1:2,n2:2", "-n", "4"];
    launcher("MPIRUN", &[&agent[..], &hosts].concat())
}

fn mpich(agent: &str) -> Option<Launcher> {
    launcher("MPIEXEC", &["-launcher", "ssh", "-launcher-exec", agent, "-hosts", "n1:2,n2:2", "-n", "4"])
}

impl Launcher {
    /// Starts trainit as four ranks from n1, and waits for their end.
    pub fn run(&self, cluster: &Cluster, settings: &[(&str, &str)], words: &[&str]) -> Output {
        let mut command = cluster.node("n1").command(self.program.to_str().unwrap());
        command.env("TRAINIT_CLUSTER_MASTER", "n1").env("TRAINIT_DEPS_REQUIREMENTS", "off");
        command.envs(settings.iter().copied()).args(&self.options).arg(TRAINIT).args(words);
        command.current_dir("/").stdin(Stdio::null()).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn ranks_on_two_nodes_get_their_variables_from_either_mpi() {
    let Some(cluster) = Cluster::of(2) else { return };
    let directory = tempfile::tempdir().unwrap();
    let agent = agent(&cluster, directory.path());
    for launcher in [open_mpi(&agent), mpich(&agent)].into_iter().flatten() {
        let output = launcher.run(&cluster, &[], &["run", "--", "sh", "-c", SAY]);
        let (stdout, log) = (text(&output.stdout), text(&output.stderr));
        let mut lines: Vec<&str> = stdout.lines().collect();
        lines.sort_unstable();
        let line = |rank: u32| format!("rank={rank} of=4 local={} of=2 on=n{} at=n1", rank % 2, rank / 2 + 1);
        assert_eq!(lines, (0..4).map(line).collect::<Vec<_>>(), "{log}");
        assert!(output.status.success() && log.contains("all 4 ranks are ready"), "{log}");
    }
}

#[test]
fn one_ranks_reason_ends_all_that_either_mpi_started() {
    let Some(cluster) = Cluster::of(2) else { return };
    let directory = tempfile::tempdir().unwrap();
    let agent = agent(&cluster, directory.path());
    cluster.node("n1").sh(
        "mount -t tmpfs tmpfs /mnt && mkdir /mnt/data && mount -t tmpfs tmpfs /mnt/data && echo x > /mnt/data/x",
        &[],
    );
    for launcher in [open_mpi(&agent), mpich(&agent)].into_iter().flatten() {
        let output = launcher.run(&cluster, &[("TRAINIT_DATA", "/mnt/data")], &["run", "--", "sleep", "600"]);
        let log = text(&output.stderr);
        assert_eq!(output.status.code(), Some(111), "{log}");
        for (rank, node) in [(0, "n1"), (1, "n1"), (2, "n2"), (3, "n2")] {
            assert!(log.contains(&format!("{node} rank {rank}:   fail  data    rank ")), "{node} {rank}\n{log}");
        }
    }
}
