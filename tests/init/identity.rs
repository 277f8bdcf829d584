//! The workload as another user than PID 1: who it is and what it has, who reaches it, and that nothing of root's is left for it.

use crate::support::{self, Launch, Place, Role, TRAINIT, ways};
use crate::users::{KILL, PTRACE, become_other, may_switch};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Whom the tests switch to: nobody that a machine has.
const UID: u32 = 12345;

/// Every place that a supervised start can have.
fn places() -> Vec<Place> {
    if !may_switch() {
        return Vec::new();
    }
    ways().into_iter().filter(|(role, _)| *role == Role::Run).map(|(_, place)| place).collect()
}

/// A start as that user, in what counts as a container. Its /etc lies on a mount of its own, so that no test edits the machine's.
fn start(place: Place, words: &[&str]) -> Launch {
    let words: Vec<&str> = ["--"].iter().chain(words).copied().collect();
    let launch = Launch::of(Role::Run, place, &words).env("container", "docker").env("HOME", "/root");
    launch.env("TRAINIT_CHECKS", "host=off gpu=off").env("TRAINIT_USER", "12345:23456").bound(c"/etc")
}

/// A directory that everybody can enter and that user can write, with a trainit that it can run.
fn own_directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // By another process: a child that this one makes meanwhile for another test would have it open for writing, and then it is busy.
    assert!(std::process::Command::new("cp").arg(TRAINIT).arg(path.join("trainit")).status().unwrap().success());
    chown(&path, Some(UID), Some(23456)).unwrap();
    (directory, path)
}

fn owner(path: &Path) -> (u32, u32) {
    let found = std::fs::metadata(path).unwrap();
    (found.uid(), found.gid())
}

#[test]
fn the_workload_is_the_user_wholly() {
    for place in places() {
        let script = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; umask; touch $HOME/x && rm $HOME/x; \
            grep -E '^(Uid|Gid|CapEff|NoNewPrivs):' /proc/self/status; echo by name > /dev/stdout";
        let launch = start(place, &["sh", "-c", script]);
        let finished = launch.env("TRAINIT_USER_UMASK", "027").env("TRAINIT_USER_NO_NEW_PRIVS", "on").finish();
        let told: Vec<&str> = finished.out.lines().collect();
        let expected = [
            "12345",
            "23456",
            "23456",
            "/tmp/home-12345 uid12345 uid12345",
            "0027",
            "Uid:\t12345\t12345\t12345\t12345",
            "Gid:\t23456\t23456\t23456\t23456",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "by name",
        ];
        assert_eq!(told, expected, "{place:?} {}", finished.err);
        assert!(finished.err.contains(" as 12345:23456, "), "{}", finished.err);
    }
}

#[test]
fn a_stop_reaches_it_also_where_root_may_not_signal_others() {
    const SAVES: &str = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.02; done";
    for place in places() {
        for dropped in [&[][..], &[KILL], &[KILL, PTRACE]] {
            let launch = start(place, &["sh", "-c", SAVES]);
            let running = dropped.iter().fold(launch, |launch, number| launch.without_capability(*number)).spawn();
            assert_eq!(running.line(), "up");
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            let told = (finished.code, finished.out.as_str());
            assert_eq!(told, (Some(143), "saved\n"), "{place:?} {dropped:?} {}", finished.err);
        }
    }
}

#[test]
fn the_end_of_the_grace_reaches_it_too() {
    for place in places() {
        let words = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done"];
        let running = start(place, &words).env("TRAINIT_STOP_GRACE", "1s").without_capability(KILL).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(137), "{place:?} {}", finished.err);
        assert!(!finished.err.contains("cannot be killed"), "{place:?} {}", finished.err);
    }
}

#[test]
fn its_session_can_ask_for_a_checkpoint_and_the_errand_is_done_as_that_user() {
    for place in places() {
        let (_directory, path) = own_directory();
        let request = path.join("SAVE");
        let script =
            "\"$0\" checkpoint; while [ ! -e SAVE ]; do sleep 0.02; done; touch \"$TRAINIT_RUN_DIR/heartbeat\"";
        let launch = start(place, &["sh", "-c", script, path.join("trainit").to_str().unwrap()]);
        let launch = launch.env("TRAINIT_CHECKPOINT_REQUEST_FILE", request.to_str().unwrap());
        let launch = launch.env("TRAINIT_WORKDIR", path.to_str().unwrap()).env("TRAINIT_DEPS_REQUIREMENTS", "off");
        let finished = launch.finish();
        let told = (finished.code, finished.out.as_str());
        assert_eq!(told, (Some(0), "asked for a checkpoint\n"), "{place:?} {}", finished.err);
        assert_eq!(owner(&request), (UID, 23456), "{place:?}");
    }
}

#[test]
fn what_lies_in_the_code_directory_is_run_by_that_user_and_never_by_root() {
    for place in places() {
        let (_directory, path) = own_directory();
        std::fs::write(path.join("requirements.txt"), "nothing-that-is-there\n").unwrap();
        std::fs::write(path.join("train.py"), "print('never')\n").unwrap();
        let python = path.join("python");
        std::fs::write(&python, format!("#!/bin/sh\nid -u >> {}/who\nexit 1\n", path.display())).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let launch = start(place, &["python", "train.py"]).env("TRAINIT_WORKDIR", path.to_str().unwrap());
        let search = format!("{}:/usr/bin:/bin", path.display());
        let finished = launch.env("PATH", &search).finish();
        let who = std::fs::read_to_string(path.join("who")).unwrap_or_default();
        let only = who.lines().all(|line| line == "12345");
        assert!(!who.is_empty() && only, "{place:?} {who:?} {}", finished.err);
    }
}

#[test]
fn the_variables_of_docker_stacks_do_the_same_unless_the_key_is_set() {
    for place in places() {
        let of = |key: &str| {
            let launch = start(place, &["id", "-u"]).env("TRAINIT_USER", key).env("NB_UID", "4321");
            launch.env("NB_GID", "100").finish().out
        };
        assert_eq!((of(""), of("keep"), of("77")), ("4321\n".into(), "0\n".into(), "77\n".into()), "{place:?}");
    }
}

#[test]
fn whoever_is_not_root_cannot_become_another_user_and_nothing_starts() {
    for place in places() {
        let finished = start(place, &["echo", "started"]).before_exec(become_other).finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(115), ""), "{place:?} {}", finished.err);
        assert!(finished.err.contains("start the container as 12345:23456"), "{}", finished.err);
    }
}

#[test]
fn in_a_user_namespace_the_user_stays_and_that_is_told() {
    if !support::has("unshare") {
        return;
    }
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", TRAINIT, "--", "id", "-u"]).current_dir("/");
    let launch = Launch::with(command, Place::Aside).env("NB_UID", "1000").env("TRAINIT_CHECKS", "host=off gpu=off");
    let finished = launch.finish();
    if finished.err.contains("unshare failed") {
        return support::skip("no user namespace can be made here (control group or sysctl)");
    }
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "0\n"), "{}", finished.err);
    assert!(finished.err.contains("NB_UID: not changed to 1000:"), "{}", finished.err);
}

#[test]
fn a_file_that_gives_rights_is_refused_by_root_too() {
    let (_directory, path) = own_directory();
    for mode in [0o4755, 0o2755] {
        let tool = path.join("trainit");
        chown(&tool, Some(0), Some(0)).unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = std::process::Command::new(&tool).args(["exec", "--", "true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(115), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
