//! Why nobody could log in: told before the start, with what to type.

use super::world::World;
use std::fs;
use std::net::TcpListener;

/// The code, and what was told.
#[track_caller]
fn refused(world: &World, code: i32, told: &[&str]) {
    let finished = world.launch().finish();
    assert_eq!(finished.code, Some(code), "{}", finished.err);
    told.iter().for_each(|text| assert!(finished.err.contains(text), "no {text} in {}", finished.err));
}

#[test]
fn no_key_at_all_is_refused_with_the_variable_to_set() {
    let Some(world) = World::new() else { return };
    let world = world.set("PUBLIC_KEY", "");
    refused(&world, 78, &["no public key was given", "set the variable PUBLIC_KEY="]);
    let private = fs::read_to_string(world.path("id")).unwrap();
    let world = world.set("PUBLIC_KEY", &private);
    let finished = world.launch().finish();
    assert_eq!(finished.code, Some(78));
    assert!(finished.err.contains("PUBLIC_KEY, line 1: a private key"), "{}", finished.err);
    let secret = private.lines().nth(1).unwrap();
    assert!(!finished.err.contains(secret));
}

#[test]
fn a_port_that_is_taken_is_told_with_who_has_it() {
    let Some(world) = World::new() else { return };
    let _taken = TcpListener::bind(("0.0.0.0", world.port)).unwrap();
    refused(&world, 114, &[&format!("port {} is taken", world.port), "TRAINIT_SSH_PORT"]);
}

#[test]
fn a_user_without_an_account_or_a_shell_is_refused() {
    let Some(world) = World::new() else { return };
    world.accounts("/usr/sbin/nologin");
    refused(&world, 115, &["its shell is /usr/sbin/nologin", "usermod -s /bin/bash root"]);
    let Some(world) = World::new() else { return };
    let world = world.set("TRAINIT_USER", "31337");
    refused(&world, 115, &["/etc/passwd has no line for this number"]);
}

#[test]
fn an_image_without_a_server_is_told_how_it_gets_one() {
    let Some(world) = World::new() else { return };
    let mut world = world.without("/usr/sbin/sshd");
    if std::path::Path::new("/usr/sbin/dropbear").exists() {
        world = world.without("/usr/sbin/dropbear");
    }
    refused(&world, 127, &["no sshd and no dropbear", "apt-get install -y openssh-server"]);
}

#[test]
fn roots_lock_is_taken_off_in_a_container() {
    let Some(world) = World::new() else { return };
    fs::write(world.path("etc/shadow"), "root:!locked::0:99999:7:::\n").unwrap();
    let served = world.container().serve();
    served.says("true");
    assert_eq!(fs::read_to_string(served.path("etc/shadow")).unwrap(), "root:*::0:99999:7:::\n");
}
