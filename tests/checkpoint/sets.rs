//! Sets of files in the directory itself: what belongs together is judged together, whatever is missing, cut or newer. And runs: an
//! earlier run's higher step does not win.

use crate::fixture::{Place, half, safetensors, torch};
use proptest::prelude::*;
use std::fs;

/// The names of one save, with `#` for the step.
const KINDS: &[&[&str]] = &[
    &["model_#.pt", "optim_#.pt", "ema_#.pt"],
    &["model000#.pt", "opt000#.pt", "ema_0.9999_000#.pt"],
    &["G_#.pth", "D_#.pth"],
    &["#_net_G_A.pth", "#_net_G_B.pth", "#_net_D_A.pth"],
    &["step_#_rank_0.pt", "step_#_rank_1.pt", "step_#_rank_2.pt", "step_#_rank_3.pt"],
    &["ckpt_#_0.pt", "ckpt_#_1.pt"],
    &["model_#.safetensors", "optimizer_#.pt", "scheduler_#.bin"],
    &["model_000#.pt", "optim_000#_rank0.pt", "optim_000#_rank1.pt"],
    &["model_epoch_#.pth", "optimizer_epoch_#.pth"],
    &["w-#-00001-of-00002.safetensors", "w-#-00002-of-00002.safetensors"],
    &["unet_step#.safetensors", "text_encoder_step#.safetensors"],
    &["train_state_#.ckpt", "train_state_#-EMA.ckpt"],
];

fn content(name: &str) -> Vec<u8> {
    if name.ends_with("safetensors") { safetensors(100) } else { torch(b"state") }
}

fn save(place: &Place, kind: &[&str], step: u64, age: u64) {
    for name in kind.iter().map(|name| name.replace('#', &step.to_string())) {
        place.put(&name, content(&name));
        place.age(&name, age);
    }
}

/// Tells whether a file of this step is in what is found, as the whole or as a part.
fn found_of(place: &Place, step: u64) -> bool {
    let found = place.survey("auto").newest;
    found.is_some_and(|found| found.step == Some(step) || found.path.to_string_lossy().contains(&step.to_string()))
}

#[test]
fn a_whole_set_is_complete_and_no_single_file_stands_for_it() {
    for kind in KINDS {
        let place = Place::new();
        save(&place, kind, 100, 300);
        save(&place, kind, 200, 100);
        let survey = place.survey("auto");
        let found = survey.newest.clone().unwrap_or_else(|| panic!("{kind:?}: {survey:?}"));
        assert!(found_of(&place, 200), "{kind:?}: {found:?}");
        assert_eq!(found.others.len(), kind.len() - 1, "{kind:?}: {found:?}");
        assert_eq!(found.stands, kind[0].starts_with("train_state"), "{kind:?}: {found:?}");
        assert_eq!(checkpoint::resume_environment(Some(&found)).is_empty(), !found.stands);
    }
}

#[test]
fn a_pattern_says_which_file_stands_for_a_set() {
    let place = Place::new();
    save(&place, KINDS[0], 100, 300);
    save(&place, KINDS[0], 200, 100);
    let found = place.survey("auto model_{step}.pt").newest.unwrap();
    assert_eq!((found.step, found.stands, found.others.len()), (Some(200), true, 2));
    place.put("ema_200.pt", half(torch(b"state")));
    assert_eq!(place.found("auto model_{step}.pt"), Some(("model_100.pt".into(), Some(100))));
    assert_eq!(place.why("auto model_{step}.pt"), "ema_200.pt: a zip archive without its end");
    let ranks = Place::new();
    save(&ranks, KINDS[4], 100, 300);
    assert!(ranks.survey("auto step_{step}_rank_0.pt").newest.unwrap().stands);
    assert!(!ranks.survey("auto step_{step}_rank_*.pt").newest.unwrap().stands, "the pattern fits four files");
}

#[test]
fn helpers_are_replaced_at_each_save_and_belong_to_the_newest() {
    let place = Place::new();
    for (name, age) in [("model_epoch_9.pth", 60), ("model_epoch_10.pth", 3), ("optimizer.pth", 2), ("scaler.pth", 1)] {
        place.put(name, torch(b"state"));
        place.age(name, age);
    }
    let found = place.survey("auto").newest.unwrap();
    assert_eq!((found.path.file_name().unwrap().to_str(), found.others.len()), (Some("model_epoch_10.pth"), 2));
    assert!(!found.stands);
    place.put("scaler.pth", half(torch(b"state")));
    let survey = place.survey("auto");
    assert_eq!((survey.newest, survey.passed_over.len()), (None, 2));
    let alone = Place::new();
    alone.put("optimizer.pth", torch(b"state"));
    alone.put("ema.pt", torch(b"state"));
    assert_eq!(alone.why("auto"), "there is no model beside it");
}

#[test]
fn several_checkpoints_with_one_number_are_no_set() {
    for names in [["ckpt-200.pt", "best-200.pt"], ["model_200.pt", "model_best_200.pt"], ["last.pt", "best.pt"]] {
        let place = Place::new();
        names.iter().for_each(|name| drop(place.put(name, torch(b"w"))));
        let found = place.survey("auto").newest.unwrap();
        assert!(found.stands && found.others.is_empty(), "{found:?}");
    }
}

#[test]
fn weights_from_elsewhere_are_neither_a_checkpoint_nor_nothing() {
    let place = Place::new();
    place.put("resnet50-0676ba61.pth", torch(b"w"));
    place.put("yolov8n.pt", torch(b"w"));
    let survey = place.survey("auto");
    assert_eq!((survey.newest.as_ref(), survey.foreign.len(), survey.is_empty()), (None, 2, false));
    place.put("ckpt-10.pt", torch(b"w"));
    place.age("ckpt-10.pt", 1000);
    place.finds("torch", "ckpt-10.pt", 10);
    assert_eq!(place.found("auto yolov8n.pt").unwrap().0, "yolov8n.pt");
}

#[test]
fn a_directory_that_no_rule_fits_is_not_an_empty_one() {
    for name in ["step_100/model.pt", "pytorch_model.bin", "weights.h5", "a/b/c/epoch_3/state.msgpack", "x.nemo"] {
        let place = Place::new();
        assert!(place.survey("auto").is_empty());
        place.put("events.out.tfevents.17", "x");
        place.put("train.log", "x");
        assert!(place.survey("auto").is_empty(), "logs are no checkpoints");
        place.put(name, "content");
        let survey = place.survey("auto");
        assert_eq!((survey.newest.as_ref(), survey.is_empty()), (None, false), "{name}: {survey:?}");
        assert!(survey.foreign.iter().any(|path| path.ends_with(name)), "{name}: {survey:?}");
    }
}

#[test]
fn an_earlier_runs_higher_step_does_not_win() {
    let place = Place::new();
    for (step, age) in [(1000, 259_200), (10, 20), (20, 10)] {
        place.put(&format!("ckpt-{step}.pt"), torch(b"w"));
        place.age(&format!("ckpt-{step}.pt"), age);
    }
    place.finds("torch", "ckpt-20.pt", 20);
    assert_eq!(place.survey("auto").earlier.unwrap().step, Some(1000));
    // The newer run has nothing complete: the earlier one may be another job's.
    place.put("ckpt-10.pt", half(torch(b"w")));
    place.put("ckpt-20.pt", half(torch(b"w")));
    let survey = place.survey("auto");
    assert_eq!((survey.newest, survey.doubt.len()), (None, 2));
}

#[test]
fn an_earlier_runs_higher_step_does_not_win_among_directories_either() {
    let place = Place::new();
    for (step, age) in [(1000, 259_200), (10, 200), (20, 100)] {
        for file in ["model.safetensors", "trainer_state.json"] {
            let name = format!("checkpoint-{step}/{file}");
            place.put(&name, if file.ends_with("json") { b"{}".to_vec() } else { safetensors(9) });
            place.age(&name, age);
        }
    }
    place.finds("huggingface", "checkpoint-20", 20);
}

#[test]
fn the_directory_of_lost_files_of_a_new_volume_is_nothing() {
    let place = Place::new();
    fs::create_dir(place.path().join("lost+found")).unwrap();
    place.put("lost+found/x.pt", torch(b"w"));
    assert!(place.survey("auto").is_empty());
}

#[test]
fn a_directorys_time_is_that_of_its_files() {
    let place = Place::new();
    for (step, age) in [(500, 900), (1000, 100)] {
        for file in ["model.safetensors", "trainer_state.json"] {
            let name = format!("checkpoint-{step}/{file}");
            place.put(&name, if file.ends_with("json") { b"{}".to_vec() } else { safetensors(9) });
            place.age(&name, age);
        }
        place.age(&format!("checkpoint-{step}"), age);
    }
    // A file that was removed from the older one changes only the directory's time.
    place.age("checkpoint-500", 1);
    place.finds("huggingface", "checkpoint-1000", 1000);
    assert_eq!(place.survey("auto").earlier, None);
}

#[test]
fn a_file_that_was_written_again_after_the_mark_spoils_the_checkpoint() {
    let place = Place::new();
    place.put("checkpoint-50/model.safetensors", safetensors(9));
    place.put("checkpoint-50/trainer_state.json", "{}");
    place.finds("huggingface", "checkpoint-50", 50);
    // A run that went back writes its checkpoint in place, and is stopped.
    place.age("checkpoint-50/trainer_state.json", 600);
    place.finds_nothing("huggingface");
    assert_eq!(place.why("huggingface"), "model.safetensors was written again after trainer_state.json");
    place.age("checkpoint-50/model.safetensors", 601);
    place.finds("huggingface", "checkpoint-50", 50);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_set_with_any_part_missing_cut_or_newer_is_never_complete(
        kind in prop::sample::select(KINDS), part: prop::sample::Index, what in 0..3_u8, cut: prop::sample::Index,
    ) {
        let place = Place::new();
        save(&place, kind, 100, 300);
        save(&place, kind, 200, 200);
        prop_assert!(found_of(&place, 200), "{:?}", place.survey("auto"));
        let name = kind[part.index(kind.len())].replace('#', "200");
        let path = place.path().join(&name);
        match what {
            0 => fs::remove_file(path).unwrap(),
            1 => { place.put(&name, &content(&name)[..cut.index(content(&name).len())]); }
            // The part is of a later save already.
            _ => fs::rename(path, place.path().join(name.replace("200", "300"))).unwrap(),
        }
        let survey = place.survey("auto");
        prop_assert!(!found_of(&place, 200) && !found_of(&place, 300), "{name}: {survey:?}");
        prop_assert!(!survey.is_empty());
    }

    #[test]
    fn any_names_end_in_an_answer(names in prop::collection::vec("[a-zA-Z0-9_.=-]{1,20}(\\.pt|\\.pth|\\.safetensors|\\.ckpt|)", 0..12)) {
        let place = Place::new();
        for name in names.iter().filter(|name| !matches!(name.as_str(), "." | "..")) {
            let _ = fs::write(place.path().join(name), content(name));
        }
        let survey = place.survey("auto");
        // What is given to the job is one file that was there, and it is whole.
        prop_assert!(survey.newest.is_none_or(|found| found.path.exists()));
    }
}
