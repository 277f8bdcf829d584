//! A container that prepares for long: alive for every probe, and with a last word when the kernel ends it.

use crate::harness::{Run, wait_for};
use crate::images::{Image, image};
use std::os::unix::fs::PermissionsExt;

/// A directory with one hook, for every user.
fn hook(script: &str) -> tempfile::TempDir {
    let hooks = tempfile::tempdir().expect("a temporary directory");
    let file = hooks.path().join("10-hook.sh");
    std::fs::write(&file, script).expect("a file");
    for path in [hooks.path(), &file] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    hooks
}

fn with_hook(image: &str, hooks: &tempfile::TempDir, options: &str) -> Run {
    let mount = format!("-v {}:/hooks:ro -e TRAINIT_HOOKS_BEFORE_CHECKS=/hooks {options}", hooks.path().display());
    Run::of(image).with(&mount)
}

#[test]
fn every_probe_from_the_first_moment_on_finds_it_alive() {
    let Some(python) = image(Image::Python) else { return };
    let hooks = hook("sleep 4\n");
    let job = with_hook(&python, &hooks, "").command(&["sleep", "1000"]).start();
    let mut phases = Vec::new();
    wait_for(
        "readiness",
        || {
            let live = job.exec(&["trainit", "health", "--live"]);
            assert!(live.status.success(), "{live:?} after {phases:?}");
            let ready = job.exec(&["trainit", "health", "--ready"]);
            phases.push(String::from_utf8_lossy(&ready.stdout).into_owned());
            ready.status.success().then_some(())
        },
        || job.text(),
    );
    assert!(phases.iter().any(|phase| phase.starts_with("hooks for ")), "{phases:?}");
}

#[test]
fn a_plain_init_is_alive_and_keeps_no_state() {
    let Some(python) = image(Image::Python) else { return };
    let job = Run::of(&python).with("--entrypoint trainit").command(&["init", "--", "sleep", "1000"]).start();
    assert!(job.exec(&["trainit", "health", "--live"]).status.success());
    assert!(!job.exec(&["trainit", "health", "--ready"]).status.success());
}

/// Makes prepare, the hook's parent, the process that the kernel kills. The score of 1000 counts about as much as the whole limit, so several
/// processes share the memory: one alone could weigh more than prepare.
const STARVES_PREPARE: &str = "echo 1000 >/proc/$PPID/oom_score_adj
echo -1000 >/proc/$$/oom_score_adj 2>/dev/null
hungry() { head -c 400m /dev/zero | tail >/dev/null; }
while kill -0 $PPID; do for each in 1 2 3 4; do hungry & done; wait; done
";

#[test]
fn a_prepare_that_ran_out_of_memory_is_told_with_214() {
    let Some(python) = image(Image::Python) else { return };
    let hooks = hook(STARVES_PREPARE);
    let ended = with_hook(&python, &hooks, "--memory 96m --memory-swap 96m").command(&["true"]).finish();
    ended.expect_code(214).expect_text(&["end   preparing: killed by SIGKILL while running hooks", "out of memory"]);
}

#[test]
fn a_hook_that_ran_out_of_memory_is_told_with_217() {
    let Some(python) = image(Image::Python) else { return };
    let hooks = hook("head -c 400m /dev/zero | tail >/dev/null\n");
    let ended = with_hook(&python, &hooks, "--memory 96m --memory-swap 96m").command(&["true"]).finish();
    ended.expect_code(217).expect_text(&["ran out of memory", "raise the container's limit of memory"]);
}

#[test]
fn a_prepare_that_another_process_killed_is_told_with_70() {
    let Some(python) = image(Image::Python) else { return };
    let hooks = hook("kill -9 $PPID\nsleep 100\n");
    let ended = with_hook(&python, &hooks, "").command(&["true"]).finish();
    ended.expect_code(70).expect_text(&["end   preparing: killed by SIGKILL while running hooks"]);
}
