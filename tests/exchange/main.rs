//! Nodes of one job as real processes on one machine, which find each other by keys: all start, from one checkpoint, or none does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::look::until_true;
use support::port::free_port;
use support::{LONG, TRAINIT, has};

/// What a node prints of its checkpoint.
const RESUMES: [&str; 5] = ["--", "sh", "-c", "echo \"$@ $TRAINIT_RESUME_STEP\"", "sh"];

/// A job: the settings that all of its nodes have.
struct Job {
    settings: Vec<(String, String)>,
    port: u16,
}

impl Job {
    fn of(nodes: u32) -> Self {
        let port = free_port();
        let job = Job { settings: Vec::new(), port };
        job.with("CLUSTER_NODES", nodes).with("CLUSTER_MASTER", "127.0.0.1").with("CLUSTER_PORT", port)
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((format!("TRAINIT_{name}"), value.to_string()));
        self
    }

    /// Starts a node with settings of its own.
    fn node(&self, index: u32, own: &[(&str, &str)], words: &[&str]) -> Child {
        self.command(index, own, words).spawn().unwrap()
    }

    fn command(&self, index: u32, own: &[(&str, &str)], words: &[&str]) -> Command {
        let mut command = Command::new(TRAINIT);
        command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir("/");
        command.env("TRAINIT_CLUSTER_NODE", index.to_string()).envs(self.settings.iter().cloned());
        command.env("TRAINIT_DEPS_REQUIREMENTS", "off").envs(own.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// How a node ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    log: String,
}

fn ended(node: Child) -> Ended {
    let Output { status, stdout, stderr } = node.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: status.code(), stdout: text(stdout), log: text(stderr) }
}

/// The name that this machine's nodes have.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// Waits for all, which must end with one code, each with this line.
#[track_caller]
fn assert_all_end(nodes: Vec<Child>, code: i32, line: &str) {
    for ended in nodes.into_iter().map(ended) {
        assert_eq!(ended.code, Some(code), "{}", ended.log);
        assert!(ended.log.contains(line), "{line}\n{}", ended.log);
    }
}

#[test]
fn all_nodes_start_and_the_port_is_free_for_the_workload() {
    if !has("python3") {
        return;
    }
    let job = Job::of(3);
    let strict = format!("import socket; socket.socket().bind(('', {})); print('bound')", job.port);
    let others: Vec<Child> = [1, 2].map(|index| job.node(index, &[], &["echo", "runs"])).into();
    let first = ended(job.node(0, &[], &["python3", "-c", &strict]));
    assert_eq!((first.code, first.stdout.trim()), (Some(0), "bound"), "{}", first.log);
    assert!(first.log.contains("all 3 nodes are ready"), "{}", first.log);
    for other in others.into_iter().map(ended) {
        assert_eq!((other.code, other.stdout.trim()), (Some(0), "runs"), "{}", other.log);
    }
}

#[test]
fn one_nodes_failure_ends_all_with_its_code_and_its_line() {
    for failing in [0, 2] {
        let job = Job::of(3);
        let own = |index| if index == failing { &[("TRAINIT_DATA", "/nowhere")][..] } else { &[] };
        let begun = Instant::now();
        let nodes = (0..3).map(|index| job.node(index, own(index), &["true"])).collect();
        assert_all_end(nodes, 111, &format!("node {failing} of 3"));
        assert!(begun.elapsed() < LONG, "they waited");
    }
}

#[test]
fn a_failure_after_the_checks_and_a_failed_hook_end_all_too() {
    let job = Job::of(2);
    let missing = [("TRAINIT_CHECKPOINT_DIR", "/proc/self/mem"), ("TRAINIT_CHECKPOINT_RESUME", "env")];
    let nodes = vec![job.node(0, &[], &["true"]), job.node(1, &missing, &["true"])];
    for ended in nodes.into_iter().map(ended) {
        assert!([Some(113), Some(213)].contains(&ended.code), "{:?} {}", ended.code, ended.log);
        assert!(ended.log.contains("node 1 of 2"), "{}", ended.log);
    }
}

#[test]
fn a_command_that_one_node_cannot_start_ends_all_with_its_code() {
    let bin = tempfile::tempdir().unwrap();
    std::fs::write(bin.path().join("closed"), "#!/bin/sh\n").unwrap();
    let own = [("PATH", bin.path().to_str().unwrap())];
    for (command, code) in [("no-such-program", 127), ("closed", 126)] {
        let job = Job::of(3);
        let node = |index| if index == 1 { job.node(1, &own, &[command]) } else { job.node(index, &[], &["true"]) };
        assert_all_end((0..3).map(node).collect(), code, &format!("node 1 of 3 ({}): cannot run {command}", host()));
    }
}

#[test]
fn a_command_that_the_kernel_refuses_though_its_file_looks_right_ends_all_with_its_code() {
    let bin = tempfile::tempdir().unwrap();
    let program = bin.path().join("broken");
    // The head of a program for this machine, with nothing behind it.
    let head = std::fs::read("/proc/self/exe").unwrap();
    std::fs::write(&program, [&head[..20], &[0; 300]].concat()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = bin.path().join("ran");
    let touch = ["touch", ran.to_str().unwrap()];
    for failing in [0, 1] {
        let job = Job::of(2);
        let broken = [program.to_str().unwrap()];
        let words = |index| if index == failing { &broken[..] } else { &touch[..] };
        let nodes = (0..2).map(|index| job.node(index, &[], words(index))).collect();
        assert_all_end(nodes, 126, &format!("node {failing} of 2 ({}): cannot run {}", host(), program.display()));
    }
    assert!(!ran.exists(), "the other node's command has run");
}

#[test]
fn a_command_line_that_one_node_cannot_read_ends_all_with_64() {
    for (words, line) in [(&["--no-such-option", "true"][..], "unexpected argument"), (&[][..], "nothing to")] {
        for failing in [0, 1] {
            let job = Job::of(2);
            let words = |index| if index == failing { words } else { &["true"][..] };
            let nodes = (0..2).map(|index| job.node(index, &[], words(index))).collect();
            assert_all_end(nodes, 64, &format!("node {failing} of 2 ({}): {line}", host()));
        }
    }
}

#[test]
fn a_restart_in_place_that_the_others_would_not_meet_is_refused_on_all_nodes() {
    for (key, value, named) in
        [("RESTART_MAX", "3", "restart.max"), ("WATCHDOG_ACTION", "restart", "watchdog.action: restart")]
    {
        let job = Job::of(2).with(key, value).with("CLUSTER_TRAINER", "torchrun");
        let nodes = (0..2).map(|index| job.node(index, &[], &["true"])).collect();
        assert_all_end(nodes, 78, &format!("{named} would start one process of several again"));
        let rejoins = [("PET_RDZV_BACKEND", "c10d")];
        let nodes: Vec<Child> = (0..2).map(|index| job.node(index, &rejoins, &["true"])).collect();
        for ended in nodes.into_iter().map(ended) {
            assert_eq!(ended.code, Some(0), "{}", ended.log);
        }
    }
}

#[test]
fn a_configuration_that_one_node_cannot_read_ends_all_with_78() {
    let misread = [("TRAINIT_STOP_GRACE", "soon")];
    for failing in [0, 1] {
        let job = Job::of(3);
        let own = |index| if index == failing { &misread[..] } else { &[] };
        let nodes = (0..3).map(|index| job.node(index, own(index), &["true"])).collect();
        assert_all_end(nodes, 78, &format!("node {failing} of 3 ({}): TRAINIT_STOP_GRACE", host()));
    }
}

#[test]
fn a_configuration_that_cannot_be_read_holds_up_nobody_who_meets_nobody() {
    let misread = ("TRAINIT_STOP_GRACE", "soon");
    let off = ("TRAINIT_CLUSTER_AGREE", "resume");
    let shell = ("TRAINIT_MODE", "shell");
    for (own, words, code) in [
        (&[misread, off][..], &["true"][..], 78),
        (&[misread], &["run", "--mode", "shell", "--", "true"], 78),
        (&[], &["--no-such-option", "shell"], 64),
        (&[shell], &["--no-such-option", "true"], 64),
    ] {
        let ended = ended(Job::of(2).node(1, own, words));
        assert_eq!(ended.code, Some(code), "{}", ended.log);
        assert!(!ended.log.contains("waiting"), "{}", ended.log);
    }
}

#[test]
fn a_node_that_waits_says_so_in_state_history_and_report() {
    let job = Job::of(2);
    let state = tempfile::tempdir().unwrap();
    let report = state.path().join("report.json");
    let history = state.path().join("history.jsonl");
    let own = [
        ("TRAINIT_STATE_DIR", state.path().to_str().unwrap()),
        ("TRAINIT_REPORT_FILE", report.to_str().unwrap()),
        ("TRAINIT_HISTORY_FILE", history.to_str().unwrap()),
    ];
    let first = job.node(0, &own, &["true"]);
    // By its directory: other instances may run on this machine.
    let instance = || {
        let user = std::fs::read_dir(state.path()).ok()?.flatten().find(|entry| entry.path().is_dir())?;
        Some(std::fs::read_dir(user.path()).ok()?.flatten().next()?.path())
    };
    let phase = || {
        let output = Command::new(TRAINIT).args(["status", "--instance"]).arg(instance()?).env_clear().output();
        Some(String::from_utf8_lossy(&output.unwrap().stdout).into_owned())
    };
    until_true("the phase", || phase().is_some_and(|phase| phase.contains("waiting")));
    let second = ended(job.node(1, &[], &["true"]));
    assert_eq!((ended(first).code, second.code), (Some(0), Some(0)), "{}", second.log);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let history = std::fs::read_to_string(history).unwrap();
    assert!(history.contains("\"waiting\":"), "{history}");
    assert_eq!((&report["nodes"]["ready"], &report["nodes"]["what"]), (&true.into(), &"all 2 nodes are ready".into()));
}

#[test]
fn at_a_terminal_a_bar_shows_how_many_nodes_have_come() {
    let job = Job::of(3);
    let (person, terminal) = support::pty::open();
    person.resize(24, 90);
    let first = job.command(0, &[("TERM", "xterm")], &["true"]).stderr(terminal).spawn().unwrap();
    person.shows("waiting for nodes 1 and 2 of 3  ████████░");
    let second = job.node(1, &[], &["true"]);
    person.shows("waiting for node 2 of 3  ████████████████░");
    let third = job.node(2, &[], &["true"]);
    person.shows("\r\x1b[2K");
    for node in [first, second, third] {
        let ended = ended(node);
        assert_eq!(ended.code, Some(0), "{}{}", person.screen(), ended.log);
    }
}

#[test]
fn a_node_that_never_comes_is_named_within_seconds_of_the_deadline() {
    let job = Job::of(4).with("CLUSTER_WAIT", "3s");
    let begun = Instant::now();
    let nodes = vec![job.node(0, &[], &["true"]), job.node(2, &[], &["true"])];
    assert_all_end(nodes, 219, "nodes 1 and 3 of 4 did not come within 3 s");
    assert!(begun.elapsed() < Duration::from_secs(3) + LONG, "{:?}", begun.elapsed());
}

#[test]
fn a_node_0_that_never_comes_is_told_with_what_was_seen_of_it() {
    let job = Job::of(2).with("CLUSTER_WAIT", "2s");
    let line =
        format!("node 0 of 2 at 127.0.0.1:{0} did not answer within 2 s: 127.0.0.1:{0} refuses connections", job.port);
    assert_all_end(vec![job.node(1, &[], &["true"])], 219, &line);
    let nameless = job.node(1, &[("TRAINIT_CLUSTER_MASTER", "no-such-node.invalid")], &["true"]);
    assert_all_end(vec![nameless], 219, "no-such-node.invalid");
}

/// Makes a directory of checkpoints for each list of steps.
fn directories(lists: &[&[u32]]) -> tempfile::TempDir {
    let all = tempfile::tempdir().unwrap();
    for (index, steps) in lists.iter().enumerate() {
        let directory = all.path().join(index.to_string());
        std::fs::create_dir(&directory).unwrap();
        steps.iter().for_each(|step| std::fs::write(directory.join(format!("ckpt-{step}.json")), "{}").unwrap());
    }
    all
}

fn resuming(nodes: u32) -> Job {
    Job::of(nodes)
        .with("CHECKPOINT_PATTERN", "ckpt-{step}.json")
        .with("CHECKPOINT_RESUME", "[--from, '{path}']".replace('\'', "\""))
}

fn at(directory: &Path) -> [(&str, &str); 1] {
    [("TRAINIT_CHECKPOINT_DIR", directory.to_str().unwrap())]
}

#[test]
fn directories_of_the_nodes_own_give_the_newest_step_that_all_have() {
    let all = directories(&[&[100, 200, 300], &[100, 200], &[50, 200, 400]]);
    let job = resuming(3);
    let paths: Vec<_> = (0..3).map(|index| all.path().join(index.to_string())).collect();
    let nodes: Vec<Child> = (0..3).map(|index| job.node(index, &at(&paths[index as usize]), &RESUMES)).collect();
    for (path, ended) in paths.iter().zip(nodes.into_iter().map(ended)) {
        let wanted = format!("--from {}/ckpt-200.json 200", path.display());
        assert_eq!(ended.stdout.trim(), wanted, "{}", ended.log);
    }
}

#[test]
fn directories_without_a_common_step_start_nothing_anew() {
    let all = directories(&[&[100], &[]]);
    let job = resuming(2);
    let paths: Vec<_> = (0..2).map(|index| all.path().join(index.to_string())).collect();
    let nodes = (0..2).map(|index| job.node(index, &at(&paths[index as usize]), &RESUMES)).collect();
    assert_all_end(nodes, 119, "there is no checkpoint that all have: node 0");
    let job = job.with("CLUSTER_AGREE", "checks");
    let nodes: Vec<Child> = (0..2).map(|index| job.node(index, &at(&paths[index as usize]), &RESUMES)).collect();
    let said: Vec<String> = nodes.into_iter().map(|node| ended(node).stdout).collect();
    assert!(said[0].trim().ends_with("100") && said[1].trim().is_empty(), "{said:?}");
}

#[test]
fn a_shared_directory_gives_one_step_and_keeps_nothing_of_the_exchange() {
    let all = directories(&[&[100, 200]]);
    let job = resuming(3);
    let shared = all.path().join("0");
    let nodes: Vec<Child> = (0..3).map(|index| job.node(index, &at(&shared), &RESUMES)).collect();
    for ended in nodes.into_iter().map(ended) {
        assert!(ended.stdout.trim().ends_with("ckpt-200.json 200"), "{} {}", ended.stdout, ended.log);
    }
    let names = std::fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.starts_with(".trainit-shared")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_rank_takes_part_where_the_engine_starts_one_process_for_each() {
    let job = Job { settings: Vec::new(), ..Job::of(1) };
    let port = job.port.to_string();
    let rank = |rank: u32, own: &[(&str, &str)]| {
        let (number, local) = (rank.to_string(), (rank % 2).to_string());
        let open_mpi = [
            ("OMPI_COMM_WORLD_RANK", number.as_str()),
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", &local),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
            ("TRAINIT_CLUSTER_MASTER", "127.0.0.1"),
            ("TRAINIT_CLUSTER_PORT", &port),
        ];
        let mut child = Command::new(TRAINIT);
        child.arg("true").env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir("/");
        child.env("TRAINIT_DEPS_REQUIREMENTS", "off").envs(open_mpi).envs(own.iter().copied());
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let failing = [("TRAINIT_DATA", "/nowhere")];
    let ranks = (0..4).map(|index| rank(index, if index == 3 { &failing } else { &[] })).collect();
    assert_all_end(ranks, 111, "rank 3 of 4");
}

#[test]
fn a_stop_ends_a_node_that_waits_at_once() {
    for index in [0, 1] {
        let job = Job::of(3);
        let node = job.node(index, &[], &["true"]);
        let pid = Pid::from_raw(node.id().try_into().unwrap());
        // Node 0 listens, or node 1 has a child that prepares: either way the start is under way.
        if index == 0 {
            until_true("node 0 listens", || std::net::TcpStream::connect(("127.0.0.1", job.port)).is_ok());
        } else {
            let listener = TcpListener::bind(("127.0.0.1", job.port)).unwrap();
            drop(listener.accept().unwrap());
        }
        let begun = Instant::now();
        kill(pid, Signal::SIGTERM).unwrap();
        let ended = ended(node);
        assert_eq!(ended.code, Some(143), "{}", ended.log);
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    }
}

#[test]
fn one_node_a_range_of_nodes_and_a_build_mode_wait_for_nobody() {
    let alone = Job::of(1);
    assert_eq!(ended(alone.node(0, &[], &["true"])).code, Some(0));
    let off = Job::of(2).with("CLUSTER_WAIT", "off");
    assert_eq!(ended(off.node(1, &[], &["true"])).code, Some(0));
    let build = Job::of(2);
    assert_eq!(ended(build.node(1, &[], &["run", "--mode", "shell", "--", "sh", "-c", "true"])).code, Some(0));
    let range = Job { settings: Vec::new(), port: 0 };
    let elastic = [("PET_NNODES", "1:4"), ("PET_RDZV_ENDPOINT", "n1:29400"), ("PET_RDZV_BACKEND", "c10d")];
    assert_eq!(ended(range.node(0, &elastic, &["true"])).code, Some(0));
}

#[test]
fn many_nodes_meet() {
    let count = std::env::var("NODES").ok().and_then(|count| count.parse().ok()).unwrap_or(24);
    let job = Job::of(count);
    let nodes: Vec<Child> = (0..count).rev().map(|index| job.node(index, &[], &["true"])).collect();
    for ended in nodes.into_iter().map(ended) {
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}
