//! dropbear, where the image has no sshd.

use super::world::{PATH, World, has_server};
use std::fs;

fn world() -> Option<World> {
    let world = World::new().filter(|_| has_server("dropbear"))?;
    let path = format!("/opt/conda/bin:{PATH}");
    Some(
        world.without("/usr/sbin/sshd").set("PATH", &path).set("ODD", "a \"b\"\n'c'").set("MY_PRIVATE", "s3cr3t-value"),
    )
}

#[test]
fn it_lets_keys_in_and_sessions_have_the_environment() {
    let Some(world) = world() else { return };
    let served = world.set("TRAINIT_SSH_HIDE", "MY_PRIVATE").container().serve();
    assert_eq!(served.says("printf %s \"$ODD\""), "a \"b\"\n'c'");
    assert_eq!(served.says("printf %s \"[$MY_PRIVATE]\""), "[]");
    for command in ["bash -lc 'echo $PATH'", "echo $PATH", "sh -c 'echo $PATH'", "bash -c 'echo $PATH'"] {
        let path = served.says(command);
        assert!(path.starts_with("/opt/conda/bin:"), "{command}: {path}");
    }
    served.running.error_with("· ssh · dropbear");
    served.tells_its_key();
    assert!(served.path("root/.local/state/trainit/ssh/dropbear_ed25519_host_key").exists());
    assert_eq!(served.running.errors_so_far().iter().filter(|line| line.contains("s3cr3t")).count(), 0);
    served.running.signal(libc::SIGTERM);
    // Its own code for an end by TERM.
    let finished = served.running.finish();
    assert_eq!(finished.code, Some(1), "{}", finished.err);
}

#[test]
fn a_shell_that_reads_no_file_for_a_command_is_told() {
    let Some(world) = world() else { return };
    world.accounts("/bin/sh");
    let served = world.container().serve();
    served.running.error_with("ssh HOST COMMAND has dropbear's own PATH: /bin/sh reads no file");
    assert!(!served.says("echo $PATH").contains("/opt/conda"));
    assert!(served.says("sh -lc 'echo $PATH'").starts_with("/opt/conda/bin:"));
}

#[test]
fn a_user_keeps_the_keys_of_its_own_file_and_no_password_lets_in() {
    let Some(world) = world() else { return };
    world.new_key("own");
    let own = world.path("person/.ssh");
    fs::create_dir(&own).unwrap();
    fs::copy(world.path("own.pub"), own.join("authorized_keys")).unwrap();
    for path in [own.clone(), own.join("authorized_keys")] {
        std::os::unix::fs::chown(path, Some(super::world::USER), Some(super::world::USER)).unwrap();
    }
    let served = world.for_person().serve();
    assert_eq!(served.says("id -un").trim(), "person");
    let own = served.client("ssh", "own").arg(served.target()).arg("true").output().unwrap();
    assert!(own.status.success(), "{own:?}");
    let mut password = served.client("ssh", "id");
    let password = password.args(["-o", "PubkeyAuthentication=no"]).arg(served.target()).arg("true").output().unwrap();
    assert!(String::from_utf8_lossy(&password.stderr).contains("Permission denied (publickey)"), "{password:?}");
}
