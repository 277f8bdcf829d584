//! A whole start: what the driver is asked, when, and what is said of it.

#![allow(unsafe_code)] // a descriptor for a child has no safe interface

use super::fakes::{Fakes, fakes};
use super::{fuse, skip};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// /dev of its own, with nodes of two GPUs. Plain files will do: nobody opens them. What $BEFORE says is done before.
const NODES: &str = r#"
set -e
# A file system that hangs, from the connection that was handed over.
hang() {
    mount -i -t fuse.hung -o fd=9,rootmode=40000,user_id=0,group_id=0 hung "$1"
    exec 9>&-
    echo mounted >"$UP"
}
eval "$BEFORE"
mount -t tmpfs -o mode=755 none "$D"
for name in null zero random urandom; do : >"$D/$name"; mount --bind "/dev/$name" "$D/$name"; done
for name in nvidia0 nvidia1 nvidiactl nvidia-uvm; do : >"$D/$name"; done
chmod 666 "$D"/nvidia*
mount --rbind "$D" /dev
eval "$AFTER"
exec "$TRAINIT" "$@"
"#;

pub struct Start {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// trainit where two GPUs are.
pub struct Machine<'a> {
    directory: tempfile::TempDir,
    words: Vec<&'a str>,
    variables: Vec<(&'a str, &'a str)>,
    fakes: &'a Fakes,
    namespaces: &'static [&'static str],
}

impl<'a> Machine<'a> {
    /// With these libraries and variables. BEFORE and AFTER are what is done to the machine, before and after it has its own /dev.
    pub fn new(fakes: &'a Fakes, words: &[&'a str], variables: &[(&'a str, &'a str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Machine { directory, words: words.to_vec(), variables: variables.to_vec(), fakes, namespaces: &["-m"] }
    }

    /// In a pid namespace of its own, too.
    pub fn with_own_pids(self) -> Self {
        Machine { namespaces: &["-m", "--pid", "--fork", "--mount-proc"], ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(self.namespaces).args(["sh", "-c", NODES, "sh"]).args(&self.words);
        command.env("D", self.directory.path()).env("TRAINIT", env!("CARGO_BIN_EXE_trainit"));
        command.env("LD_LIBRARY_PATH", self.fakes.path()).env("FAKE_GPUS", "2").env("container", "docker");
        command.env("TRAINIT_CHECKS", "code=off host=off gpu.stub=off gpu.mismatch=off gpu.jit=off gpu.nofile=off");
        command.env("TRAINIT_GPU_HELPER", "memfd").envs(self.variables.iter().copied());
        command
    }

    /// Runs it; none where no mount namespace can be made.
    pub fn start(&self) -> Option<Start> {
        ended(self.command())
    }
}

fn ended(mut command: Command) -> Option<Start> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    if err.contains("unshare failed") || err.contains("mount:") {
        skip(&format!("no mount namespace can be made here: {}", err.trim()));
        return None;
    }
    Some(Start { code: output.status.code().unwrap_or(-1), out, err })
}

/// Runs trainit where two GPUs are, with these libraries and variables.
fn start(fakes: &Fakes, words: &[&str], variables: &[(&str, &str)]) -> Option<Start> {
    Machine::new(fakes, words, variables).start()
}

/// The exit code and the report of a check of the GPUs.
pub fn reported(machine: &Machine<'_>) -> Option<(i32, Value)> {
    let start = machine.start()?;
    let report =
        serde_json::from_str(&start.out).unwrap_or_else(|error| panic!("{error}: {} {}", start.out, start.err));
    Some((start.code, report))
}

fn report(fakes: &Fakes, variables: &[(&str, &str)]) -> Option<(i32, Value)> {
    reported(&Machine::new(fakes, &CHECK, variables))
}

/// The words for a report of the GPUs.
pub const CHECK: [&str; 4] = ["check", "--json", "--only", "gpu"];

/// What the driver told, as the report has it.
pub fn told(report: &Value) -> &Value {
    let findings = report["findings"].as_array().or(report["checks"].as_array()).unwrap();
    findings
        .iter()
        .map(|finding| &finding["facts"]["driver_facts"])
        .find(|facts| facts.is_object())
        .unwrap_or(&Value::Null)
}

#[test]
fn a_check_asks_the_driver_and_reports_what_it_told() {
    let Some(fakes) = fakes() else { return };
    let Some((code, report)) = report(fakes, &[]) else { return };
    let facts = told(&report);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!((&facts["cuda"]["count"], &facts["nvml"]["driver"]), (&2.into(), &"570.172.08".into()), "{report:#}");
    assert_eq!(facts["proofs"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_level_and_the_helper_are_as_configured() {
    let Some(fakes) = fakes() else { return };
    let Some((_, presence)) = report(fakes, &[("TRAINIT_GPU_PROBE", "presence")]) else { return };
    assert!(told(&presence).is_null());
    let Some((code, cuda)) = report(fakes, &[("TRAINIT_GPU_PROBE", "cuda")]) else { return };
    assert_eq!((code, &told(&cuda)["proofs"][1]["wrong"]), (0, &0.into()), "{cuda:#}");
    let Some((_, off)) = report(fakes, &[("TRAINIT_GPU_HELPER", "off")]) else { return };
    assert!(told(&off)["cuda"]["count"].is_null());
}

#[test]
fn a_driver_that_hangs_ends_the_start_with_a_code_that_asks_for_another_node() {
    let Some(fakes) = fakes() else { return };
    let variables = [
        ("FAKE_AT", "nvmlDeviceGetName:1"),
        ("FAKE_DO", "hang"),
        ("TRAINIT_GPU_TIMEOUT", "2s"),
        ("TRAINIT_GPU_COUNT", "2"),
    ];
    let Some(start) = start(fakes, &["exec", "--", "true"], &variables) else { return };
    assert_eq!(start.code, 210, "{}", start.err);
    assert!(start.err.contains("nvmlDeviceGetName of GPU 1"), "{}", start.err);
}

/// Runs this beside a file system that it may mount with descriptor 9, and which then answers nothing but the greeting; the mount is told
/// in the file $UP. The server is what keeps it hanging.
fn beside_what_hangs(machine: &Machine<'_>) -> (Option<Start>, (fuse::Server, [u8; 8])) {
    hanging(machine.command(), ended)
}

fn hanging<T>(mut command: Command, run: impl FnOnce(Command) -> T) -> (T, (fuse::Server, [u8; 8])) {
    let directory = tempfile::tempdir().unwrap();
    let up = directory.path().join("up");
    assert!(Command::new("mkfifo").arg(&up).status().unwrap().success());
    // Opened for both ends at once: nobody waits for the other.
    let mut rendezvous = std::fs::File::options().read(true).write(true).open(&up).unwrap();
    let mut over = rendezvous.try_clone().unwrap();
    let mut server = fuse::Server::open();
    let connection = server.file().as_raw_fd();
    // SAFETY: dup2(2) and fcntl(2) take numbers; this is the child before exec. The connection may have this very number, with
    // close-on-exec.
    let handed = move || match unsafe { (libc::dup2(connection, 9), libc::fcntl(9, libc::F_SETFD, 0)) } {
        (9, 0) => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: it does nothing else.
    unsafe { command.env("UP", &up).pre_exec(handed) };
    let serving = std::thread::spawn(move || {
        let mut word = [0; 8];
        if rendezvous.read(&mut word).is_ok_and(|length| word.get(..length) == Some(b"mounted\n")) {
            server.answer_greeting();
            let number = server.swallow_request();
            return (server, number);
        }
        (server, [0; 8])
    });
    let start = run(command);
    // Where there was nothing to mount it waits for that word.
    over.write_all(b"over\n").unwrap();
    (start, serving.join().unwrap())
}

/// A machine whose driver waits in this call for `file`, in a file system that is mounted there and never answers; none where there cannot
/// be one.
fn stuck<'a>(file: &'a str, call: &'a str, words: &[&'a str]) -> Option<Machine<'a>> {
    let fakes = fakes().filter(|_| fuse::is_there())?;
    let variables = [
        ("FAKE_AT", call),
        ("FAKE_DO", "stuck"),
        ("FAKE_STUCK", file),
        ("BEFORE", "hang ${FAKE_STUCK%/*}"),
        ("AFTER", ": >/dev/termination-log"),
        ("TRAINIT_GPU_TIMEOUT", "3s"),
        ("TRAINIT_GPU_COUNT", "2"),
    ];
    Some(Machine::new(fakes, words, &variables))
}

/// A call that waits in the kernel for an answer that never comes, as one does in a driver whose firmware hangs: not even SIGKILL ends
/// it. Whoever asked says so and goes on; what hangs is let go with the test.
#[test]
fn a_driver_that_hangs_in_the_kernel_is_named_with_the_call_the_state_and_where_it_waits() {
    let hung = tempfile::tempdir().unwrap();
    let file = format!("{}/file", hung.path().display());
    let Some(machine) = stuck(&file, "nvmlDeviceGetName:1", &["exec", "--", "true"]) else { return };
    let (Some(start), _server) = beside_what_hangs(&machine) else { return };
    assert_eq!(start.code, 210, "{}", start.err);
    assert!(start.err.contains("nvmlDeviceGetName of GPU 1 did not come back (NVML)"), "{}", start.err);
    assert!(start.err.contains("waits in the kernel (state D"), "{}", start.err);
}

/// As PID 1 of a namespace it cannot be gone before the process that hangs, which the kernel waits for. All is told before that.
#[test]
fn a_container_whose_driver_hangs_in_the_kernel_has_told_all_before_it_ends() {
    let hung = tempfile::tempdir().unwrap();
    let file = format!("{}/file", hung.path().display());
    let Some(machine) = stuck(&file, "nvmlInit_v2", &["run", "--", "true"]) else { return };
    let machine = machine.with_own_pids();
    let (told, (mut server, number)) = hanging(machine.command(), |mut command| {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let report: Vec<String> =
            lines.by_ref().take_while(|line| !line.contains("restart it; try another one")).collect();
        let message = format!("/proc/{}/root/dev/termination-log", child.id());
        let deadline = Instant::now() + super::LONG;
        let mut text = String::new();
        while text.is_empty() && Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            text = std::fs::read_to_string(&message).unwrap_or_default();
            std::thread::yield_now();
        }
        let runs = child.try_wait().unwrap().is_none();
        (child, report.join(" "), text, runs)
    });
    let (mut child, report, message, runs) = told;
    server.refuse(number);
    if report.contains("unshare failed") || report.contains("mount:") {
        return skip("no mount namespace can be made here");
    }
    assert!(report.contains("nvmlInit_v2 did not come back") && report.contains("state D"), "{report}");
    assert!(runs, "the process that hangs holds its namespace");
    assert!(message.contains("nvmlInit_v2 did not come back"), "{message:?}");
    assert_eq!(child.wait().unwrap().code(), Some(210));
}

/// A mount where the driver's files in /proc are, and libraries for forward compatibility in the image, for which they are read first.
const FILES: &str = r#"
mount -t tmpfs none /proc/driver
mkdir /proc/driver/nvidia
mount -t tmpfs none /usr/local
mkdir -p /usr/local/cuda/compat
: >/usr/local/cuda/compat/libcuda.so.999.1
ln -s libcuda.so.999.1 /usr/local/cuda/compat/libcuda.so.1
hang /proc/driver/nvidia
"#;

/// Whoever reads what the driver says in /proc waits for a driver that hangs. That is never the process that becomes the workload.
#[test]
fn a_driver_whose_files_hang_is_told_and_nobody_waits_for_ever() {
    let Some(fakes) = fakes() else { return };
    if !Path::new("/proc/driver").is_dir() {
        return skip("there is no /proc/driver here");
    }
    if !fuse::is_there() {
        return;
    }
    let variables = [("BEFORE", FILES), ("TRAINIT_GPU_TIMEOUT", "2s"), ("TRAINIT_GPU_COUNT", "2")];
    let machine = Machine::new(fakes, &["exec", "--", "true"], &variables);
    let (Some(needed), _server) = beside_what_hangs(&machine) else { return };
    assert_eq!(needed.code, 210, "{}", needed.err);
    assert!(needed.err.contains("/proc/driver/nvidia did not answer in 2 s"), "{}", needed.err);
    assert!(needed.err.contains("waits in the kernel (state D"), "{}", needed.err);
    let asked = Machine::new(fakes, &["gpu", "--set=gpu.probe=presence"], &variables);
    let (Some(asked), _server) = beside_what_hangs(&asked) else { return };
    assert_eq!((asked.code, asked.out.matches("GPU ").count()), (210, 3), "{}{}", asked.out, asked.err);
}

#[test]
fn the_workload_starts_when_both_the_driver_and_the_rest_are_done() {
    let Some(fakes) = fakes() else { return };
    let variables = [("FAKE_AT", "cuInit"), ("FAKE_DO", "slow")];
    // Read by the shell itself: no child of prepare's is left to the workload.
    let script = "read children </proc/$$/task/$$/children; echo \"children:$children\"";
    let Some(start) = start(fakes, &["exec", "--", "sh", "-c", script], &variables) else { return };
    assert_eq!((start.code, start.out.lines().last()), (0, Some("children:")), "{}{}", start.out, start.err);
    let line = |word: &str| start.err.lines().position(|line| line.contains(word));
    assert!(line("gpu").is_some() && line("gpu") < line("start "), "{}", start.err);
}
