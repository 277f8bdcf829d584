//! `accelerate launch`: torchrun inside, under another name.

use crate::job::{Job, script, torch_is_here, words};
use crate::packages;
use crate::support::Place;
use crate::support::port::free_port;
use std::path::Path;

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

/// As for torchrun itself: with Debian's Python its defaults for the ranks' output have to be named.
fn command(environment: &Path, job: &Job) -> Vec<String> {
    let port = free_port();
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
    let Some(environment) = packages::environment("accelerate", &PACKAGES) else { return };
    let job = Job::new();
    let line = command(&environment, &job);
    let mut running = job.under_trainit(Place::Aside, &words(&line)).env("PET_REDIRECTS", "1").spawn();
    job.wait_for_steps(RANKS, &mut running);
    running.signal(libc::SIGTERM);
    job.assert_saved(RANKS, &running.finish());
}
