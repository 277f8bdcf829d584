//! Containers that are not as most are: without a file system to write to, without a user, without anything but the binary.

use crate::harness::Run;
use crate::images::{Image, image, offline};
use crate::sessions::wait_until_ready;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_read_only_root_is_enough() {
    let Some(python) = image(Image::Python) else { return };
    for options in ["--read-only", "--read-only --tmpfs /tmp"] {
        let run = Run::of(&python).with(options).command(&["python", "-c", "print('works')"]);
        run.finish().expect_code(0).expect_text(&["works"]);
    }
}

#[test]
fn health_is_known_on_a_read_only_root() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).with("--read-only --health-interval 1s").command(&["sleep", "1000"]).start();
    job.wait_for_field(".State.Health.Status", "healthy");
}

#[test]
fn a_user_that_nobody_knows_can_run_and_be_asked_after() {
    let Some(python) = image(Image::Python) else { return };
    let script = "import os; print('uid', os.getuid(), flush=True); import time; time.sleep(1000)";
    let run = Run::of(&python).with("--user 12345 --health-interval 1s");
    let job = run.command(&["python", "-c", script]).start();
    job.wait_for_text("uid 12345");
    job.wait_for_field(".State.Health.Status", "healthy");
}

/// A container whose command needs a package, with no right to write where packages go.
fn needs_a_package(image: &str, code: &Path, options: &str) -> Run {
    std::fs::write(code.join("requirements.txt"), "safetensors\n").expect("a temporary file");
    let run = Run::of(image).with(&offline()).with(&format!("-v {}:/code:ro", code.display())).with(options);
    run.command(&["python", "-c", "import safetensors; print('imported')"])
}

#[test]
fn packages_go_elsewhere_where_the_interpreters_directory_cannot_be_written() {
    let Some(python) = image(Image::Python) else { return };
    let code = tempfile::tempdir().expect("a temporary directory");
    for options in ["--user 12345", "--read-only --tmpfs /tmp:exec", "--read-only --tmpfs /tmp:exec --user 12345"] {
        needs_a_package(&python, code.path(), options).finish().expect_code(0).expect_text(&["imported"]);
    }
}

#[test]
fn no_place_for_packages_is_told_with_the_option_that_makes_one() {
    let Some(python) = image(Image::Python) else { return };
    let code = tempfile::tempdir().expect("a temporary directory");
    for options in ["--read-only", "--read-only --tmpfs /tmp"] {
        needs_a_package(&python, code.path(), options)
            .finish()
            .expect_code(116)
            .expect_text(&["writable /tmp that allows programs"]);
    }
}

#[test]
fn the_limits_of_docker_run_are_seen_and_each_is_told_with_its_option() {
    let Some(python) = image(Image::Python) else { return };
    let limits =
        "--cpus 0.25 --memory 512m --pids-limit 200 --ulimit nofile=2048:2048 --shm-size 2g --read-only --user 12345";
    let ended = Run::of(&python).with(limits).command(&["check"]).finish().expect_code(0);
    let ended = ended.expect_text(&[
        "→ docker run --ulimit nofile=65536",
        "→ docker run --pids-limit",
        "→ docker run --tmpfs /tmp:exec",
    ]);
    ended.expect_text(&[
        "at most 2048 files",
        "(limit 200)",
        "/tmp cannot be written as 12345:0: Read-only file system",
    ]);
    let run = Run::of(&python).with("--cpus 1 --memory 512m --shm-size 2g -e TRAINIT_HOST_THREADS=auto");
    let run = run.command(&["sh", "-c", "echo threads $OMP_NUM_THREADS"]);
    run.finish().expect_code(0).expect_text(&["threads 1", "/dev/shm 2 GiB, memory 512 MiB, 1 CPU"]);
}

#[test]
fn an_ordinary_container_is_not_warned_about() {
    let Some(python) = image(Image::Python) else { return };
    let ended = Run::of(&python).with("--shm-size 2g").command(&["python", "-c", "print(1)"]).finish();
    assert!(!ended.text.contains("warn"), "{}", ended.text);
}

#[test]
fn the_binary_alone_is_an_image() {
    let Some(scratch) = image(Image::Scratch) else { return };
    let version = concat!("trainit ", env!("CARGO_PKG_VERSION"));
    for command in [&["--version"][..], &["exec", "--", "/trainit", "--version"], &["--", "/trainit", "--version"]] {
        Run::of(&scratch).command(command).finish().expect_code(0).expect_text(&[version]);
    }
    Run::of(&scratch).command(&["check"]).finish().expect_code(0);
    Run::of(&scratch).command(&["/no/such"]).finish().expect_code(127).expect_text(&["/no/such"]);
}

#[test]
fn a_shell_where_there_is_none_is_refused_with_the_reason() {
    let Some(scratch) = image(Image::Scratch) else { return };
    Run::of(&scratch).command(&["shell"]).finish().expect_code(127).expect_text(&["shell"]);
}

#[test]
fn it_runs_where_there_is_no_glibc() {
    let Some(alpine) = image(Image::Alpine) else { return };
    let run = Run::of(&alpine).command(&["sh", "-c", "echo from $0; exit 3", "sh"]);
    run.finish().expect_code(3).expect_text(&["from sh"]);
    Run::of(&alpine).command(&["check"]).finish().expect_code(0);
}

#[test]
fn ready_dockerfiles_build_and_start() {
    for base in ["nvidia-pytorch", "pytorch"] {
        let Some(base) = image(Image::Base(base)) else { return };
        let run = Run::of(&base).with("-e TRAINIT_GPU_COUNT=none").command(&["sh", "-c", "echo started"]);
        run.finish().expect_code(0).expect_text(&["started"]);
    }
}

#[test]
fn the_cuda_image_has_a_python_of_its_own_to_install_into() {
    let Some(cuda) = image(Image::Cuda) else { return };
    let run = Run::of(&cuda).with("-e TRAINIT_GPU_COUNT=none");
    let run = run.command(&["python", "-c", "import sys; print('prefix', sys.prefix)"]);
    run.finish().expect_code(0).expect_text(&["prefix /opt/venv"]);
}

#[test]
fn docker_stacks_images_start_jupyter_and_their_scripts_stay_the_first_word_of_a_mode() {
    let Some(stacks) = image(Image::Base("jupyter-docker-stacks")) else { return };
    let notebook = Run::of(&stacks).command(&["notebook"]).finish();
    notebook.expect_code(0).expect_text(&["start.sh as 1000", "notebook"]);
    let jupyter = Run::of(&stacks).with("-e NOTEBOOK_ARGS=--debug -e JUPYTER_PORT=8890").finish();
    jupyter
        .expect_code(0)
        .expect_text(&["jupyter-lab --ip=* --port=8890 --no-browser --debug", "published (8890:8890)"]);
}

#[test]
fn docker_init_before_trainit_changes_nothing() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).with("--init").command(&["sleep", "1000"]).start();
    wait_until_ready(&job);
    assert!(job.stop(60) < Duration::from_secs(20));
    job.ended().expect_code(143);
}
