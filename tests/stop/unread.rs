//! Nobody reads standard error: a start goes on, and a failed one ends.

use crate::job::Job;
use crate::support::TRAINIT;
use crate::support::look::until;
use nix::sys::termios::{FlowArg, tcflow};
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// All the waiting together is a few seconds at most; a machine may be slow.
const SOON: Duration = Duration::from_secs(15);

/// A start with a hook of many lines, and a workload that leaves a file.
fn start(job: &Job, stderr: impl Into<Stdio>) -> Child {
    let hook = job.path().join("10-talks");
    std::fs::write(&hook, "#!/bin/sh\ni=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!("touch {}/ran", job.word());
    Command::new(TRAINIT)
        .args(["run", "--mode", "train", "--", "sh", "-c", &script])
        .env("TRAINIT_HOOKS_BEFORE_CHECKS", &hook)
        .env("TRAINIT_STATE_DIR", job.word())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap()
}

#[track_caller]
fn ends_soon(mut child: Child) -> ExitStatus {
    let begun = Instant::now();
    let status = until("its end", || child.try_wait().unwrap());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    status
}

/// A pipe without room.
fn full_pipe() -> (std::io::PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap() as usize;
    writer.write_all(&vec![b'x'; size]).unwrap();
    (reader, writer)
}

#[test]
fn a_full_pipe_stops_no_start_and_what_is_missing_is_told_when_somebody_reads() {
    let job = Job::new();
    let (mut reader, writer) = full_pipe();
    let ends = ends_soon(start(&job, OwnedFd::from(writer)));
    assert!(ends.success() && job.path().join("ran").exists(), "{ends}");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.chars().all(|c| c == 'x'), "nothing of what was dropped comes later: {text}");
}

#[test]
fn a_reader_that_comes_late_hears_how_much_it_missed() {
    let job = Job::new();
    let (mut reader, writer) = full_pipe();
    let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap() as usize;
    let hook = job.path().join("20-waits.sh");
    let script = format!(
        "i=0; while [ $i -lt 10000 ]; do echo early $i; i=$((i+1)); done; touch {0}/early
         while ! [ -e {0}/reads ]; do sleep 0.05; done; echo late",
        job.word()
    );
    std::fs::write(&hook, script).unwrap();
    let child = Command::new(TRAINIT)
        .args(["run", "--mode", "train", "--", "true"])
        .env("TRAINIT_HOOKS_BEFORE_CHECKS", &hook)
        .env("TRAINIT_STATE_DIR", job.word())
        .stdin(Stdio::null())
        .stderr(OwnedFd::from(writer))
        .spawn()
        .unwrap();
    // They are more than the hook's pipe holds, so the first ones have been dropped by now.
    until("the early lines", || job.path().join("early").exists().then_some(()));
    let reads = job.path().join("reads");
    let reading = std::thread::spawn(move || {
        // The pipe has room before anything is written that is to be read.
        reader.read_exact(&mut vec![0; size])?;
        std::fs::write(reads, "")?;
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    assert!(ends_soon(child).success());
    let text = reading.join().unwrap().unwrap();
    assert!(text.contains("lines not written here in full: stderr was not read"), "{text}");
    assert!(text.contains("late"), "{text}");
}

#[test]
fn a_full_socket_stops_no_start() {
    let job = Job::new();
    let (_reader, writer) = UnixStream::pair().unwrap();
    crate::support::fill(&writer);
    let ends = ends_soon(start(&job, OwnedFd::from(writer)));
    assert!(ends.success() && job.path().join("ran").exists(), "{ends}");
}

#[test]
fn a_terminal_that_a_person_has_stopped_stops_no_start() {
    let job = Job::new();
    let pair = nix::pty::openpty(None, None).unwrap();
    tcflow(&pair.slave, FlowArg::TCOOFF).unwrap();
    let ends = ends_soon(start(&job, pair.slave.as_fd().try_clone_to_owned().unwrap()));
    assert!(ends.success() && job.path().join("ran").exists(), "{ends}");
    // Else closing it would wait for what was never shown.
    tcflow(&pair.slave, FlowArg::TCOON).unwrap();
}

#[test]
fn a_full_pipe_keeps_no_failure_from_ending() {
    let job = Job::new();
    let (_reader, writer) = full_pipe();
    let child = Command::new(TRAINIT)
        .args(["run", "--", "true"])
        .env("TRAINIT_DATA", "/no/such/data")
        .env("TRAINIT_STATE_DIR", job.word())
        .stdin(Stdio::null())
        .stderr(OwnedFd::from(writer))
        .spawn()
        .unwrap();
    assert_eq!(ends_soon(child).code(), Some(111));
}
