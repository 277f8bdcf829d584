//! `accelerate launch`: torchrun inside, under another name.

use crate::job::{Job, script, torch_is_here, torch_python, words};
use crate::support::{Place, skip};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

const RANKS: u32 = 2;

/// The newest that goes with Debian 12's torch 1.13, and what it imports.
const PACKAGES: [&str; 14] = [
    "accelerate==0.24.1",
    "huggingface_hub==0.17.3",
    "psutil",
    "pyyaml",
    "packaging",
    "filelock",
    "fsspec",
    "tqdm",
    "requests",
    "urllib3",
    "idna",
    "certifi",
    "charset-normalizer",
    "typing_extensions",
];

/// A virtual environment over the Python that has torch; made once, and kept with the build.
fn environment() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("accelerate");
    if path.join("complete").exists() {
        return Some(path);
    }
    let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let made = done(Command::new(torch_python()).args(["-m", "venv", "--clear", "--system-site-packages"]).arg(&path));
    let mut pip = Command::new(path.join("bin/python"));
    // Its own requirements would replace the system's torch by one of some gigabytes.
    let packages = pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]).args(PACKAGES);
    if !made || !done(packages) {
        skip("accelerate cannot be installed into a virtual environment (python3-venv, and an index of packages)");
        return None;
    }
    std::fs::write(path.join("complete"), "").unwrap();
    Some(path)
}

/// As for torchrun itself: with Debian's Python its defaults for the ranks' output have to be named.
fn command(environment: &Path, job: &Job) -> Vec<String> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = format!(
        "launch --multi_gpu --num_processes {RANKS} --num_machines 1 --machine_rank 0 --main_process_ip 127.0.0.1 \
         --main_process_port {port} --mixed_precision no --dynamo_backend no --tee 1"
    );
    let program = environment.join("bin/accelerate").into_os_string().into_string().unwrap();
    let options = options.split_whitespace().map(str::to_owned);
    [program].into_iter().chain(options).chain([script("ranks.py"), job.word().to_owned()]).collect()
}

#[test]
fn accelerate_launch_saves_and_its_code_is_understood() {
    if !torch_is_here() {
        return;
    }
    let Some(environment) = environment() else { return };
    let job = Job::new();
    let line = command(&environment, &job);
    let mut running = job.under_trainit(Place::Aside, &words(&line)).env("PET_REDIRECTS", "1").spawn();
    job.wait_for_steps(RANKS, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_saved(RANKS, &running.finish());
}
