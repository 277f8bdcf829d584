//! Logging in, copying files, forwarding ports, and the end.

use super::world::World;
use crate::support::look::until;
use crate::support::port::free_port;
use crate::support::{Launch, Place, pty};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

#[test]
fn a_command_runs_as_root_with_its_own_exit_code() {
    let Some(world) = World::new() else { return };
    let served = world.serve();
    served.running.error_with("log in: ssh -p ");
    let ready = served.running.error_with("ready after");
    assert!(ready.contains(" s: ssh -p ") && ready.contains("@HOST"), "{ready}");
    assert_eq!(served.says("id -un; pwd").lines().collect::<Vec<_>>(), ["root", served.path("root").to_str().unwrap()]);
    assert_eq!(served.ssh("exit 7").status.code(), Some(7));
    let health = served.health();
    assert!(health.status.success(), "{health:?}");
    assert!(
        String::from_utf8_lossy(&health.stdout).contains(&format!("(port {} answers)", served.port())),
        "{health:?}"
    );
}

#[test]
fn a_user_that_is_not_root_logs_in_on_a_high_port_and_nobody_else_does() {
    let Some(world) = World::new() else { return };
    let served = world.for_person().serve();
    assert_eq!(
        served.says("id -un; echo $HOME").lines().collect::<Vec<_>>(),
        ["person", served.path("person").to_str().unwrap()]
    );
    let root = served.client("ssh", "id").arg("root@127.0.0.1").arg("true").output().unwrap();
    assert_eq!(root.status.code(), Some(255), "{root:?}");
}

#[test]
fn a_login_shell_has_a_terminal_with_its_size() {
    let Some(world) = World::new() else { return };
    let served = world.serve();
    let (person, terminal) = pty::open();
    person.resize(31, 99);
    let mut client = served.client("ssh", "id");
    client.arg(served.target()).env("TERM", "dumb");
    let client = Launch::with(client, Place::Aside).before_exec(pty::sit_at(&terminal)).spawn();
    person.types("echo $0 $(stty size) $((40 + 2)); shopt login_shell; exit 5\n");
    person.shows("-bash 31 99 42");
    person.shows("login_shell");
    person.shows("on");
    assert_eq!(client.code(), 5);
}

#[test]
fn files_are_copied_with_sftp_and_scp() {
    let Some(world) = World::new() else { return };
    let served = world.for_person().serve();
    let (here, back) = (served.path("here"), served.path("back"));
    let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&here, &content).unwrap();
    let copied = served.client("scp", "id").arg(&here).arg(format!("{}:there", served.target())).output().unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let mut sftp = served.client("sftp", "id");
    sftp.args(["-b", "-"]).arg(served.target()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut sftp = sftp.spawn().unwrap();
    writeln!(sftp.stdin.take().unwrap(), "rename there elsewhere\nget elsewhere {}", back.display()).unwrap();
    assert!(sftp.wait().unwrap().success());
    assert!(fs::read(&back).unwrap() == content);
}

#[test]
fn a_port_behind_it_is_reached_through_it() {
    let Some(world) = World::new() else { return };
    let served = world.serve();
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = free_port();
    let forward = format!("{free}:127.0.0.1:{}", behind.local_addr().unwrap().port());
    let mut client = served.client("ssh", "id");
    let mut client =
        client.args(["-o", "ExitOnForwardFailure=yes", "-N", "-L", &forward]).arg(served.target()).spawn().unwrap();
    let mut near = until("the forwarded port", || TcpStream::connect(("127.0.0.1", free)).ok());
    let (mut far, _) = behind.accept().unwrap();
    near.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    far.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ping");
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn a_stop_ends_the_sessions_and_then_the_container() {
    let Some(world) = World::new() else { return };
    let served = world.serve();
    let (mark, saved) = (served.path("root/begun"), served.path("root/saved"));
    let mut client = served.client("ssh", "id");
    // bash tells on stderr that `sleep` was ended, and dies of SIGPIPE before its trap where the connection is gone already.
    let script = format!(
        "exec 2>/dev/null; trap 'echo yes > {}; exit' HUP TERM; touch {}; while :; do sleep 0.1; done",
        saved.display(),
        mark.display()
    );
    let mut client = client.arg(served.target()).arg(script).spawn().unwrap();
    until("the session", || mark.exists().then_some(()));
    served.running.signal(libc::SIGTERM);
    let finished = served.running.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(client.wait().unwrap().code(), Some(255));
    assert_eq!(fs::read_to_string(saved).unwrap_or_default(), "yes\n", "{:?} {}", finished.took, finished.err);
    assert!(finished.took.as_secs() < 20, "{:?}", finished.took);
}
