//! Containers that an editor's tool starts, without a terminal, and looks into afterwards.

use crate::harness::{Container, Run};
use crate::images::{Image, image};
use crate::sessions::wait_until_ready;

/// A start as the Dev Containers' command line does it: its own shell becomes the image's ENTRYPOINT and CMD (`overrideCommand: false`).
fn by_an_editor(image: &str, words: &[&str]) -> Container {
    let script = "echo Container started\ntrap \"exit 0\" 15\nexec \"$@\"\nwhile sleep 1 & wait $!; do :; done";
    Run::of(image).with("--entrypoint /bin/sh").command(&[&["-c", script, "-", "trainit"], words].concat()).start()
}

#[test]
fn what_an_editor_starts_stays_open_and_ends_with_a_stop() {
    let Some(python) = image(Image::Python) else { return };
    for words in [&[][..], &["shell"]] {
        let job = by_an_editor(&python, words);
        wait_until_ready(&job);
        assert!(job.text().contains("stays open for sessions"), "{words:?}: {}", job.text());
        assert_eq!(job.exec(&["bash", "-c", "echo in"]).stdout, b"in\n");
        assert!(job.stop(20).as_secs() < 10, "{words:?}: {}", job.text());
    }
}

#[test]
fn a_container_without_a_command_stays_open_only_for_an_editor_and_a_shell_only_without_input() {
    let Some(python) = image(Image::Python) else { return };
    Run::of(&python).finish().expect_code(64).expect_text(&["nothing to start"]);
    by_an_editor(&python, &["true"]).ended().expect_code(0);
    // As Docker starts an ENTRYPOINT in shell form: the COMMAND goes to sh and not to trainit.
    let shell_form = |options: &str| {
        let words = ["-c", "exec trainit", "python", "train.py"];
        Run::of(&python).with("--entrypoint /bin/sh").with(options).command(&words)
    };
    let job = shell_form("").start();
    job.wait_for_text("stays open for sessions");
    assert!(job.text().contains("ENTRYPOINT [\"trainit\"]"), "{}", job.text());
    shell_form("-e TRAINIT_MODE=train").finish().expect_code(64).expect_text(&["nothing to start"]);
    let job = Run::of(&python).with("-e TRAINIT_MODE=shell").start();
    wait_until_ready(&job);
    assert!(job.text().contains("stays open"), "{}", job.text());
}
