//! Whose keys let in, and the keys of the host.

use super::world::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn no_password_and_no_other_key_lets_in() {
    let Some(world) = World::new() else { return };
    world.new_key("stranger");
    let served = world.serve();
    let stranger = served.client("ssh", "stranger").arg(served.target()).arg("true").output().unwrap();
    assert_eq!(stranger.status.code(), Some(255));
    let mut password = served.client("ssh", "id");
    password.args(["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive"]);
    let password = password.arg(served.target()).arg("true").output().unwrap();
    let told = String::from_utf8_lossy(&password.stderr).into_owned();
    assert!(told.contains("Permission denied (publickey)"), "{told}");
}

#[test]
fn keys_come_from_every_variable_from_files_and_from_the_users_own_file() {
    let Some(world) = World::new() else { return };
    let names = ["vast", "dock", "file", "own"];
    names.iter().for_each(|name| world.new_key(name));
    let public = |name: &str| fs::read_to_string(world.path(&format!("{name}.pub"))).unwrap();
    let (vast, dock) = (public("vast"), public("dock"));
    fs::create_dir(world.path("root/.ssh")).unwrap();
    fs::write(world.path("root/.ssh/authorized_keys"), format!("# mine\n{}", public("own"))).unwrap();
    let file = world.path("file.pub").to_str().unwrap().to_owned();
    let served =
        world.set("SSH_PUBLIC_KEY", &vast).set("SSH_PUBKEY", &dock).set("TRAINIT_SSH_AUTHORIZED_KEYS", &file).serve();
    for key in ["id", "vast", "dock", "file", "own"] {
        let output = served.client("ssh", key).arg(served.target()).arg("true").output().unwrap();
        assert!(output.status.success(), "{key}: {output:?}");
    }
    served.running.error_with("5 keys may, and no password");
}

#[test]
fn what_is_no_key_is_told_with_its_line_and_the_others_count() {
    let Some(world) = World::new() else { return };
    let key = fs::read_to_string(world.path("id.pub")).unwrap();
    let served = world.set("PUBLIC_KEY", &format!("{key}ssh-rsa AAAAcut\n")).serve();
    served.running.error_with("PUBLIC_KEY, line 2: what stands behind");
    served.says("true");
}

#[test]
fn the_hosts_keys_stay_the_same_in_a_new_container_with_the_same_volume() {
    let Some(world) = World::new() else { return };
    let (etc, volume) = (world.path("etc"), world.path("keys"));
    let served = world.set("TRAINIT_SSH_HOST_KEYS", volume.to_str().unwrap()).serve();
    served.tells_its_key();
    let known = fs::read_to_string(served.path("known_hosts")).unwrap();
    let made: Vec<_> = fs::read_dir(&volume).unwrap().flatten().collect();
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|file| file.metadata().unwrap().permissions().mode() & 0o777 == 0o600), "{made:?}");
    let key = volume.join("ssh_host_ed25519_key");
    let content = fs::read(&key).unwrap();
    served.running.signal(libc::SIGTERM);
    assert_eq!(served.running.finish().code, Some(0));
    // A volume may have permissions that a server refuses.
    let Some(world) = World::new() else { return };
    assert!(!etc.exists() || etc != world.path("etc"));
    let volume = world.path("keys");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("ssh_host_ed25519_key"), content).unwrap();
    fs::set_permissions(volume.join("ssh_host_ed25519_key"), fs::Permissions::from_mode(0o644)).unwrap();
    let served = world.set("TRAINIT_SSH_HOST_KEYS", volume.to_str().unwrap()).serve();
    served.tells_its_key();
    let again = fs::read_to_string(served.path("known_hosts")).unwrap();
    let key = |text: &str| text.split_whitespace().nth(2).map(str::to_owned);
    assert_eq!(key(&again), key(&known));
}

#[test]
fn keys_that_were_mounted_in_an_older_format_are_told_as_clients_show_them() {
    let Some(world) = World::new() else { return };
    let keys = world.path("keys");
    fs::create_dir(&keys).unwrap();
    let path = keys.join("ssh_host_ecdsa_key");
    let words = ["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f"];
    assert!(Command::new("ssh-keygen").args(words).arg(&path).stdin(Stdio::null()).status().unwrap().success());
    let shown = Command::new("ssh-keygen").arg("-lf").arg(keys.join("ssh_host_ecdsa_key.pub")).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).split(' ').nth(1).unwrap().to_owned();
    let served = world.set("TRAINIT_SSH_HOST_KEYS", keys.to_str().unwrap()).serve();
    let line = served.tells_its_key();
    assert!(line.contains(&format!("ECDSA {shown}")), "{line}");
}

#[test]
fn without_a_volume_they_are_in_the_home() {
    let Some(world) = World::new() else { return };
    let served = world.for_person().serve();
    served.says("true");
    let kept = served.path("person/.local/state/trainit/ssh/ssh_host_ed25519_key");
    let listed = Command::new("stat").args(["-c", "%a %u"]).arg(kept).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "600 4242");
}

#[test]
fn a_home_that_everybody_may_write_is_believed_nothing() {
    let Some(world) = World::new() else { return };
    world.new_key("own");
    fs::create_dir(world.path("root/.ssh")).unwrap();
    fs::copy(world.path("own.pub"), world.path("root/.ssh/authorized_keys")).unwrap();
    fs::set_permissions(world.path("root"), fs::Permissions::from_mode(0o777)).unwrap();
    let served = world.serve();
    served.running.error_with("is not read: everybody may write");
    served.says("true");
    let own = served.client("ssh", "own").arg(served.target()).arg("true").output().unwrap();
    assert_eq!(own.status.code(), Some(255));
}

#[test]
fn keys_that_a_group_may_write_let_nobody_in_and_the_line_says_what_to_type() {
    let Some(world) = World::new() else { return };
    world.new_key("own");
    let file = world.path("root/.ssh/authorized_keys");
    fs::create_dir(world.path("root/.ssh")).unwrap();
    fs::set_permissions(world.path("root/.ssh"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(world.path("own.pub"), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let served = world.serve();
    served
        .running
        .error_with(&format!("is not read: a group may write {0} (mode 664): chmod go-w {0}", file.display()));
    served.says("true");
    let own = served.client("ssh", "own").arg(served.target()).arg("true").output().unwrap();
    assert_eq!(own.status.code(), Some(255));
}

#[test]
fn keys_that_become_everybodys_to_write_later_let_nobody_in_any_more() {
    let Some(world) = World::new() else { return };
    world.new_key("own");
    let ssh = world.path("root/.ssh");
    fs::create_dir(&ssh).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(world.path("own.pub"), ssh.join("authorized_keys")).unwrap();
    let served = world.serve();
    let own = || served.client("ssh", "own").arg(served.target()).arg("true").output().unwrap().status.code();
    assert_eq!(own(), Some(0));
    // Debian's sshd believes a group that has no other member, so the bit for everybody it is.
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o702)).unwrap();
    assert_eq!(own(), Some(255));
}
