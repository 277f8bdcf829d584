//! A policy's locks against who starts a container: another spelling, a family's member, an inherited variable, an option in a
//! requirement file. What a lock pins is what the workload shows, not what the configuration says.

use crate::harness::{Ended, Run};
use crate::images::{Image, image};
use std::path::Path;

/// A container whose policy is this text, with these options of `docker run`, that runs this command.
fn run(policy: &str, options: &str, command: &[&str]) -> Option<Ended> {
    let python = image(Image::Python)?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, policy).expect("a policy");
    let given = format!("-v {}:/etc/trainit.yaml:ro {options}", file.display());
    Some(Run::of(&python).with(&given).command(command).finish())
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("a file");
}

#[test]
fn a_locked_variable_wins_over_an_inherited_one_in_the_workload_and_over_hooks_and_modes() {
    let policy = "env: {PIP_CONSTRAINT: /etc/c.txt}\nlock: [env.PIP_CONSTRAINT]\n";
    let show = ["sh", "-c", "echo constraint=$PIP_CONSTRAINT"];
    let Some(ended) = run(policy, "-e PIP_CONSTRAINT=/dev/null", &show) else { return };
    ended.expect_code(0).expect_text(&["constraint=/etc/c.txt"]);

    let hooks = tempfile::tempdir().expect("a temporary directory");
    write(hooks.path(), "x.sh", "export PIP_CONSTRAINT=/dev/null OTHER=exported\necho hook=$PIP_CONSTRAINT\n");
    let hook = format!(
        "-v {}:/hooks:ro -e TRAINIT_HOOKS_BEFORE_START=/hooks -e PIP_CONSTRAINT=/dev/null",
        hooks.path().display()
    );
    let show = ["sh", "-c", "echo constraint=$PIP_CONSTRAINT other=$OTHER"];
    let Some(ended) = run(policy, &hook, &show) else { return };
    ended.expect_code(0).expect_text(&["hook=/dev/null", "constraint=/etc/c.txt other=exported"]);

    let mine = tempfile::tempdir().expect("a temporary directory");
    write(
        mine.path(),
        "c.yaml",
        "modes: {mine: {command: [env], env: {PIP_CONSTRAINT: {value: /dev/null, force: true}}}}\n",
    );
    let mode = format!("-v {}:/mine:ro -e TRAINIT_CONFIG=/mine/c.yaml -e TRAINIT_MODE=mine", mine.path().display());
    let Some(ended) = run(policy, &mode, &[]) else { return };
    ended.expect_code(0).expect_text(&["PIP_CONSTRAINT=/etc/c.txt"]);
    // As a container's first process `env` is a command; in a session it is trainit's, for whoever has set the variable there.
    let Some(ended) = run(policy, "-e PIP_CONSTRAINT=/dev/null", &["env"]) else { return };
    ended.expect_code(0).expect_text(&["PIP_CONSTRAINT=/etc/c.txt"]);
    let session = ["sh", "-c", "PIP_CONSTRAINT=/dev/null trainit env"];
    let Some(ended) = run(policy, "", &session) else { return };
    ended.expect_code(0).expect_text(&["export PIP_CONSTRAINT='/etc/c.txt'"]);
}

#[test]
fn a_locked_family_is_not_switched_off_check_by_check() {
    let policy = "checks: {data: fail}\ndata: [/none]\nlock: [checks.data]\n";
    let off = r#"-e TRAINIT_CHECKS={"data.exists":"off","data.mounted":"off"}"#;
    for options in ["-e TRAINIT_CHECKS=data.exists=off", "-e TRAINIT_CHECKS=off", off] {
        let Some(ended) = run(policy, options, &["true"]) else { return };
        ended.expect_code(78).expect_text(&["locked by /etc/trainit.yaml:3", "TRAINIT_CHECKS"]);
    }
}

#[test]
fn a_locked_user_without_a_value_stays_whoever_the_variables_of_other_images_name() {
    for variable in ["NB_UID", "PUID", "NB_USER"] {
        let value = if variable == "NB_USER" { "games" } else { "1234" };
        let Some(ended) = run("lock: [user]\n", &format!("-e {variable}={value}"), &["sh", "-c", "echo uid=$(id -u)"])
        else {
            return;
        };
        ended
            .expect_code(0)
            .expect_text(&["uid=0", &format!("{variable} is not read: user is locked by /etc/trainit.yaml:1")]);
    }
}

#[test]
fn a_command_is_not_bound_by_a_lock_but_the_mode_is() {
    let policy = "mode: train\ncommand: [echo, policy]\nlock: [mode, command]\n";
    let Some(ended) = run(policy, "", &["echo", "mine"]) else { return };
    ended.expect_code(0).expect_text(&["mine"]);
    let Some(ended) = run(policy, "", &["--mode", "shell", "echo", "mine"]) else { return };
    ended.expect_code(78).expect_text(&["--mode: locked by /etc/trainit.yaml:3"]);
}

#[test]
fn a_locked_index_holds_against_options_in_requirement_files() {
    let policy = "deps.index: https://mirror.invalid/simple\nlock: [deps.index]\n";
    for line in [
        "--extra-index-url http://127.0.0.1:9/other",
        "--ext http://127.0.0.1:9/other",
        "six @ http://127.0.0.1:9/other/six.whl",
    ] {
        let code = tempfile::tempdir().expect("a temporary directory");
        write(code.path(), "requirements.txt", "-r more.txt\nsix==99\n");
        write(code.path(), "more.txt", &format!("{line}\n"));
        let options = format!("-v {}:/code -w /code -e TRAINIT_DEPS_RETRIES=0", code.path().display());
        let Some(ended) = run(policy, &options, &["python3", "-c", "print('star' + 'ted')"]) else { return };
        assert!(!ended.text.contains("started"), "{}", ended.text);
        ended.expect_code(78).expect_text(&["more.txt:1", "locked by /etc/trainit.yaml:2 (deps.index)"]);
    }
}

#[test]
fn a_locked_index_holds_against_variables_and_files_of_pip() {
    let policy = "deps: {index: \"off\", retries: 0, installer: pip}\nlock: [deps.index]\n";
    let code = tempfile::tempdir().expect("a temporary directory");
    write(code.path(), "requirements.txt", "six==99\n");
    write(
        code.path(),
        "pip.conf",
        "[global]\nextra-index-url = http://127.0.0.1:9/file\nindex-url = http://127.0.0.1:9/file\n",
    );
    std::fs::create_dir(code.path().join("pip")).expect("a directory");
    std::fs::copy(code.path().join("pip.conf"), code.path().join("pip/pip.conf")).expect("a file");
    write(code.path(), "c.txt", "--find-links http://127.0.0.1:9/constraint\n");
    let base = format!("-v {}:/code -w /code", code.path().display());
    for option in [
        "-e PIP_EXTRA_INDEX_URL=http://127.0.0.1:9/variable -e PIP_NO_INDEX=0",
        "-e PIP_extra_index_url=http://127.0.0.1:9/variable -e PIP_FIND_LINKS=http://127.0.0.1:9/links",
        "-e PIP_CONFIG_FILE=/code/pip.conf",
        "-e XDG_CONFIG_DIRS=/code",
    ] {
        let Some(ended) = run(policy, &format!("{base} {option}"), &["python3", "-c", "1"]) else { return };
        assert!(!ended.text.contains("127.0.0.1:9"), "{option}: {}", ended.text);
        ended.expect_code(116);
    }
    let Some(ended) = run(policy, &format!("{base} -e PIP_CONSTRAINT=/code/c.txt"), &["python3", "-c", "1"]) else {
        return;
    };
    ended.expect_code(78).expect_text(&["c.txt:1", "locked by"]);
}

#[test]
fn a_url_is_no_path_and_its_password_is_not_repeated() {
    for variable in
        ["CHECKPOINT_DIR", "CODE_PATH", "OUTPUT", "DATA", "DEPS_STORE", "STATE_DIR", "CONFIG", "DEPS_INDEX_FILE"]
    {
        let options = format!("-e TRAINIT_{variable}=https://me:t0psecret@host/x");
        let Some(ended) = run("{}\n", &options, &["true"]) else { return };
        assert!(!ended.text.contains("t0psecret"), "{}", ended.text);
        ended.expect_code(78).expect_text(&["a URL is not a path", &format!("TRAINIT_{variable}")]);
    }
}
