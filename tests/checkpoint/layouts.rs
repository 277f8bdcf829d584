//! What the trainers that people use leave behind, by the names that they give: a complete checkpoint is found, and one that lacks a
//! part is not.

use crate::fixture::{Place, dcp_index, half, lightning, safetensors, torch};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;

/// Removes a file of the newest checkpoint, expects that it is passed over, and puts the file back.
#[track_caller]
fn misses(place: &Place, word: &str, file: &str, older: Option<(&str, u64)>) {
    let path = place.path().join(file);
    let content = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let expected = older.map(|(name, step)| (name.to_string(), Some(step)));
    assert_eq!(place.found("auto"), expected, "without {file}: {:?}", place.survey("auto"));
    assert_eq!(place.found(word), expected, "without {file}: {:?}", place.survey(word));
    fs::write(&path, &content[..content.len() / 2]).unwrap();
    assert_eq!(place.found("auto"), expected, "half of {file}: {:?}", place.survey("auto"));
    fs::write(&path, content).unwrap();
}

fn verl(place: &Place, step: u64) {
    let dir = format!("global_step_{step}");
    for role in ["actor", "critic"] {
        for (kind, rank) in ["model", "optim", "extra_state"].into_iter().flat_map(|kind| [(kind, 0), (kind, 1)]) {
            place.put(&format!("{dir}/{role}/{kind}_world_size_2_rank_{rank}.pt"), torch(b"states"));
        }
        place.put(&format!("{dir}/{role}/huggingface/config.json"), "{}");
        place.put(&format!("{dir}/{role}/fsdp_config.json"), "{}");
    }
    place.put(&format!("{dir}/data.pt"), torch(b"loader"));
    place.put("latest_checkpointed_iteration.txt", step.to_string());
}

#[test]
fn verl_needs_the_files_of_every_rank() {
    let place = Place::new();
    verl(&place, 10);
    verl(&place, 20);
    place.finds("verl", "global_step_20", 20);
    let older = Some(("global_step_10", 10));
    misses(&place, "verl", "global_step_20/actor/optim_world_size_2_rank_1.pt", older);
    misses(&place, "verl", "global_step_20/critic/model_world_size_2_rank_0.pt", older);
    misses(&place, "verl", "global_step_20/data.pt", older);
    place.put("latest_checkpointed_iteration.txt", "10");
    place.finds("verl", "global_step_10", 10);
    fs::remove_file(place.path().join("latest_checkpointed_iteration.txt")).unwrap();
    place.finds_nothing("verl");
}

#[test]
fn verl_is_found_below_its_project_and_experiment() {
    let (place, run) = (Place::new(), "gsm8k/qwen2_7b_1");
    for step in [10, 20] {
        place.put(&format!("{run}/global_step_{step}/actor/model_world_size_1_rank_0.pt"), torch(b"states"));
    }
    place.put(&format!("{run}/latest_checkpointed_iteration.txt"), "20");
    assert_eq!(place.found("auto"), Some((format!("{run}/global_step_20"), Some(20))));
    assert_eq!(place.found("verl"), Some((format!("{run}/global_step_20"), Some(20))));
}

fn megatron_core(place: &Place, step: u64) {
    let dir = format!("iter_{step:07}");
    let data = ["__0_0.distcp", "__0_1.distcp", "__1_0.distcp", "__1_1.distcp"];
    data.iter().for_each(|name| drop(place.put(&format!("{dir}/{name}"), "data")));
    place.put(&format!("{dir}/.metadata"), dcp_index(&data));
    place.put(&format!("{dir}/common.pt"), torch(b"arguments"));
    place.put(&format!("{dir}/metadata.json"), r#"{"sharded_backend": "torch_dist"}"#);
    place.put("latest_checkpointed_iteration.txt", step.to_string());
}

#[test]
fn megatron_core_needs_its_index_and_all_that_it_names() {
    let place = Place::new();
    megatron_core(&place, 100);
    megatron_core(&place, 200);
    place.finds("megatron", "iter_0000200", 200);
    for file in [".metadata", "__1_1.distcp", "common.pt"] {
        let path = format!("iter_0000200/{file}");
        if file == "__1_1.distcp" {
            fs::remove_file(place.path().join(&path)).unwrap();
            place.finds("megatron", "iter_0000100", 100);
            place.put(&path, "data");
        } else {
            misses(&place, "megatron", &path, Some(("iter_0000100", 100)));
        }
    }
}

fn nemo(place: &Place, step: u64) -> String {
    let name = format!("model_name=0--val_loss=1.25-step={step}-consumed_samples={}.0-last", step * 8);
    let data = ["__0_0.distcp", "__1_0.distcp"];
    data.iter().for_each(|file| drop(place.put(&format!("{name}/weights/{file}"), "data")));
    place.put(&format!("{name}/weights/.metadata"), dcp_index(&data));
    place.put(&format!("{name}/weights/common.pt"), torch(b"arguments"));
    place.put(&format!("{name}/weights/metadata.json"), "{}");
    place.put(&format!("{name}/context/io.json"), "{}");
    name
}

#[test]
fn nemo_2_is_finished_when_its_marker_is_gone() {
    let place = Place::new();
    let older = nemo(&place, 99);
    let newer = nemo(&place, 199);
    place.finds("nemo", &newer, 199);
    let marker = place.put(&format!("{newer}-unfinished"), "");
    place.finds("nemo", &older, 99);
    assert_eq!(place.why("nemo"), format!("{newer}-unfinished is there"));
    fs::remove_file(marker).unwrap();
    misses(&place, "nemo", &format!("{newer}/weights/.metadata"), Some((&older, 99)));
    misses(&place, "nemo", &format!("{newer}/weights/common.pt"), Some((&older, 99)));
}

#[test]
fn nemo_1_saves_files_like_lightning_with_a_marker_and_an_ema() {
    let place = Place::new();
    let name =
        |step: u16| format!("megatron_gpt--val_loss=2.00-step={step}-consumed_samples={}.0", u32::from(step) * 8);
    for step in [100, 200] {
        place.put(&format!("{}.ckpt", name(step)), lightning(step));
        place.put(&format!("{}-EMA.ckpt", name(step)), lightning(step));
    }
    place.finds("lightning", &format!("{}.ckpt", name(200)), 200);
    assert!(place.survey("auto").newest.unwrap().stands, "NeMo finds the EMA by itself");
    place.put(&format!("{}-unfinished", name(200)), "");
    place.finds("lightning", &format!("{}.ckpt", name(100)), 100);
    misses(&place, "lightning", &format!("{}-EMA.ckpt", name(100)), None);
}

#[test]
fn nemo_is_found_below_its_experiment() {
    let place = Place::new();
    let dir = "megatron_gpt/2024-05-01_10-00-00/checkpoints";
    place.put(&format!("{dir}/megatron_gpt--val_loss=2.00-step=100-consumed_samples=800.0.ckpt"), lightning(100));
    place.put("megatron_gpt/2024-05-01_10-00-00/hparams.yaml", "x");
    assert_eq!(place.found("auto").unwrap().1, Some(100));
    // With model parallelism each rank has a directory, and no path stands for all of them.
    let ranks = Place::new();
    (0..2).for_each(|rank| drop(ranks.put(&format!("run/checkpoints/mp_rank_0{rank}/a--step=1.ckpt"), lightning(1))));
    assert_eq!(ranks.found("auto"), None);
    assert!(!ranks.survey("auto").is_empty());
}

#[test]
fn lightning_is_found_in_the_directory_of_its_newest_run() {
    let place = Place::new();
    let run = |version: u16| format!("lightning_logs/version_{version}");
    for (version, step, age) in [(0, 900_u16, 9000), (1, 200, 100), (1, 100, 300)] {
        let file = format!("{}/checkpoints/epoch=0-step={step}.ckpt", run(version));
        place.put(&file, lightning(step));
        place.age(&file, age);
        place.put(&format!("{}/hparams.yaml", run(version)), "x");
    }
    let newest = format!("{}/checkpoints/epoch=0-step=200.ckpt", run(1));
    assert_eq!(place.found("auto"), Some((newest.clone(), Some(200))));
    assert_eq!(place.found("lightning"), Some((newest, Some(200))));
    assert_eq!(place.survey("auto").earlier.unwrap().step, Some(900));
    // A run beside it that saves at the same time.
    place.put("lightning_logs/version_2/checkpoints/epoch=0-step=50.ckpt", lightning(50));
    place.age("lightning_logs/version_2/checkpoints/epoch=0-step=50.ckpt", 105);
    let survey = place.survey("auto");
    assert_eq!((survey.newest, survey.doubt.len()), (None, 2), "{:?}", survey.doubt);
}

#[test]
fn torchtitan_saves_steps_of_torch_distributed_checkpoint() {
    let place = Place::new();
    let data = ["__0_0.distcp", "__1_0.distcp"];
    for step in [500, 1000] {
        data.iter().for_each(|name| drop(place.put(&format!("checkpoint/step-{step}/{name}"), "data")));
        place.put(&format!("checkpoint/step-{step}/.metadata"), dcp_index(&data));
    }
    assert_eq!(place.found("auto"), Some(("checkpoint/step-1000".into(), Some(1000))));
    misses(&place, "dcp", "checkpoint/step-1000/.metadata", Some(("checkpoint/step-500", 500)));
    fs::remove_file(place.path().join("checkpoint/step-1000/__1_0.distcp")).unwrap();
    assert_eq!(place.found("auto"), Some(("checkpoint/step-500".into(), Some(500))));
}

fn nanotron(place: &Place, step: u64) {
    for file in ["config.yaml", "model_config.json", "optimizer/optimizer_config.json"] {
        place.put(&format!("{step}/{file}"), "{}");
    }
    place.put(
        &format!("{step}/model/model/decoder/0/pp_block/weight_pp-rank-0-of-1_tp-rank-0-of-1.safetensors"),
        safetensors(9),
    );
    for dp in 0..2 {
        place.put(
            &format!("{step}/optimizer/optimizer_pp-0-of-1_dp-{dp}-of-2_tp-0-of-1_exp-0-of-1.pt"),
            torch(b"moments"),
        );
        place.put(&format!("{step}/random/tp-0-of-1_dp-{dp}-of-2_pp-0-of-1.pt"), torch(b"seed"));
    }
    place.put(&format!("{step}/lr_scheduler/lr_scheduler_pp-0-of-1_tp-0-of-1_exp-0-of-1.pt"), torch(b"rate"));
    place.put(&format!("{step}/checkpoint_metadata.json"), r#"{"version": "1.4", "tp": 1, "dp": 2}"#);
}

#[test]
fn nanotron_takes_what_its_tracker_has_reached() {
    let place = Place::new();
    nanotron(&place, 10);
    place.put("latest.txt", "10");
    nanotron(&place, 20);
    place.finds("nanotron", "10", 10);
    assert_eq!(place.why("nanotron"), "latest.txt does not name it yet");
    place.put("latest.txt", "20");
    place.finds("nanotron", "20", 20);
    misses(&place, "nanotron", "20/checkpoint_metadata.json", Some(("10", 10)));
    misses(&place, "nanotron", "20/lr_scheduler/lr_scheduler_pp-0-of-1_tp-0-of-1_exp-0-of-1.pt", Some(("10", 10)));
    fs::write(place.path().join("20/random/tp-0-of-1_dp-1-of-2_pp-0-of-1.pt"), half(torch(b"seed"))).unwrap();
    place.finds("nanotron", "10", 10);
}

#[test]
fn composer_saves_by_one_rank_or_in_shards() {
    let place = Place::new();
    for (epoch, batch) in [(0, 100), (1, 200)] {
        place.put(&format!("ep{epoch}-ba{batch}-rank0.pt"), torch(b"state"));
    }
    symlink("ep1-ba200-rank0.pt", place.path().join("latest-rank0.pt")).unwrap();
    place.finds("torch", "ep1-ba200-rank0.pt", 200);
    assert!(place.survey("auto").newest.unwrap().stands);
    misses(&place, "torch", "ep1-ba200-rank0.pt", Some(("ep0-ba100-rank0.pt", 100)));
    // With DeepSpeed or local states every rank has its own.
    place.put("ep1-ba200-rank1.pt", torch(b"state"));
    assert_eq!(place.found("auto").unwrap().1, Some(200));
    assert!(!place.survey("auto").newest.unwrap().stands);
    let sharded = Place::new();
    sharded.put("ep0-ba100/__0_0.distcp", "data");
    sharded.put("ep0-ba100/.metadata", dcp_index(&["__0_0.distcp"]));
    sharded.finds("dcp", "ep0-ba100", 100);
}

fn trainer(place: &Place, dir: &str, adapter: bool) {
    let weights = if adapter { "adapter_model.safetensors" } else { "model.safetensors" };
    place.put(&format!("{dir}/{weights}"), safetensors(50));
    for file in ["optimizer.pt", "scheduler.pt", "training_args.bin", "rng_state.pth"] {
        place.put(&format!("{dir}/{file}"), torch(b"state"));
    }
    place.put(&format!("{dir}/trainer_state.json"), r#"{"global_step": 1}"#);
}

#[test]
fn axolotl_and_llama_factory_save_as_the_hugging_face_trainer_does() {
    let place = Place::new();
    for step in [250, 500] {
        trainer(&place, &format!("saves/llama3-8b/lora/sft/checkpoint-{step}"), true);
    }
    // What both leave at the end, beside the checkpoints.
    for file in ["adapter_model.safetensors", "adapter_config.json", "trainer_log.jsonl", "all_results.json"] {
        place.put(&format!("saves/llama3-8b/lora/sft/{file}"), safetensors(50));
    }
    let dir = "saves/llama3-8b/lora/sft";
    assert_eq!(place.found("auto"), Some((format!("{dir}/checkpoint-500"), Some(500))));
    let older = format!("{dir}/checkpoint-250");
    for file in ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json"] {
        misses(&place, "huggingface", &format!("{dir}/checkpoint-500/{file}"), Some((&older, 250)));
    }
    let axolotl = Place::new();
    trainer(&axolotl, "checkpoint-10", false);
    axolotl.put("config.json", "{}");
    axolotl.put("model.safetensors", safetensors(50));
    axolotl.finds("huggingface", "checkpoint-10", 10);
}

#[test]
fn maxtext_is_found_below_its_run() {
    let place = Place::new();
    for step in [100, 200] {
        let dir = format!("llama2-run/checkpoints/{step}");
        place.put(&format!("{dir}/_CHECKPOINT_METADATA"), "{}");
        for file in ["_METADATA", "_sharding", "manifest.ocdbt", "d/0f", "ocdbt.process_0/manifest.ocdbt"] {
            place.put(&format!("{dir}/items/{file}"), "{}");
        }
    }
    place.put("llama2-run/tensorboard/events.out.tfevents.1", "x");
    assert_eq!(place.found("auto"), Some(("llama2-run/checkpoints/200".into(), Some(200))));
    let unfinished = place.path().join("llama2-run/checkpoints/300.orbax-checkpoint-tmp-7/items");
    fs::create_dir_all(unfinished).unwrap();
    assert_eq!(place.found("orbax"), Some(("llama2-run/checkpoints/200".into(), Some(200))));
}

/// Lists the files below a directory that a trainer saves states and marks in.
fn states(place: &Place, dir: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place.path().join(dir)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(states(place, &name));
        } else if [".pt", ".safetensors", ".distcp", ".metadata", "_state.json", "_metadata.json", ".pth"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// The ways to save one step, with the name of its directory.
type Layout = (fn(&Place, u64), fn(u64) -> String);

const LAYOUTS: &[Layout] = &[
    (verl, |step| format!("global_step_{step}")),
    (megatron_core, |step| format!("iter_{step:07}")),
    (
        |place, step| {
            nanotron(place, step);
            place.put("latest.txt", step.to_string());
        },
        |step| step.to_string(),
    ),
    (|place, step| trainer(place, &format!("checkpoint-{step}"), true), |step| format!("checkpoint-{step}")),
    (
        |place, step| drop(nemo(place, step)),
        |step| format!("model_name=0--val_loss=1.25-step={step}-consumed_samples={}.0-last", step * 8),
    ),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_directory_with_any_part_missing_or_cut_is_never_complete(
        layout in prop::sample::select(LAYOUTS), file: prop::sample::Index, cut in any::<bool>(),
    ) {
        let place = Place::new();
        [10, 20].iter().for_each(|step| layout.0(&place, *step));
        prop_assert_eq!(place.found("auto"), Some((layout.1(20), Some(20))));
        let all = states(&place, &layout.1(20));
        let name = &all[file.index(all.len())];
        let path = place.path().join(name);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        if cut {
            let kept = if name.ends_with(".distcp") { 0 } else { content.len() / 2 };
            place.put(name, &content[..kept]);
        }
        prop_assert_eq!(place.found("auto"), Some((layout.1(10), Some(10))), "{}: {:?}", name, place.survey("auto"));
    }
}
