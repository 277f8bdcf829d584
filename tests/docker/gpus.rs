//! GPUs as Docker's own rules for devices have it: nodes can be made in a container, and not opened.

use crate::harness::Run;
use crate::images::{Image, image};

#[test]
fn a_node_that_dockers_rules_refuse_is_told_without_being_opened() {
    let Some(alpine) = image(Image::Alpine) else { return };
    let script = "mknod /dev/nvidia0 c 195 0; mknod /dev/nvidiactl c 195 255; exec trainit check --only gpu";
    let run = Run::of(&alpine).with("--cap-add MKNOD --entrypoint sh -e TRAINIT_GPU_COUNT=1").command(&["-c", script]);
    let refused = "1 of 1 GPU may not be used: /dev/nvidia0 is refused by the container's device control group";
    run.finish().expect_code(210).expect_text(&[refused, "recreate the container"]);
}

#[test]
fn none_given_is_one_warning_in_an_image_that_is_made_for_gpus() {
    let Some(alpine) = image(Image::Alpine) else { return };
    let run =
        Run::of(&alpine).with("-e NVIDIA_VISIBLE_DEVICES=all -e TRAINIT_GPU_COUNT=auto").command(&["echo", "works"]);
    run.finish().expect_code(0).expect_text(&["works", "no GPU in this container", "docker run --gpus all"]);
}
