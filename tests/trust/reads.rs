//! What root could read and the workload's user cannot is neither read nor repeated, whoever names it.

use crate::cases::{Case, SECRET};
use crate::harness::Ended;
use nix::sys::stat::Mode;
use std::os::unix::fs::chown;

/// Where the root-only file is in the container.
const ONLY_ROOT: &str = "/run/secrets/only-root";

/// It ends with this code and says that the user has no permission; nothing of a root-only file is repeated.
#[track_caller]
fn denied(ended: Option<Ended>, code: i32, wanted: &[&str]) {
    let Some(ended) = ended else { return };
    let ended = ended.expect_code(code).expect_text(wanted);
    for secret in [SECRET, "root:*", "root:x", "root:!", "`root"] {
        assert!(!ended.text.contains(secret), "{secret} is repeated:\n{}", ended.text);
    }
}

#[test]
fn a_project_file_that_links_to_a_root_only_file_is_read_as_the_user() {
    let case = Case::new().link("trainit.yaml", ONLY_ROOT);
    denied(case.ended("", &["id"]), 78, &["/code/trainit.yaml: Permission denied for 1000:1000"]);
    for words in
        [&["check"][..], &["config", "show"], &["deps", "status"], &["gpu"], &["config", "check", "trainit.yaml"]]
    {
        denied(case.ended("", words), 78, &["Permission denied"]);
    }
}

#[test]
fn a_named_file_is_read_as_the_user_that_the_image_pins() {
    denied(Case::new().ended("-e TRAINIT_CONFIG=/etc/shadow", &["id"]), 78, &["Permission denied for 1000:1000"]);
    let words = ["--config", ONLY_ROOT, "id"];
    denied(Case::new().ended("", &words), 78, &["Permission denied for 1000:1000"]);
}

#[test]
fn a_named_file_may_say_who_the_user_is_where_nobody_else_does() {
    let case = Case::new().policy("mode: train\n");
    case.write("only-root", "user: '1000:1000'\n", 0, 0o600);
    let Some(ended) = case.ended(&format!("-e TRAINIT_CONFIG={ONLY_ROOT}"), &["id", "-u"]) else { return };
    ended.expect_code(0).expect_text(&["1000\n"]);
    // The variable stands above the file, so the file is nothing that may be read for it.
    let options = format!("-e TRAINIT_CONFIG={ONLY_ROOT} -e TRAINIT_USER=2000");
    denied(case.ended(&options, &["id", "-u"]), 78, &["Permission denied for 2000:2000"]);
}

#[test]
fn while_the_user_is_unknown_nothing_of_the_project_is_read() {
    let case = Case::new().policy("usr: 1000\n").link("trainit.yaml", ONLY_ROOT);
    denied(case.ended("", &["id"]), 78, &["unknown key `usr`"]);
    let case = Case::new().policy("mode: train\n").link("trainit.yaml", ONLY_ROOT);
    denied(case.ended("-e TRAINIT_USER=nobody-of-this-name", &["id"]), 115, &["there is no nobody-of-this-name"]);
}

#[test]
fn every_variable_that_names_a_file_with_a_secret_is_read_as_the_user() {
    for name in ["TRAINIT_DEPS_INDEX_FILE", "TRAINIT_DEPS_EXTRA_INDEX_FILE"] {
        let options = format!("-e {name}={ONLY_ROOT}");
        denied(Case::new().ended(&options, &["id"]), 78, &["cannot be read as 1000:1000", "Permission denied"]);
        let case = Case::new();
        case.write("only-root", &format!("{SECRET} \x01 no address\n"), 1000, 0o600);
        let Some(ended) = case.ended(&options, &["config", "show"]) else { return };
        assert!(!ended.text.contains(SECRET), "{}", ended.text);
    }
}

#[test]
fn a_variable_of_the_workload_that_stands_in_a_root_only_file_is_not_read() {
    let case = Case::new().policy(&format!("user: '1000:1000'\nenv: {{T: {{file: {ONLY_ROOT}}}}}\n"));
    denied(case.ended("", &["id"]), 78, &["env.T", "cannot be read as 1000:1000"]);
}

#[test]
fn requirements_that_lead_to_a_root_only_file_are_read_as_the_user() {
    let words = ["python", "-c", "1"];
    let case = Case::new().code("requirements.txt", &format!("-r {ONLY_ROOT}\n"));
    denied(case.ended("", &words), 116, &["cannot be read", "user 1000 has no permission"]);
    denied(case.ended("", &["deps", "status"]), 116, &["cannot be read"]);
    let case = Case::new().link("requirements.txt", ONLY_ROOT);
    denied(case.ended("", &words), 116, &["cannot be read"]);
}

#[test]
fn a_pipe_or_a_directory_in_the_projects_files_place_ends_the_start_at_once() {
    let case = Case::new();
    let path = case.path("code/trainit.yaml");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o666)).expect("a pipe");
    chown(&path, Some(1000), Some(1000)).expect("the tests run as root");
    denied(case.ended("", &["id"]), 78, &["not a regular file"]);
    std::fs::remove_file(&path).expect("it is ours");
    std::fs::create_dir(&path).expect("a directory");
    denied(case.ended("", &["id"]), 78, &["a directory: for a missing file that is mounted"]);
}

#[test]
fn the_project_cannot_choose_the_owner_whom_the_workload_becomes() {
    // By naming a directory of root's as the code it would stay root.
    let case = Case::new().policy("user: owner\n").code("trainit.yaml", "code: {path: /usr}\nworkdir: /usr\n");
    let Some(ended) = case.ended("", &["id", "-u"]) else { return };
    assert!(ended.text.lines().any(|line| line == "1000"), "{}", ended.text);
}
