//! Sessions beside the workload: a shell of another user than the workload's gets nothing that comes from a mount.

use crate::cases::{Case, roots_bash};
use crate::images::Image;

/// What would make root's shell run something of the user's, each in a way of its own.
const TRAPS: &str = "env:
  PROMPT_COMMAND: {value: 'id -u >>/code/proof', force: yes}
  BASH_ENV: {value: /code/trap, force: yes}
  ENV: {value: /code/trap, force: yes}
  LD_PRELOAD: {value: /code/trap.so, force: yes}
  PATH: {value: '/code:/usr/bin:/bin', force: yes}
  PS1: {value: '$(id -u >>/code/proof)', force: yes}
  OF_THE_CODE: here
";

const IMAGES: &str = "user: '1000:1000'\nlock: [user]\nenv: {OF_THE_IMAGE: here}\n";

fn case() -> Case {
    let trap = "id -u >>/code/proof\n";
    Case::new().policy(IMAGES).of(Image::Installed).code("trainit.yaml", TRAPS).code("trap", trap).code("id2", trap)
}

#[test]
fn a_shell_of_roots_evaluates_nothing_of_a_mount() {
    let case = case();
    let Some(container) = case.started("") else { return };
    let script = "true; bash -c true; sh -ic true; echo \"[$OF_THE_IMAGE] [$OF_THE_CODE] [$HOME] [$PATH]\"";
    let told = roots_bash(&container, &[], script);
    assert!(told.contains("[here] [] [/root] "), "{told}");
    assert!(!told.contains("/code"), "{told}");
    roots_bash(&container, &["-i"], "exit");
    assert!(!case.proof().lines().any(|line| line == "0"), "root ran what the code says: {}", case.proof());
}

#[test]
fn a_shell_of_the_workloads_user_has_the_codes_variables() {
    let case = Case::new().policy(IMAGES).of(Image::Installed).code("trainit.yaml", "env: {OF_THE_CODE: here}\n");
    let Some(container) = case.started("") else { return };
    let told = roots_bash(&container, &["-u", "1000:1000"], "echo \"[$OF_THE_IMAGE] [$OF_THE_CODE]\"");
    assert!(told.contains("[here] [here]"), "{told}");
}

#[test]
fn a_shell_of_a_third_user_gets_none_of_them_either() {
    // Variables ask for the user here, which count for root only: without a look at whom they mean, 2000 would be the workload's user.
    let case = case().policy("env: {OF_THE_IMAGE: here}\n");
    let Some(container) = case.started("-e NB_UID=1000") else { return };
    let told = roots_bash(&container, &["-u", "2000"], "echo \"[$OF_THE_IMAGE] [$OF_THE_CODE]\"");
    assert!(told.contains("[here] []"), "{told}");
    assert!(!case.proof().lines().any(|line| line == "2000"), "{}", case.proof());
}

#[test]
fn the_terminal_of_roots_session_stays_roots() {
    let case = Case::new();
    let Some(container) = case.started("") else { return };
    for words in ["check", "env", "deps status", "config show"] {
        let script = format!("trainit {words} >/dev/null 2>&1; stat -c owner=%u /proc/self/fd/0 -L");
        let told = roots_bash(&container, &["-t"], &script);
        assert!(told.contains("owner=0"), "{words}: {told}");
    }
}
