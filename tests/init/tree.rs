//! The whole tree: what a workload leaves behind may finish, is told to, and is gone at the end; nobody else is touched.

use crate::support::look::{field, until_true, with_word};
use crate::support::{Launch, Place, Role, Running, can_unshare, fuse, has, ways};
use std::process::Command;
use std::time::Duration;

/// A shell program that finishes its work for a second when it gets TERM.
const SAVES: &str = "trap 'sleep 1; echo saved; exit 0' TERM; echo up; while :; do sleep 0.02; done";

/// Ends what ignores TERM soon, so that a test need not wait for the built-in five seconds.
fn soon(role: Role, words: &[&'static str]) -> Vec<&'static str> {
    let options: &[&str] = if role == Role::Run { &["--set", "stop.drain=1s", "--"] } else { &["--"] };
    options.iter().chain(words).copied().collect()
}

fn launch(role: Role, place: Place, script: &'static str) -> Launch {
    Launch::of(role, place, &soon(role, &["sh", "-c", script])).env("SAVES", SAVES)
}

fn start(role: Role, place: Place, script: &'static str) -> Running {
    let running = launch(role, place, script).spawn();
    assert_eq!(running.line(), "up");
    running
}

#[test]
fn an_orphan_that_needs_a_second_to_save_gets_it_when_its_launcher_ends_first() {
    for (role, place) in ways() {
        // Drained within stop.drain, whose default is five seconds.
        let running = Launch::of(role, place, &["--", "sh", "-c", "sh -c \"$SAVES\" & sleep 0.3; exit 3"])
            .env("SAVES", SAVES)
            .spawn();
        assert_eq!(running.line(), "up");
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(3), "saved\n"), "{role:?} {place:?}");
        assert!(finished.took > Duration::from_secs(1));
    }
}

#[test]
fn a_stop_reaches_the_orphaned_rank_once_the_launcher_has_ended() {
    for (role, place) in ways() {
        let running = start(role, place, "trap 'exit 0' TERM; setsid sh -c \"$SAVES\" & while :; do sleep 0.02; done");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        let expected = if role == Role::Run { 143 } else { 0 };
        assert_eq!((finished.code, finished.out.as_str()), (Some(expected), "saved\n"), "{role:?} {place:?}");
    }
}

#[test]
fn through_a_shell_the_trainer_is_stopped_and_what_follows_does_not_begin() {
    for place in ways().into_iter().filter(|(role, _)| *role == Role::Run).map(|(_, place)| place) {
        let running = start(Role::Run, place, "sh -c \"$SAVES\"; echo the next one begins");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved\n"), "{place:?}");
    }
}

#[test]
fn a_shell_script_is_seen_through_although_it_goes_by_another_name() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("train.sh");
    std::fs::write(&script, "#!/bin/sh\nsh -c \"$SAVES\"\necho the next one begins\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for place in ways().into_iter().filter(|(role, _)| *role == Role::Run).map(|(_, place)| place) {
        let running = Launch::of(Role::Run, place, &["--", script.to_str().unwrap()]).env("SAVES", SAVES).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved\n"), "{place:?}");
    }
}

#[test]
fn of_a_pipeline_the_trainer_is_stopped_and_its_last_words_arrive() {
    for place in ways().into_iter().filter(|(role, _)| *role == Role::Run).map(|(_, place)| place) {
        let running = start(Role::Run, place, "sh -c \"$SAVES\" | tee /dev/null");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved\n"), "{place:?} {}", finished.err);
    }
}

#[test]
fn what_ignores_term_is_killed_wherever_it_hides_and_nobody_else_is() {
    let mut bystander = Command::new("sleep").arg("63.25").spawn().unwrap();
    for (role, place) in ways() {
        let script = "(trap '' TERM; setsid sleep 64.25 & (setsid sleep 64.25 & sleep 64.25) & sleep 64.25) & \
                      until [ $(pgrep -cf 'sleep 64.25') -ge 4 ]; do sleep 0.02; done; echo up; exit 4";
        let running = launch(role, place, script).spawn();
        let finished = running.finish();
        assert_eq!(finished.code, Some(4), "{role:?} {place:?} {}", finished.err);
        assert_eq!(with_word("64.25"), [0; 0], "{role:?} {place:?}");
        assert!(finished.took > Duration::from_millis(900), "TERM comes first");
    }
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_stopped_orphan_is_continued_so_that_it_can_end() {
    let directory = tempfile::tempdir().unwrap();
    for (n, (role, place)) in ways().into_iter().enumerate() {
        // The orphan has its trap before it is stopped, and is stopped before it is an orphan.
        let script = "sh -c \"$SAVES\" & until [ -e \"$GO\" ]; do sleep 0.02; done; kill -STOP $!
                      until grep -q '^State:.T' /proc/$!/status; do sleep 0.02; done; exit 0";
        let go = directory.path().join(n.to_string());
        let launch = Launch::of(role, place, &["--", "sh", "-c", script]).env("SAVES", SAVES);
        let running = launch.env("GO", go.to_str().unwrap()).spawn();
        assert_eq!(running.line(), "up");
        std::fs::write(&go, "").unwrap();
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(0), "saved\n"), "{role:?} {place:?}");
    }
}

#[test]
fn children_that_were_there_before_it_are_waited_for_like_its_own() {
    for (role, place) in ways() {
        let word = if role == Role::Init { "init" } else { "run" };
        let script =
            format!("sh -c \"$SAVES\" & sleep 0.3; cd /; exec {} {word} -- sh -c 'exit 6'", crate::support::TRAINIT);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("SAVES", SAVES);
        let running = Launch::with(command, place).spawn();
        assert_eq!(running.line(), "up");
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(6), "saved\n"), "{role:?} {place:?}");
    }
}

#[test]
fn after_the_grace_everything_is_killed() {
    for (role, place) in ways() {
        let options: &[&str] = match role {
            Role::Init => &["--grace", "1500ms", "--"],
            Role::Run => &["--set", "stop.grace=1500ms", "--"],
        };
        let script = "trap '' TERM; setsid sh -c \"trap '' TERM; echo up; while :; do sleep 0.05; done\" & while :; do sleep 0.05; done";
        let words: Vec<&str> = options.iter().chain(&["sh", "-c", script]).copied().collect();
        let running = Launch::of(role, place, &words).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(137), "{role:?} {place:?} {}", finished.err);
        assert!(finished.took > Duration::from_millis(1400), "{:?}", finished.took);
    }
}

#[test]
fn what_cannot_be_killed_is_named_and_given_up() {
    if !has("mount") || !fuse::is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let script = format!(
        "mount -i -t fuse.hung -o fd=9,rootmode=40000,user_id=0,group_id=0 hung {path} && exec 9>&- && echo up && exec stat {path}/file"
    );
    for (role, place) in ways() {
        let options: &[&str] = match role {
            Role::Init => &["--grace", "200ms", "--"],
            Role::Run => &["--set", "stop.grace=200ms", "--"],
        };
        let mount: [&str; 6] = ["unshare", "--mount", "--", "sh", "-c", &script];
        let words: Vec<&str> = options.iter().chain(&mount).copied().collect();
        let mut server = fuse::Server::open();
        let running = Launch::of(role, place, &words).gives(server.file(), 9).spawn();
        assert_eq!(running.line(), "up");
        server.answer_greeting();
        server.swallow_request();
        running.signal(libc::SIGTERM);
        let line = running.error_with("cannot be killed");
        assert!(line.contains("(stat, state D"), "{role:?} {place:?} {line}");
        if place == Place::Aside {
            // It is left behind, and the job ends. As PID 1 the kernel itself waits for the last process of the namespace.
            assert_eq!(running.code(), 137, "{role:?} {place:?}");
            drop(server);
        } else {
            drop(server);
            assert_eq!(running.code(), 137, "{role:?} {place:?}");
        }
    }
}

#[test]
fn whoever_still_holds_a_gpu_is_named() {
    for (role, place) in ways().into_iter().filter(|(_, place)| *place == Place::First) {
        let word = if role == Role::Init { "init" } else { "run --set gpu.count=any --set stop.drain=1s" };
        let script = format!(
            "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/nvidia7 c 1 3 && cd / && exec {} {word} -- sh -c \"{}\"",
            crate::support::TRAINIT,
            "(trap '' TERM; exec 7</dev/nvidia7; sleep 0.8) & sleep 0.3; exit 5"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let finished = Launch::with(command, place).finish();
        assert_eq!(finished.code, Some(5), "{role:?} {}", finished.err);
        assert!(finished.err.contains("holds /dev/nvidia7"), "{role:?} {}", finished.err);
    }
}

/// What the last run had is gone by then. A session, as `docker exec` makes one, is nobody's child here.
#[test]
fn a_session_that_holds_a_gpu_is_named_before_the_next_run() {
    if !can_unshare() || !has("nsenter") {
        return;
    }
    let script = format!(
        "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/nvidia7 c 1 3 && cd / && \
         exec {} run --set gpu.count=any --set restart.max=1 --set restart.backoff=100ms..100ms -- sh -c \"{}\"",
        crate::support::TRAINIT,
        "echo up; read line || exit 0; exit 5"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let mut launch = Launch::with(command, Place::First);
    launch.command.stdin(std::process::Stdio::piped());
    let mut running = launch.spawn();
    assert_eq!(running.line(), "up");
    let mut session = Command::new("nsenter");
    session.args([
        "-p",
        "-m",
        "-t",
        &running.pid.to_string(),
        "sh",
        "-c",
        "exec 7</dev/nvidia7; echo there; exec sleep 60",
    ]);
    let mut session = session.stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(session.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
    let mut stdin = running.stdin();
    std::io::Write::write_all(&mut stdin, b"\n").unwrap();
    assert!(running.error_with("still on a GPU: ").contains("(sleep) holds /dev/nvidia7"));
    drop(stdin);
    assert_eq!(running.code(), 0);
    session.wait().unwrap(); // PID 1's end is its end
}

#[test]
fn an_ordinary_process_becomes_a_subreaper_without_a_word() {
    let running =
        Launch::of(Role::Init, Place::Aside, &["--", "sh", "-c", "(sh -c 'echo up; read line' & exit 0); sleep 0.3"]);
    let mut running = {
        let mut running = running;
        running.command.stdin(std::process::Stdio::piped());
        running
    }
    .spawn();
    assert_eq!(running.line(), "up");
    let reads = || {
        let children = crate::support::look::children(running.supervisor());
        children.into_iter().any(|pid| field(pid, "Name").as_deref() == Some("sh"))
    };
    until_true("it is adopted", reads);
    drop(running.stdin());
    let finished = running.finish();
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
}
