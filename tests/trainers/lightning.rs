//! Lightning's own Trainer: it ends at the next batch after SIGTERM, and its callback saves.

use crate::job::{Job, script, torch_is_here};
use crate::packages;
use crate::support::{Launch, Place, Role};

/// The newest that goes with Debian 12's torch 1.13, and what it imports.
const PACKAGES: [&str; 8] = [
    "pytorch-lightning==2.0.9",
    "torchmetrics<1.3",
    "lightning-utilities",
    "packaging",
    "pyyaml",
    "tqdm",
    "fsspec",
    "typing_extensions",
];

#[test]
fn a_trainer_of_lightning_saves_and_its_checkpoint_is_complete() {
    if !torch_is_here() {
        return;
    }
    let Some(environment) = packages::environment("lightning", &PACKAGES) else { return };
    let job = Job::new();
    let python = environment.join("bin/python").into_os_string().into_string().unwrap();
    let launch = Launch::of(Role::Run, Place::Aside, &["--", &python, &script("lightning.py"), job.word()])
        .env("TRAINIT_STOP_GRACE", "50s")
        .env("TRAINIT_CHECKPOINT_DIR", job.word())
        .env("TRAINIT_CHECKPOINT_FAMILY", "lightning");
    let running = launch.spawn();
    while !running.line().starts_with("step 15") {}
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.code, Some(143), "{finished:#?}");
    let newest = finished.err.split("newest checkpoint ").nth(1).unwrap_or_else(|| panic!("{finished:#?}"));
    assert!(newest.starts_with(job.word()) && newest.contains("on_exception.ckpt (step "), "{newest}");
    job.assert_nobody_left();
}
