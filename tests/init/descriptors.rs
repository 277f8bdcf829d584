//! Descriptors and directories: the workload gets what the caller had open, PID 1 keeps nothing of it.

use crate::support::look::{descriptors, has_pipe, until_true};
use crate::support::{Launch, Place, Role, Running, TRAINIT, can_unshare, ways};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    (File::from(reader), writer)
}

/// Waits until the workload runs and PID 1 has closed what belonged to the start: that, then what its caller had, then its directory.
fn settled(running: &Running) {
    assert_eq!(running.line(), "up");
    let supervisor = running.supervisor();
    until_true("the handover is closed", || {
        let here = std::fs::read_link(format!("/proc/{supervisor}/cwd"));
        !has_pipe(supervisor) && here.is_ok_and(|here| here == Path::new("/"))
    });
}

#[test]
fn pid_1_holds_its_standard_descriptors_and_what_it_waits_for() {
    for (role, place) in ways() {
        let running = Launch::of(role, place, &["--", "sh", "-c", "echo up; exec sleep 60"]).spawn();
        settled(&running);
        let open = descriptors(running.supervisor());
        // `run` also watches its state directory for requests, and holds the lock that says that it lives.
        let mut own: Vec<&str> = open.iter().filter(|(fd, _)| *fd > 2).map(|(_, what)| what.as_str()).collect();
        own.retain(|what| *what != "anon_inode:[signalfd]");
        if place == Place::Aside {
            // The end of what tells it that the front is gone.
            own.remove(own.iter().position(|what| what.starts_with("pipe:")).unwrap());
        }
        if role == Role::Run {
            own.retain(|what| !what.contains("inotify") && !what.contains("/trainit-"));
        }
        assert_eq!(own, [""; 0], "{role:?} {place:?} {open:?}");
        assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", running.pid)).unwrap().to_str(), Some("/"));
    }
}

#[test]
fn an_inherited_descriptor_reaches_the_workload_and_is_not_kept_open_by_pid_1() {
    for (role, place) in ways() {
        let (mut reader, writer) = pipe();
        let script = "echo from the workload >&5; exec 5>&-; echo up; exec sleep 60";
        let launch = Launch::of(role, place, &["--", "sh", "-c", script]).gives(&writer, 5);
        let running = launch.spawn();
        drop(writer);
        settled(&running);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap(); // returns only when nobody has it open any more
        assert_eq!(text, "from the workload\n", "{role:?} {place:?}");
    }
}

#[test]
fn the_workload_has_no_descriptor_that_the_caller_did_not_give() {
    let mut ls = std::process::Command::new("ls");
    ls.arg("/proc/self/fd");
    let without = Launch::with(ls, Place::Aside).finish().out;
    for (role, place) in ways() {
        assert_eq!(Launch::of(role, place, &["--", "ls", "/proc/self/fd"]).finish().out, without, "{role:?} {place:?}");
    }
}

#[test]
fn closed_standard_descriptors_stay_closed_and_nothing_takes_their_place() {
    let directory = tempfile::tempdir().unwrap();
    for closed in [vec![0], vec![1], vec![2], vec![0, 1, 2]] {
        for (role, place) in ways() {
            let list = directory.path().join("list");
            let script = format!("ls /proc/self/fd > {}; echo garbage; echo garbage >&2; exit 5", list.display());
            let launch = Launch::of(role, place, &["--", "sh", "-c", &script]).closes(&closed);
            assert_eq!(launch.finish().code, Some(5), "{role:?} {place:?} {closed:?}");
            let found = std::fs::read_to_string(&list).unwrap();
            let open: Vec<i32> = found.lines().map(|line| line.parse().unwrap()).filter(|fd| *fd < 3).collect();
            // ls itself has its output at 1, and reads the directory through the lowest that is free.
            let lowest = closed.iter().copied().find(|fd| *fd != 1);
            let expected: Vec<i32> =
                (0..3).filter(|fd| *fd == 1 || !closed.contains(fd) || Some(*fd) == lowest).collect();
            assert_eq!(open, expected, "{role:?} {place:?} {closed:?}");
        }
    }
}

#[test]
fn the_working_directory_is_the_workloads_and_not_pinned_by_pid_1() {
    let directory = tempfile::tempdir().unwrap();
    for role in [Role::Init, Role::Run] {
        let mut launch = Launch::of(role, Place::Aside, &["--", "sh", "-c", "pwd; echo up; cd /; exec sleep 60"]);
        launch.command.current_dir(directory.path());
        let running = launch.spawn();
        assert_eq!(running.line(), directory.path().to_str().unwrap());
        settled(&running);
        let workload = running.workload();
        for pid in [running.pid, workload] {
            until_true("left", || std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str() == Some("/"));
        }
    }
}

#[test]
fn standard_input_is_the_workloads() {
    for (role, place) in ways() {
        let mut launch = Launch::of(role, place, &["--", "cat"]);
        launch.command.stdin(Stdio::piped());
        let mut running = launch.spawn();
        running.stdin().write_all(b"through\na pipe\n").unwrap();
        let finished = running.finish();
        assert_eq!((finished.out.as_str(), finished.code), ("through\na pipe\n", Some(0)), "{role:?} {place:?}");
    }
}

/// Fills a pipe to its last byte, without changing the flags that others see.
fn fill_pipe(writer: &OwnedFd) {
    use std::os::unix::fs::OpenOptionsExt;
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut own = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    while own.write(&[b'x'; 4096]).is_ok() {}
    while own.write(b"x").is_ok() {}
}

/// Stops a workload with this at descriptor 2, once it runs and `spoil` was called.
fn ends_well_in_spite_of(role: Role, place: Place, errors: Stdio, spoil: impl FnOnce()) {
    let words = match role {
        Role::Init => &["-w", "--grace", "30", "--", "sh", "-c", "echo up; exec sleep 60"][..],
        Role::Run => &["--", "sh", "-c", "echo up; exec sleep 60"],
    };
    let mut launch = Launch::of(role, place, words);
    launch.command.stderr(errors);
    let running = launch.spawn();
    settled(&running);
    spoil();
    running.signal(libc::SIGTERM);
    running.signal(libc::SIGTERM); // both are told, or would be
    let finished = running.finish();
    assert_eq!(finished.code, Some(143), "{role:?} {place:?}");
    assert!(finished.took < Duration::from_secs(20));
}

#[test]
fn a_full_pipe_that_nobody_reads_does_not_hold_pid_1_up() {
    for (role, place) in ways() {
        let (_reader, writer) = pipe();
        ends_well_in_spite_of(role, place, writer.try_clone().unwrap().into(), || fill_pipe(&writer));
    }
}

#[test]
fn a_log_that_nobody_has_open_any_more_does_not_hurt_pid_1() {
    for (role, place) in ways() {
        let (reader, writer) = pipe();
        ends_well_in_spite_of(role, place, writer.into(), || drop(reader));
    }
}

#[test]
fn a_full_socket_does_not_hold_pid_1_up() {
    for (role, place) in ways() {
        let (_reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let own = writer.try_clone().unwrap();
        ends_well_in_spite_of(role, place, OwnedFd::from(writer).into(), || crate::support::fill(&own));
    }
}

#[test]
fn a_full_disk_under_the_state_directory_costs_the_state_and_nothing_else() {
    if !can_unshare() {
        return;
    }
    // No room for a byte, and none for a name.
    for limit in ["size=4k", "nr_inodes=2"] {
        let fill = format!("mount -t tmpfs -o {limit} none /run && {{ head -c 4096 /dev/zero >/run/full; }}");
        // By then PID 1 has tried to write what it is at.
        let workload = "trap 'exit 7' TERM; sleep 0.4; echo up; while :; do sleep 0.02; done";
        let script = format!("{fill} && exec {TRAINIT} run -- sh -c \"{workload}\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let running = Launch::with(command, Place::First).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(7), "{limit}: {}", finished.err);
        assert!(
            finished.err.contains("stopped by SIGTERM") && !finished.err.contains("internal error"),
            "{limit}: {}",
            finished.err
        );
    }
}
