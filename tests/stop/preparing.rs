//! A stop before the workload runs: nothing is lost yet, so it is over soon, and nothing of it is left. Stops at every moment of a
//! start are in tests/init.

use crate::hooks::hooks;
use crate::job::{Job, assert_about, kill, places, python, timed};
use crate::support::look::{until_true, with_word};
use crate::support::{Launch, Place, Running, has, skip};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// An installer that takes its time, with a child in a session of its own; both do not care about TERM.
const STUBBORN: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo "uv 99.0.0"; exit 0; }
trap '' TERM
setsid sh -c "trap '' TERM; touch $JOB/installing; sleep 100; : $JOB" &
wait
"#;

/// The same for one that ends when it is told to.
pub const POLITE: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo "uv 99.0.0"; exit 0; }
touch $JOB/installing
exec sleep 100.0
"#;

/// A start that installs into an environment of its own, and is in the middle of it.
pub fn installing(job: &Job, place: Place, uv: &str) -> Running {
    installing_in_mode("train", job, place, uv)
}

fn installing_in_mode(mode: &str, job: &Job, place: Place, uv: &str) -> Running {
    let environment = job.path().join("venv");
    let venv = Command::new(python().unwrap()).args(["-m", "venv", "--without-pip"]).arg(&environment).status();
    assert!(venv.unwrap().success());
    // The one beside the interpreter is taken.
    let program = environment.join("bin/uv");
    std::fs::write(&program, uv).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let requirements = job.path().join("requirements.txt");
    std::fs::write(&requirements, "no-such-package-of-a-test\n").unwrap();
    let python = environment.join("bin/python3");
    let running = job
        .launch_words(place, &["--mode", mode, "--", python.to_str().unwrap(), "-c", "1", job.word()])
        .env("JOB", job.word())
        .env("TRAINIT_DEPS_REQUIREMENTS", requirements.to_str().unwrap())
        .env("TRAINIT_DEPS_INSTALLER", "uv")
        .spawn();
    let begun = job.path().join("installing");
    until_true("the installer", || begun.exists());
    running
}

#[test]
fn installers_that_listen_end_at_once_and_the_stop_has_its_code() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().with("STOP_GRACE", "10m").with("STOP_EXIT_CODE", "85");
        let running = installing(&job, place, POLITE);
        running.signal(libc::SIGTERM);
        running.error_with("stopping before the workload runs, 5.0 s until SIGKILL");
        let (finished, took) = timed(|| running.finish());
        assert_about(took, 0.0);
        assert_eq!(finished.code, Some(85), "{finished:?}");
        assert!(finished.err.contains("end   preparing: killed by SIGTERM; stopped by SIGTERM"), "{finished:?}");
        job.assert_nobody_left();
    }
}

#[test]
fn installers_that_do_not_are_killed_after_five_seconds_with_all_they_started() {
    if python().is_none() || !has("setsid") {
        return;
    }
    for place in places() {
        let job = Job::new().with("STOP_GRACE", "10m");
        let running = installing(&job, place, STUBBORN);
        let (finished, took) = timed(|| {
            running.signal(libc::SIGTERM);
            running.finish()
        });
        assert_about(took, 5.0);
        assert_eq!(finished.code, Some(143), "{finished:?}");
        job.assert_nobody_left();
    }
}

#[test]
fn in_a_build_mode_the_signal_itself_is_the_code() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let running = installing_in_mode("shell", &job, Place::Aside, POLITE);
    running.signal(libc::SIGINT);
    assert_eq!(running.code(), 130);
}

#[test]
fn a_second_interrupt_does_not_wait_for_an_installer() {
    if python().is_none() || !has("setsid") {
        return;
    }
    let job = Job::new();
    let running = installing(&job, Place::Aside, STUBBORN);
    let (code, took) = timed(|| {
        for _ in 0..3 {
            running.signal(libc::SIGINT);
            running.error_with("SIG");
        }
        running.code()
    });
    assert_about(took, 0.0);
    assert_eq!(code, 143);
    job.assert_nobody_left();
}

/// A start whose probe waits for a file system that does not answer; none where there is no such file system to be had.
pub fn with_data_that_hangs(job: &Job) -> Option<Running> {
    if !Path::new("/dev/fuse").exists() || !crate::support::can_unshare() {
        skip("there is no /dev/fuse here");
        return None;
    }
    let hung = job.path().join("hung");
    std::fs::create_dir(&hung).unwrap();
    let mount = format!(
        "exec 9<>/dev/fuse && mount -i -t fuse.hang -o fd=9,rootmode=40000,user_id=0,group_id=0 nas:/export {} &&
         touch {}/mounted && exec \"$@\"",
        hung.display(),
        job.word()
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &mount, "sh", crate::support::TRAINIT, "run", "--", "true", job.word()]);
    command.env("TRAINIT_DATA", format!("{}:timeout=100s", hung.display())).env("TRAINIT_STATE_DIR", job.word());
    let running = Launch::with(command, Place::Aside).spawn();
    let mounted = job.path().join("mounted");
    until_true("mount", || mounted.exists());
    // The probe is there when more than the front, the supervisor and prepare are.
    until_true("a probe", || with_word(job.word()).len() > 3);
    Some(running)
}

#[test]
fn a_probe_of_a_file_system_that_does_not_answer_holds_nobody_up() {
    let job = Job::new();
    let Some(running) = with_data_that_hangs(&job) else { return };
    let (code, took) = timed(|| {
        running.signal(libc::SIGTERM);
        running.code()
    });
    assert_about(took, 0.0);
    assert_eq!(code, 143);
    job.assert_nobody_left();
}

#[test]
fn what_comes_after_exec_is_the_workloads_however_late_pid_1_looks() {
    if python().is_none() {
        return;
    }
    for (signal, heard, code) in [(libc::SIGUSR1, "", 138), (libc::SIGTERM, "TERM\n", 143)] {
        let job = Job::new();
        // PID 1 must have opened the gate of its child before it is halted: a hook runs behind the gate, and waits until PID 1 is.
        let hook = hooks(&job, "hooks", &[("1.sh", "touch JOB/behind; while ! [ -e JOB/go ]; do sleep 0.02; done")]);
        let launch = job.launch(Place::Aside, &job.trainer(&["on=TERM:exit0"]));
        let running = launch.env("TRAINIT_HOOKS_BEFORE_START", hook.to_str().unwrap()).spawn();
        until_true("the hook", || job.path().join("behind").exists());
        kill(running.supervisor(), Signal::SIGSTOP);
        std::fs::write(job.path().join("go"), "").unwrap();
        assert!(running.line().starts_with("up"));
        running.signal(signal);
        kill(running.supervisor(), Signal::SIGCONT);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), heard), "{finished:?}");
        assert!(!finished.err.contains("before the workload runs"), "{finished:?}");
    }
}
