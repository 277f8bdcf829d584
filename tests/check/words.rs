//! Starts with a mistake that has a remedy of its own: a forgotten mount of the code, another working directory, a word that only a shell
//! replaces.

use crate::sandbox::{Sandbox, possible};

#[test]
fn a_word_that_only_a_shell_replaces_is_told() {
    if !possible(&[]) {
        return;
    }
    for word in ["~/data", "$HOME/data", "/mnt/${SET}/data"] {
        let checked = Sandbox::new("").with("TRAINIT_DATA", word).check();
        let (check, status, words) = checked.only("data");
        assert_eq!((check, status, checked.code), ("data.exists", "fail", 111), "{words}");
        assert!(words.contains("only a shell replaces"), "{words}");
    }
    let plain = Sandbox::new("").with("TRAINIT_DATA", "/mnt/price$/data").check();
    assert!(!plain.only("data").2.contains("shell"), "{}", plain.only("data").2);
}

#[test]
fn a_directory_that_is_missing_on_a_mount_is_made_and_not_mounted() {
    if !possible(&[]) {
        return;
    }
    let mount = "mkdir runs; mount -t tmpfs none runs";
    let checked = Sandbox::new(mount).with("TRAINIT_OUTPUT", "$D/runs/exp7").check();
    let remedy = checked.remedies("output.exists");
    assert!(remedy.starts_with("mkdir -p ") && remedy.contains("/runs/exp7, on the host"), "{remedy}");
}

#[test]
fn code_that_was_not_mounted_and_another_working_directory_have_a_corrected_start() {
    if !possible(&[]) {
        return;
    }
    let start = |script: &str| {
        let made = Sandbox::new(&format!("mkdir -p code work; {script}")).with("TRAINIT_CHECKS", "");
        made.with("TRAINIT_CODE_PATH", "$D/code").with("TRAINIT_COMMAND", "python3 train.py")
    };
    let forgotten = start("").with("TRAINIT_WORKDIR", "$D/code").check();
    let remedy = forgotten.remedies("code.entry");
    assert!(remedy.starts_with("docker run -v /path/on/host:/") && remedy.contains("/code"), "{remedy}");
    let elsewhere = start("touch code/train.py").with("TRAINIT_WORKDIR", "$D/work").check();
    let remedy = elsewhere.remedies("code.entry");
    assert!(remedy.starts_with("docker run -w /") && remedy.contains("/code"), "{remedy}");
}
