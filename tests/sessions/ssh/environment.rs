//! A session has the workload's environment: as a command, as a login shell, as editors start their servers.

use super::world::{PATH, Served, World};
use crate::support::port::free_port;
use std::fs;
use std::io::Write;
use std::process::Stdio;

const ODD: &str = "it's \"q\" \\ %h $HOME `x` #  ä \t.";

fn world() -> Option<World> {
    let path = format!("/opt/conda/bin:{PATH}");
    let world = World::new()?.set("PATH", &path).set("ODD", ODD).set("LINES2", "first\nsecond").set("BACK", "x\\");
    Some(world.set_bytes("BYTES", b"\xff\xfe").set("HF_TOKEN", "in-the-session").set("MY_PRIVATE", "s3cr3t-value"))
}

fn shows(served: &Served, command: &str) -> String {
    served.says(command).trim_end().to_owned()
}

#[test]
fn a_command_has_every_variable_byte_for_byte() {
    let Some(world) = world() else { return };
    let served = world.serve();
    assert_eq!(shows(&served, "printf %s \"$ODD\""), ODD);
    assert_eq!(served.ssh("printf %s \"$BYTES\"").stdout, b"\xff\xfe");
    assert_eq!(shows(&served, "printf '%s %s %s' \"$BACK\" $HF_TOKEN $TRAINIT_RUN_MODE"), "x\\ in-the-session ssh");
    assert!(shows(&served, "echo $PATH").starts_with("/opt/conda/bin:"));
    // Programs see it as well, not only shells.
    assert!(shows(&served, "exec env").lines().any(|line| line == format!("ODD={ODD}")));
}

#[test]
fn login_shells_of_a_container_keep_the_path_that_etc_profile_takes_away() {
    let Some(world) = world() else { return };
    fs::write(world.path("etc/profile"), PROFILE).unwrap();
    let served = world.container().serve();
    // As VS Code starts its server, and how it looks for a person's environment.
    for shell in ["bash -lc", "bash -ilc", "sh -lc"] {
        let told = shows(&served, &format!("{shell} 'echo \"$PATH|$ODD|$LINES2\"' 2>/dev/null"));
        assert!(told.starts_with("/opt/conda/bin:") && told.contains(":/usr/games|"), "{shell}: {told}");
        assert!(told.ends_with(&format!("|{ODD}|first\nsecond")), "{shell}: {told}");
    }
    let venv = shows(&served, "PATH=/venv/bin:$PATH bash -c 'echo $PATH'");
    assert!(venv.starts_with("/venv/bin:/opt/conda/bin:"), "{venv}");
}

/// Like Debian's.
const PROFILE: &str =
    "PATH=\"/usr/bin:/bin:/usr/games\"; export PATH\nfor i in /etc/profile.d/*.sh; do [ -r $i ] && . $i; done\n";

#[test]
fn a_user_without_root_has_it_in_what_editors_start_and_at_a_prompt() {
    let Some(world) = world() else { return };
    fs::write(world.path("etc/profile"), PROFILE).unwrap();
    let served = world.container().for_person().serve();
    for shell in ["bash -l", "sh -l"] {
        let typed = format!("echo 'echo told $PATH' | script -qc '{shell}' /dev/null");
        let shown = shows(&served, &typed);
        assert!(shown.contains("told /opt/conda/bin:"), "{shell}: {shown}");
    }
    let told = shows(&served, "bash -lc 'echo \"$PATH|$LINES2\"'");
    assert!(told.starts_with("/opt/conda/bin:") && told.ends_with("|first\nsecond"), "{told}");
    assert!(shows(&served, "echo $PATH").starts_with("/opt/conda/bin:"));
}

#[test]
fn the_script_of_a_remote_editor_finds_the_environment_through_a_shell_that_reads_its_input() {
    let Some(world) = world() else { return };
    let served = world.container().serve();
    let mut client = served.client("ssh", "id");
    let port = free_port();
    client
        .args(["-T", "-D", &port.to_string()])
        .arg(served.target())
        .arg("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut client = client.spawn().unwrap();
    client
        .stdin
        .take()
        .unwrap()
        .write_all(b"echo \"begin|$ODD|${PATH%%:*}\"; exec bash -lc 'echo \"$HF_TOKEN\"'\n")
        .unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("begin|{ODD}|/opt/conda/bin\nin-the-session\n"));
}

#[test]
fn what_is_hidden_is_in_no_session_and_not_in_the_server() {
    let Some(world) = world() else { return };
    let served = world.set("TRAINIT_SSH_HIDE", "MY_*").for_person().serve();
    assert_eq!(shows(&served, "bash -lc 'echo [$MY_PRIVATE] $HF_TOKEN'"), "[] in-the-session");
    // The server is looked at from outside: no process below it can look. sshd writes its title over a part of this.
    let server = fs::read(format!("/proc/{}/environ", served.running.workload())).unwrap();
    let server = String::from_utf8_lossy(&server);
    assert!(!server.contains("MY_PRIVATE") && !server.contains("HF_TOKEN"), "{server}");
}

#[test]
fn no_secret_is_told_to_who_only_looks() {
    let Some(world) = world() else { return };
    let report = world.path("report.json");
    let served = world.set("TRAINIT_REPORT_FILE", report.to_str().unwrap()).serve();
    let words = served.says("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat $TRAINIT_RUN_DIR/state.json");
    assert!(words.contains("sshd_config"), "{words}");
    let modes = served.says(
        "find $TRAINIT_RUN_DIR/requests -mindepth 1 -perm /077 ! -name '*.pub' | wc -l; stat -c %a $TRAINIT_RUN_DIR/requests/ssh",
    );
    assert_eq!(modes.split_whitespace().collect::<Vec<_>>(), ["0", "700"]);
    served.running.signal(libc::SIGTERM);
    let finished = served.running.finish();
    for (place, text) in
        [("ps and state", words), ("log", finished.err), ("report", fs::read_to_string(report).unwrap())]
    {
        assert!(!text.contains("s3cr3t-value") && !text.contains("in-the-session"), "{place}: {text}");
        assert!(!text.contains("PRIVATE KEY"), "{place}");
    }
}

#[test]
fn what_an_image_installs_gives_exec_sessions_and_ssh_the_environment() {
    let Some(world) = world() else { return };
    fs::write(world.path("etc/profile"), PROFILE).unwrap();
    fs::write(world.path("etc/bash.bashrc"), "").unwrap();
    fs::write(world.path("etc/trainit.yaml"), "env: {FROM_IMAGE: \"it's\"}\n").unwrap();
    let installed = world.first(&["env", "--install"], "/opt/conda/bin:/usr/bin").finish();
    assert_eq!((installed.code, installed.err.as_str()), (Some(0), ""), "{}", installed.out);
    // As `docker exec C bash -lc`, and `docker exec -it C bash` with a person; trainit is where an image has it.
    let path = std::path::Path::new(crate::support::TRAINIT).parent().unwrap().display().to_string();
    fs::write(world.path("etc/profile"), PROFILE.replacen("/usr/bin", &format!("{path}:/usr/bin"), 1)).unwrap();
    for shell in ["bash -lc", "bash -ic", "sh -lc"] {
        let script = format!("{shell} 'echo \"$FROM_IMAGE|$PATH\"' 2>/dev/null");
        let said = world.program(&["sh", "-c", &script], &format!("{path}:/usr/bin:/bin")).finish();
        assert!(
            said.out.starts_with("it's|") && said.out.contains("/opt/conda/bin"),
            "{shell}: {} {}",
            said.out,
            said.err
        );
    }
    let served = world.container().for_person().serve();
    let told = shows(&served, "bash -lc 'echo \"$PATH|$ODD|$LINES2\"'");
    assert!(told.starts_with("/opt/conda/bin:") && told.ends_with(&format!("|{ODD}|first\nsecond")), "{told}");
}
