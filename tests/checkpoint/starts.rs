//! Real starts: what the workload is given for what lies in the directory, and what is said.

use crate::fixture::{Place, half, lightning, torch};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Starts `trainit run` with `checkpoint.resume: env`, and returns what the workload got and what was said.
fn start(place: &Place, more: &[(&str, &str)]) -> (String, String) {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trainit"))
        .args([
            "run",
            "--mode",
            "train",
            "--",
            "sh",
            "-c",
            "echo \"$TRAINIT_RESUME_PATH $TRAINIT_RESUME_STEP $*\"",
            "job",
        ])
        .env("TRAINIT_CHECKPOINT_DIR", place.path())
        .env("TRAINIT_CHECKPOINT_RESUME", "env")
        .env("TRAINIT_STATE_DIR", state.path())
        .envs(more.iter().copied())
        .current_dir("/")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let given = text(output.stdout).trim().replace(&format!("{}/", place.path().canonicalize().unwrap().display()), "");
    (given, text(output.stderr))
}

#[track_caller]
fn assert_given(place: &Place, more: &[(&str, &str)], given: &str, told: &[&str]) {
    let found = start(place, more);
    assert_eq!(found.0, given, "{}", found.1);
    told.iter().for_each(|line| assert!(found.1.contains(line), "no {line:?} in\n{}", found.1));
    assert_eq!(found.1.contains("a fresh start"), told.contains(&"a fresh start"), "{}", found.1);
}

#[test]
fn one_file_of_a_set_is_not_handed_over_and_the_pattern_that_is_printed_hands_it_over() {
    let place = Place::new();
    assert_given(&place, &[], "", &["a fresh start"]);
    for step in [100, 200] {
        ["model", "optim", "ema"].iter().for_each(|part| drop(place.put(&format!("{part}_{step}.pt"), torch(b"w"))));
    }
    let (given, told) = start(&place, &[("TRAINIT_CHECKPOINT_RESUME", r#"["--resume", "{path}"]"#)]);
    assert_eq!(given, "", "{told}");
    let pattern = told.split("TRAINIT_CHECKPOINT_PATTERN='").nth(1).and_then(|rest| rest.split('\'').next());
    let pattern = pattern.unwrap_or_else(|| panic!("no pattern is printed: {told}"));
    assert_given(&place, &[("TRAINIT_CHECKPOINT_PATTERN", pattern)], "model_200.pt 200", &["one of a set"]);
    place.put("optim_200.pt", half(torch(b"w")));
    let cut = ["passed over", "optim_200.pt: a zip archive without its end"];
    assert_given(&place, &[("TRAINIT_CHECKPOINT_PATTERN", pattern)], "model_100.pt 100", &cut);
}

#[test]
fn what_cannot_be_judged_is_named_with_its_files() {
    let place = Place::new();
    place.put("step_100/model.pt", torch(b"w"));
    assert_given(&place, &[], "", &["cannot judge what is in", "step_100/model.pt"]);
    let ranks = Place::new();
    (0..4).for_each(|rank| drop(ranks.put(&format!("step_100_rank_{rank}.pt"), torch(b"w"))));
    (0..2).for_each(|rank| drop(ranks.put(&format!("step_200_rank_{rank}.pt"), torch(b"w"))));
    assert_given(&ranks, &[], "", &["step_100_rank_0.pt", "2 of 4 ranks' files are there"]);
}

#[test]
fn many_half_written_ones_do_not_hide_a_whole_one() {
    let place = Place::new();
    (1..400).for_each(|step| drop(place.put(&format!("ckpt-{step}.pt"), half(torch(b"w")))));
    place.put("ckpt-7.pt", torch(b"w"));
    assert_given(&place, &[], "ckpt-7.pt 7", &["and 389 more that are not complete"]);
}

#[test]
fn the_newest_run_is_gone_on_with_and_the_other_one_is_named() {
    let place = Place::new();
    for (version, step, age) in [(0, 900, 10_800), (1, 200, 100)] {
        let file = format!("lightning_logs/version_{version}/checkpoints/epoch=0-step={step}.ckpt");
        place.put(&file, lightning(step));
        place.age(&file, age);
    }
    let newest = "lightning_logs/version_1/checkpoints/epoch=0-step=200.ckpt 200";
    assert_given(&place, &[], newest, &["not from", "epoch=0-step=900.ckpt (step 900, 3 h old)"]);
    place.age("lightning_logs/version_0/checkpoints/epoch=0-step=900.ckpt", 101);
    assert_given(&place, &[], "", &["which run goes on cannot be told", "step=900.ckpt", "step=200.ckpt"]);
}

#[test]
fn a_checkpoint_from_the_future_is_told() {
    let place = Place::new();
    let path = place.put("ckpt-5.pt", torch(b"w"));
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(3 * 86_400)).unwrap();
    assert_given(&place, &[], "ckpt-5.pt 5", &["ahead of the clock", "one of the clocks is wrong"]);
    place.age("ckpt-5.pt", 3 * 86_400);
    assert_given(&place, &[], "ckpt-5.pt 5", &["3 days old"]);
}

#[test]
fn a_node_that_may_resume_from_another_step_than_the_others_is_told() {
    let place = Place::new();
    place.put("ckpt-100.pt", torch(b"w"));
    let told = "this node resumes from step 100, and the other nodes may resume from something else";
    let several = [
        &[("SLURM_NNODES", "3"), ("SLURM_JOB_ID", "7")][..],
        &[("PET_NNODES", "2")],
        &[("JOB_COMPLETION_INDEX", "1")],
        &[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0")],
    ];
    for nodes in several {
        let variable = format!("({})", nodes[0].0);
        assert_given(&place, nodes, "ckpt-100.pt 100", &[told, &variable, "a directory that all nodes share"]);
    }
    let empty = Place::new();
    assert_given(&empty, several[0], "", &["this node resumes from nothing", "a fresh start"]);
    let one_node = [("SLURM_NNODES", "1"), ("SLURM_JOB_ID", "7")];
    for one in [&[][..], &one_node, &[several[0], &[("TRAINIT_CHECKPOINT_RESUME", "off")]].concat()] {
        assert!(!start(&place, one).1.contains("the other nodes"), "{one:?}");
    }
}
