//! Each family: a complete checkpoint is found, a newer half-written one is passed over, by the family's word and by `auto`.

use crate::fixture::{Place, dcp_index, half, index, lightning, safetensors, torch};
use proptest::prelude::*;
use std::fs;

fn hugging_face(place: &Place, step: u64) {
    place.put(&format!("checkpoint-{step}/model.safetensors"), safetensors(50));
    place.put(&format!("checkpoint-{step}/optimizer.pt"), torch(b"moments"));
    place.put(&format!("checkpoint-{step}/trainer_state.json"), format!(r#"{{"global_step": {step}}}"#));
}

#[test]
fn hugging_face_needs_its_state_and_no_sentinel() {
    let place = Place::new();
    place.finds_nothing("huggingface");
    place.put("checkpoint-1000/model.safetensors", safetensors(50));
    place.finds_nothing("huggingface");
    hugging_face(&place, 90);
    hugging_face(&place, 500);
    place.put("model.safetensors", safetensors(50));
    place.finds("huggingface", "checkpoint-500", 500);
    assert_eq!(place.why("huggingface"), "no trainer_state.json yet");
    hugging_face(&place, 1000);
    place.finds("huggingface", "checkpoint-1000", 1000);
    let sentinel = place.put("checkpoint-1000/checkpoint-is-incomplete.txt", "");
    place.finds("huggingface", "checkpoint-500", 500);
    fs::remove_file(sentinel).unwrap();
    place.put("checkpoint-1000/trainer_state.json", r#"{"global_step": 10"#);
    assert_eq!(place.why("huggingface"), "trainer_state.json is not whole");
    hugging_face(&place, 1000);
    place.put("checkpoint-1000/optimizer.pt", half(torch(b"moments")));
    assert_eq!(place.why("huggingface"), "optimizer.pt: a zip archive without its end");
}

#[test]
fn hugging_face_in_shards_needs_all_of_them() {
    let place = Place::new();
    hugging_face(&place, 5);
    place.put("checkpoint-5/model.safetensors.index.json", index(&["a-1.safetensors", "a-2.safetensors"]));
    place.put("checkpoint-5/a-1.safetensors", safetensors(9));
    assert_eq!(place.why("huggingface"), "model.safetensors.index.json: a-2.safetensors is missing");
    place.put("checkpoint-5/a-2.safetensors", half(safetensors(900)));
    assert!(place.why("huggingface").starts_with("a-2.safetensors: "));
    place.put("checkpoint-5/a-2.safetensors", safetensors(9));
    place.finds("huggingface", "checkpoint-5", 5);
    place.put("checkpoint-5/latest", "global_step5");
    assert_eq!(place.why("huggingface"), "global_step5 is missing");
}

#[test]
fn accelerate_is_finished_by_its_random_states() {
    let place = Place::new();
    place.put("checkpoint-20/model.safetensors", safetensors(5));
    place.finds_nothing("accelerate");
    assert_eq!(place.why("accelerate"), "no random_states_0.pkl yet");
    place.put("checkpoint-10/random_states_0.pkl", torch(b"seed"));
    place.finds("accelerate", "checkpoint-10", 10);
    place.put("checkpoint-20/random_states_0.pkl", half(torch(b"seed")));
    place.finds("accelerate", "checkpoint-10", 10);
    place.put("checkpoint-20/random_states_0.pkl", torch(b"seed"));
    place.finds("accelerate", "checkpoint-20", 20);
}

#[test]
fn lightning_takes_the_step_from_the_name_or_from_inside() {
    let place = Place::new();
    place.put("epoch=3-step=300.ckpt", half(lightning(300)));
    place.finds_nothing("lightning");
    place.put("epoch=1-step=100.ckpt", lightning(100));
    place.put("last.ckpt", lightning(200));
    place.age("last.ckpt", 1000);
    place.finds("lightning", "last.ckpt", 200);
    place.put("hpc_ckpt_1.ckpt", lightning(250));
    place.finds("lightning", "hpc_ckpt_1.ckpt", 250);
    place.put("epoch=3-step=300.ckpt", lightning(300));
    place.finds("lightning", "epoch=3-step=300.ckpt", 300);
}

#[test]
fn lightning_in_directories_follows_the_strategy_that_wrote_them() {
    let place = Place::new();
    place.put("step=10.ckpt/__0_0.distcp", "data");
    assert_eq!(place.why("lightning"), "no .metadata yet");
    place.put("step=10.ckpt/.metadata", dcp_index(&["__0_0.distcp"]));
    assert_eq!(place.why("lightning"), "no meta.pt yet");
    place.put("step=10.ckpt/meta.pt", torch(b"meta"));
    place.put("step=20.ckpt/checkpoint/mp_rank_00_model_states.pt", torch(b"states"));
    assert_eq!(place.found("lightning"), Some(("step=10.ckpt".into(), Some(10))));
    place.put("step=20.ckpt/latest", "checkpoint");
    assert_eq!(place.found("lightning"), Some(("step=20.ckpt".into(), Some(20))));
}

#[test]
fn torch_needs_the_end_of_the_archive() {
    let place = Place::new();
    place.put("model_step_300.pt", half(torch(b"weights")));
    place.put("model_step_400.pt", "");
    place.put("model_step_500.pt", [0; 500]);
    place.put("model_step_600.pt.tmp", torch(b"weights"));
    place.finds_nothing("torch");
    assert_eq!(place.why("torch"), "does not begin like a file of torch.save");
    place.put("model_step_100.pth", torch(b"weights"));
    place.put("model_step_20.pt", torch(b"weights"));
    place.finds("torch", "model_step_100.pth", 100);
}

#[test]
fn a_legacy_torch_file_is_never_taken_by_torch_and_told_why() {
    let place = Place::new();
    place.put("a-1.pt", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.");
    place.finds_nothing("torch");
    assert!(place.why("torch").contains("before 1.6"));
    place.age("a-1.pt", 60);
    assert_eq!(place.found("plain a-{step}.pt"), Some(("a-1.pt".into(), Some(1))));
}

#[test]
fn dcp_needs_its_index_and_what_the_index_names() {
    let place = Place::new();
    let data = ["__0_0.distcp", "__1_0.distcp"];
    for step in [10, 20] {
        data.iter().for_each(|name| drop(place.put(&format!("step-{step}/{name}"), "data")));
    }
    place.finds_nothing("dcp");
    assert_eq!(place.why("dcp"), "no .metadata yet");
    place.put("step-10/.metadata", dcp_index(&data));
    place.put("step-20/.metadata.tmp", dcp_index(&data));
    place.put("logs/events", "x");
    place.finds("dcp", "step-10", 10);
    place.put("step-20/.metadata", half(dcp_index(&data)));
    place.finds("dcp", "step-10", 10);
    place.put("step-20/.metadata", dcp_index(&data));
    place.finds("dcp", "step-20", 20);
    place.put("step-20/__1_0.distcp", "");
    assert_eq!(place.why("dcp"), "__1_0.distcp is missing or empty");
}

#[test]
fn safetensors_are_as_long_as_their_header_says() {
    let place = Place::new();
    place.put("step_2.safetensors", half(safetensors(1000)));
    place.finds_nothing("safetensors");
    place.put("step_1.safetensors", safetensors(1000));
    place.finds("safetensors", "step_1.safetensors", 1);
}

#[test]
fn a_safetensors_index_needs_all_its_shards() {
    let place = Place::new();
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    place.put("model.safetensors.index.json", index(&shards));
    place.put(shards[0], safetensors(10));
    place.finds_nothing("safetensors");
    place.put(shards[1], half(safetensors(1000)));
    place.finds_nothing("safetensors");
    place.put(shards[1], safetensors(1000));
    place.finds("safetensors", "model.safetensors.index.json", None);
    assert!(place.survey("auto").newest.unwrap().size > 1000);
}

#[test]
fn deepspeed_takes_what_latest_has_reached() {
    let place = Place::new();
    for step in [10, 20, 30] {
        place.put(&format!("global_step{step}/mp_rank_00_model_states.pt"), torch(b"states"));
    }
    assert_eq!(place.found("deepspeed"), None);
    place.put("latest", "global_step20");
    place.finds("deepspeed", "global_step20", 20);
    assert_eq!(place.why("deepspeed"), "latest still names global_step20");
    place.put("global_step20/zero_pp_rank_0_mp_rank_00_optim_states.pt", half(torch(b"moments")));
    place.finds("deepspeed", "global_step10", 10);
    place.put("latest", "mine");
    place.put("mine/mp_rank_00_model_states.pt", torch(b"states"));
    place.finds("deepspeed", "mine", None);
    place.put("latest", "../..");
    place.finds_nothing("deepspeed");
}

/// The files are those of DeepSpeed 0.14.5 with ZeRO 1, two ranks and a slow second one.
#[test]
fn deepspeeds_latest_may_be_there_before_the_files_of_all_ranks() {
    let place = Place::new();
    let states = torch(b"\x80\x02}q\0(X\r\0\0\0dp_world_sizeq9K\x02X\r\0\0\0mp_world_sizeq:K\x01u.");
    place.put("zero_to_fp32.py", "");
    place.put("latest", "global_step2");
    place.put("global_step2/mp_rank_00_model_states.pt", &states);
    place.put("global_step2/zero_pp_rank_0_mp_rank_00_optim_states.pt", torch(b"moments"));
    place.finds_nothing("deepspeed");
    assert_eq!(place.why("deepspeed"), "no part of the optimizer from rank 1 yet");
    place.put("global_step2/zero_pp_rank_1_mp_rank_00_optim_states.pt", torch(b"moments"));
    place.finds("deepspeed", "global_step2", 2);
    // Stage 3, in bfloat16, and with a model in two parts: each has its own.
    for name in ["bf16_zero_pp_rank_0_mp_rank_00", "bf16_zero_pp_rank_1_mp_rank_00", "bf16_zero_pp_rank_0_mp_rank_01"] {
        place.put(&format!("global_step4/{name}_optim_states.pt"), torch(b"moments"));
    }
    place.put("global_step4/zero_pp_rank_0_mp_rank_00_model_states.pt", &states);
    place.put("latest", "global_step4");
    place.finds("deepspeed", "global_step2", 2);
    place.put("global_step4/bf16_zero_pp_rank_1_mp_rank_01_optim_states.pt", torch(b"moments"));
    place.finds("deepspeed", "global_step4", 4);
    // Groups of ranks that each have all of it.
    let shared = torch(b"\x80\x02}q\0(X\r\0\0\0dp_world_sizeq9K\x08X\x0f\0\0\0mics_shard_sizeq:K\x01u.");
    place.put("global_step6/mp_rank_00_model_states.pt", shared);
    place.put("global_step6/zero_pp_rank_0_mp_rank_00_optim_states.pt", torch(b"moments"));
    place.put("latest", "global_step6");
    place.finds("deepspeed", "global_step6", 6);
}

#[test]
fn megatron_takes_what_its_tracker_has_reached() {
    let place = Place::new();
    for step in [10, 20, 30] {
        place.put(&format!("iter_{step:07}/mp_rank_00/model_optim_rng.pt"), torch(b"states"));
    }
    place.finds_nothing("megatron");
    place.put("latest_checkpointed_iteration.txt", "20\n");
    place.finds("megatron", "iter_0000020", 20);
    place.put("iter_0000020/mp_rank_00/model_optim_rng.pt", half(torch(b"states")));
    place.finds("megatron", "iter_0000010", 10);
    place.put("latest_checkpointed_iteration.txt", "release");
    place.put("release/mp_rank_00/model_optim_rng.pt", torch(b"states"));
    place.finds("megatron", "release", None);
}

#[test]
fn orbax_is_finished_when_it_has_its_name() {
    let place = Place::new();
    place.put("20.orbax-checkpoint-tmp-17/default/_METADATA", "{}");
    place.finds_nothing("orbax");
    place.put("10/default/_METADATA", "{}");
    place.put("30/events", "x");
    place.finds("orbax", "10", 10);
    place.put("20/_CHECKPOINT_METADATA", "{}");
    place.finds("orbax", "20", 20);
    place.put("20/state.orbax-checkpoint-tmp-3/d", "");
    place.finds("orbax", "10", 10);
}

#[test]
fn orbax_on_an_object_store_is_finished_when_it_says_so() {
    let place = Place::new();
    place.put("checkpoint_10/_CHECKPOINT_METADATA", "{}");
    place.put("checkpoint_10/commit_success.txt", "");
    place.put("checkpoint_20/_CHECKPOINT_METADATA", "{}");
    place.finds("orbax", "checkpoint_10", 10);
    assert_eq!(place.why("orbax"), "no commit_success.txt yet");
}

#[test]
fn plain_files_go_by_the_pattern_and_their_format() {
    let place = Place::new();
    place.put("ckpt-30.npz", half(torch(b"arrays")));
    place.put("ckpt-20.npz", torch(b"arrays"));
    place.put("ckpt-x.npz", torch(b"arrays"));
    let how = "plain ckpt-{step}.npz";
    assert_eq!(place.found(how), Some(("ckpt-20.npz".into(), Some(20))));
    assert_eq!(place.found("auto ckpt-{step}.npz"), Some(("ckpt-20.npz".into(), Some(20))));
    place.put("state-1.pkl", b"\x80\x04N.");
    place.put("state-2.pkl", b"\x80\x04N");
    place.put("state-3.pkl", b"");
    assert_eq!(place.found("plain state-{step}.pkl"), Some(("state-1.pkl".into(), Some(1))));
}

#[test]
fn a_plain_file_without_an_end_is_taken_when_nobody_writes_it() {
    let place = Place::new();
    let path = place.put("a-1.msgpack", b"data");
    let writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    place.age("a-1.msgpack", 1);
    assert_eq!(place.found("plain a-{step}.msgpack"), None);
    assert_eq!(place.why("plain a-{step}.msgpack"), "still being written");
    drop(writer);
    place.age("a-1.msgpack", 60);
    assert_eq!(place.found("plain a-{step}.msgpack"), Some(("a-1.msgpack".into(), Some(1))));
}

#[test]
fn a_plain_directory_is_finished_by_the_file_after_the_slash() {
    let place = Place::new();
    for step in [1, 2] {
        place.put(&format!("run-{step}/w.safetensors"), safetensors(4));
    }
    place.put("run-1/DONE", "");
    let found = Some(("run-1".into(), Some(1)));
    assert_eq!(place.found("plain run-{step}/DONE"), found);
    assert_eq!(place.found("auto run-{step}/DONE"), found);
    assert_eq!(place.found("plain run-{step}").unwrap().1, Some(2));
    assert_eq!(place.found("auto run-{step}"), None, "nothing tells auto that a bare directory is finished");
    place.put("run-2/optimizer.pt.tmp", "x");
    assert_eq!(place.found("plain run-{step}"), Some(("run-1".into(), Some(1))));
}

#[test]
fn a_pattern_narrows_any_family() {
    let place = Place::new();
    place.put("a_1.pt", torch(b"w"));
    place.put("b_2.pt", torch(b"w"));
    assert_eq!(place.found("torch a_*"), Some(("a_1.pt".into(), Some(1))));
    assert_eq!(place.found("auto b_{step}.pt"), Some(("b_2.pt".into(), Some(2))));
    place.put("epoch_7.pt", torch(b"w"));
    assert_eq!(place.found("torch epoch_*").unwrap().1, None);
    assert_eq!(place.found("torch epoch_{step}.pt").unwrap().1, Some(7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_beginning_of_a_torch_file_is_never_taken(content in prop::collection::vec(any::<u8>(), 0..4000), cut: prop::sample::Index) {
        let (place, file) = (Place::new(), torch(&content));
        place.put("a-1.pt", &file[..cut.index(file.len())]);
        prop_assert_eq!(place.found("torch"), None);
        place.put("a-1.pt", &file);
        prop_assert!(place.found("torch").is_some());
    }

    #[test]
    fn a_beginning_of_a_safetensors_file_is_never_taken(bytes in 0..4000_usize, cut: prop::sample::Index) {
        let (place, file) = (Place::new(), safetensors(bytes));
        place.put("a-1.safetensors", &file[..cut.index(file.len())]);
        prop_assert_eq!(place.found("safetensors"), None);
        place.put("a-1.safetensors", &file);
        prop_assert!(place.found("safetensors").is_some());
    }
}
