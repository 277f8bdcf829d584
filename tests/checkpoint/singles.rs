//! Trainers that save single files, by the names that they give, and published weights, which are no checkpoints.

use crate::fixture::{Place, half, lightning, safetensors, torch};

#[test]
fn comfyui_and_published_weights_are_told_from_checkpoints() {
    let saved = Place::new();
    (1..=2).for_each(|n| drop(saved.put(&format!("ComfyUI_0000{n}_.safetensors"), safetensors(30))));
    saved.finds("safetensors", "ComfyUI_00002_.safetensors", 2);
    let models = Place::new();
    for name in ["sd_xl_base_1.0.safetensors", "v1-5-pruned-emaonly.ckpt", "vae-ft-mse-840000-ema-pruned.safetensors"] {
        models.put(name, if name.ends_with("ckpt") { lightning(40_000) } else { safetensors(30) });
    }
    models.put("checkpoints/flux1-dev.safetensors", safetensors(30));
    let survey = models.survey("auto");
    assert!(survey.newest.is_none_or(|found| !found.stands) && survey.doubt.is_empty());
    let published = Place::new();
    for name in ["config.json", "tokenizer.json", "generation_config.json"] {
        published.put(name, "{}");
    }
    published.put("model.safetensors", safetensors(30));
    let survey = published.survey("auto");
    assert_eq!((survey.newest.as_ref(), survey.foreign.len(), survey.is_empty()), (None, 1, false));
    // With a pattern it is what the user says.
    assert_eq!(published.found("auto model.safetensors").unwrap().0, "model.safetensors");
}

#[test]
fn kohya_and_ai_toolkit_save_files_with_states_beside_them() {
    let kohya = Place::new();
    for step in [500, 1000] {
        kohya.put(&format!("mylora-step{step:08}.safetensors"), safetensors(20));
    }
    kohya.finds("safetensors", "mylora-step00001000.safetensors", 1000);
    let toolkit = Place::new();
    for step in [250, 500] {
        toolkit.put(&format!("my_lora_{step:09}.safetensors"), safetensors(20));
    }
    toolkit.put("optimizer.pt", torch(b"moments"));
    let found = toolkit.survey("auto").newest.unwrap();
    assert_eq!((found.step, found.stands, found.others.len()), (Some(500), false, 1));
    let named = toolkit.survey("auto my_lora_{step}.safetensors").newest.unwrap();
    assert_eq!((named.step, named.stands, named.others.len()), (Some(500), true, 1));
}

#[test]
fn yolo_saves_the_last_one_and_the_best_one_below_its_run() {
    let place = Place::new();
    for (run, age) in [("train", 900), ("train2", 100)] {
        for name in ["best", "last"] {
            let file = format!("{run}/weights/{name}.pt");
            place.put(&file, torch(b"state"));
            place.age(&file, if name == "best" { age + 50 } else { age });
        }
    }
    assert_eq!(place.found("auto").unwrap().0, "train2/weights/last.pt");
}

#[test]
fn timm_saves_zip_archives_named_tar() {
    let place = Place::new();
    for epoch in [8, 9] {
        place.put(&format!("checkpoint-{epoch}.pth.tar"), torch(b"state"));
    }
    place.finds("torch", "checkpoint-9.pth.tar", 9);
    place.put("checkpoint-9.pth.tar", half(torch(b"state")));
    place.finds("torch", "checkpoint-8.pth.tar", 8);
}
