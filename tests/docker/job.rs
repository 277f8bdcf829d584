//! The project's main job: the digits training, stopped in the middle, started again, finished.

use crate::harness::{Container, Ended, Run, project, wait_for};
use crate::images::{Image, image, offline};
use std::path::Path;
use std::time::Duration;

/// The job as ./demo starts it, with its checkpoints in this directory.
pub fn digits(image: &str, checkpoints: &Path, words: &[&str]) -> Run {
    let example = project().join("examples/digits");
    let (code, data, checkpoints) = (example.join("code"), example.join("data"), checkpoints.display());
    Run::of(image)
        .with(&offline())
        .with(&format!("-v {}:/code -v {}:/data:ro -v {checkpoints}:/checkpoints", code.display(), data.display()))
        .with("-e PYTHONDONTWRITEBYTECODE=1")
        .command(words)
}

/// How often a line with this occurs.
fn count(text: &str, wanted: &str) -> usize {
    text.lines().filter(|line| line.contains(wanted)).count()
}

fn stop_in_the_middle(job: &Container) {
    job.wait_for_text("epoch   2/");
    let took = job.stop(60);
    assert!(took < Duration::from_secs(30), "the stop took {took:?}: the signal did not reach the job");
    job.ended().expect_code(143).expect_text(&["SIGTERM: saved"]);
}

#[test]
fn a_stopped_job_that_is_started_again_resumes_and_finishes() {
    let Some(python) = image(Image::Python) else { return };
    let checkpoints = tempfile::tempdir().expect("a temporary directory");
    let job = digits(&python, checkpoints.path(), &["python", "train.py", "--epochs", "6", "--pace", "1"]).start();
    stop_in_the_middle(&job);
    job.start_again();
    job.wait_for_text("done: 6 epochs");
    let Ended { code, text } = job.ended();
    assert_eq!(code, 0, "{text}");
    assert_eq!(count(&text, "resuming from"), 1, "{text}");
    for epoch in 1..=6 {
        assert_eq!(count(&text, &format!("epoch   {epoch}/")), 1, "epoch {epoch} was not done once:\n{text}");
    }
    assert!(checkpoints.path().join("DONE").exists());
}

#[test]
fn a_stopped_job_goes_on_in_a_new_container() {
    let Some(python) = image(Image::Python) else { return };
    let checkpoints = tempfile::tempdir().expect("a temporary directory");
    let command = ["python", "train.py", "--epochs", "4", "--pace", "1"];
    stop_in_the_middle(&digits(&python, checkpoints.path(), &command).start());
    let ended = digits(&python, checkpoints.path(), &command).finish().expect_code(0);
    ended.expect_text(&["resuming from", "done: 4 epochs"]);
}

#[test]
fn requirements_are_installed_once_in_a_container() {
    let Some(python) = image(Image::Python) else { return };
    let checkpoints = tempfile::tempdir().expect("a temporary directory");
    let job = digits(&python, checkpoints.path(), &["python", "train.py", "--epochs", "1"]).start();
    job.ended().expect_code(0).expect_text(&["installing /code/requirements.txt"]);
    job.start_again();
    job.wait_for_text("nothing to do");
    let text = job.ended().expect_code(0).text;
    assert_eq!(count(&text, "installing /code/requirements.txt"), 1, "{text}");
}

#[test]
fn a_stop_during_the_installation_ends_it_at_once() {
    let Some(python) = image(Image::Python) else { return };
    let code = tempfile::tempdir().expect("a temporary directory");
    write_slow_package(code.path());
    let run = Run::of(&python).with(&format!("-v {}:/code", code.path().display()));
    let job = run.with("-e PIP_NO_INDEX=1 -e UV_NO_INDEX=1").command(&["python", "train.py"]).start();
    wait_for("build", || code.path().join("slow/started").exists().then_some(()), || job.text());
    let took = job.stop(60);
    assert!(took < Duration::from_secs(8), "the stop took {took:?}");
    let text = job.ended().expect_code(143).text;
    assert!(!text.contains("never printed"), "{text}");
}

/// A requirement that takes ten minutes to build, needs no network, and leaves a mark when it begins.
fn write_slow_package(code: &Path) {
    let backend = "import pathlib, subprocess\n\n\
        def build_wheel(*args, **kwargs):\n    \
            pathlib.Path(__file__).with_name('started').touch()\n    \
            subprocess.run(['sleep', '600'])\n";
    let project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n\n\
        [project]\nname = 'slow'\nversion = '1'\n";
    std::fs::create_dir(code.join("slow")).expect("a temporary directory");
    for (name, text) in [
        ("requirements.txt", "./slow\n"),
        ("train.py", "print('never printed')\n"),
        ("slow/pyproject.toml", project),
        ("slow/backend.py", backend),
    ] {
        std::fs::write(code.join(name), text).expect("a temporary file");
    }
}
