//! Starts that must fail: at once, with the exit code of their family and words that say what to type.

use crate::harness::{Ended, Run};
use crate::images::{Image, image};

/// What stands for the training, and must never be reached.
const TRAINING: [&str; 3] = ["sh", "-c", "echo star''ted"];

/// Runs `TRAINING`, which must not start.
fn refused(run: Run, code: i32) -> Ended {
    let ended = run.command(&TRAINING).finish().expect_code(code);
    assert!(!ended.text.contains("started"), "{}", ended.text);
    ended
}

#[test]
fn a_forgotten_mount_is_named_with_the_flag_that_makes_it() {
    let Some(python) = image(Image::Python) else { return };
    let ended = refused(Run::of(&python).with("-e TRAINIT_DATA=/data"), 111);
    ended.expect_text(&["/data", "docker run", "-v ", ":/data"]);
}

#[test]
fn an_empty_mount_is_told_from_a_forgotten_one() {
    let Some(python) = image(Image::Python) else { return };
    let empty = tempfile::tempdir().expect("a temporary directory");
    let run = Run::of(&python).with(&format!("-e TRAINIT_DATA=/data -v {}:/data:ro", empty.path().display()));
    refused(run, 111).expect_text(&["/data is mounted, but empty", "the source ends in ", ", made "]);
}

#[test]
fn all_missing_mounts_come_in_one_command_line() {
    let Some(python) = image(Image::Python) else { return };
    let run = Run::of(&python).with("-e TRAINIT_DATA=/first -e TRAINIT_OUTPUT=/second:mounted=yes");
    let text = refused(run, 111).text;
    let whole = |line: &str| ["docker run", ":/first", ":/second", "IMAGE sh"].iter().all(|word| line.contains(word));
    assert!(text.lines().any(whole), "{text}");
}

#[test]
fn a_mistyped_variable_is_an_error_that_names_the_right_one() {
    let Some(python) = image(Image::Python) else { return };
    let ended = refused(Run::of(&python).with("-e TRAINIT_DTA=/data"), 78);
    ended.expect_text(&["TRAINIT_DTA", "did you mean", "TRAINIT_DATA"]);
}

#[test]
fn a_requirement_that_does_not_exist_ends_the_start_and_is_named() {
    let Some(python) = image(Image::Python) else { return };
    let code = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(code.path().join("requirements.txt"), "no-such-distribution==1.0\n").expect("a temporary file");
    let run = Run::of(&python).with(&format!("-v {}:/code -e PIP_NO_INDEX=1 -e UV_NO_INDEX=1", code.path().display()));
    let ended = run.command(&["python", "-c", "print('star' + 'ted')"]).finish().expect_code(116);
    assert!(!ended.text.contains("started"), "{}", ended.text);
    ended.expect_text(&["no-such-distribution", "requirements.txt"]);
}

#[test]
fn a_command_that_does_not_exist_is_127_with_its_name() {
    let Some(python) = image(Image::Python) else { return };
    Run::of(&python).command(&["pyhton", "train.py"]).finish().expect_code(127).expect_text(&["pyhton"]);
}

#[test]
fn a_command_that_cannot_be_executed_is_126_with_its_name() {
    let Some(python) = image(Image::Python) else { return };
    Run::of(&python).command(&["/etc/passwd"]).finish().expect_code(126).expect_text(&["/etc/passwd"]);
}

#[test]
fn no_command_and_no_terminal_is_a_usage_error() {
    let Some(python) = image(Image::Python) else { return };
    Run::of(&python).finish().expect_code(64);
}

#[test]
fn an_image_for_gpus_refuses_to_start_without_one() {
    let Some(nvidia) = image(Image::Base("nvidia-pytorch")) else { return };
    refused(Run::of(&nvidia), 110).expect_text(&["no GPU", "/etc/trainit.yaml"]);
    let on_purpose = Run::of(&nvidia).with("-e TRAINIT_GPU_COUNT=none").command(&TRAINING);
    on_purpose.finish().expect_code(0).expect_text(&["started"]);
}
