//! Hooks before, and after: what they may change, what their failure means, and that nobody waits for them longer than was said.

use crate::job::{Job, assert_about, places, python, timed};
use crate::support::look::until_true;
use crate::support::{Place, skip};
use std::path::PathBuf;

/// A directory of hooks in the job's.
pub fn hooks(job: &Job, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = job.path().join(name);
    std::fs::create_dir(&directory).unwrap();
    for (file, text) in files {
        std::fs::write(directory.join(file), text.replace("JOB", job.word())).unwrap();
    }
    directory
}

#[test]
fn what_hooks_export_reaches_the_checks_the_next_hooks_and_the_workload() {
    let job = Job::new();
    let first = hooks(&job, "first", &[("1.sh", "export A='a b'; unset GONE; echo to the log"), ("0.txt", "welcome")]);
    let second = hooks(&job, "second", &[("1.sh", "export B=\"$A, $TRAINIT_ATTEMPT, $*\"")]);
    let report = job.path().join("report.json");
    let job = job.with("REPORT_FILE", report.to_str().unwrap());
    let script = "echo \"$A|$B|${GONE-gone}\"";
    let finished = job
        .launch(Place::Aside, &["sh", "-c", script])
        .env("TRAINIT_HOOKS_BEFORE_CHECKS", first.to_str().unwrap())
        .env("TRAINIT_HOOKS_BEFORE_START", second.to_str().unwrap())
        .env("GONE", "not yet")
        .spawn()
        .finish();
    assert_eq!(finished.out, format!("a b|a b, 1, sh -c {script}|gone\n"), "{finished:?}");
    assert!(["welcome", "to the log", "first/1.sh"].iter().all(|word| finished.err.contains(word)), "{finished:?}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let ran = report["hooks"].as_array().unwrap();
    let stages: Vec<_> = ran.iter().map(|hook| hook["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["before_checks", "before_checks", "before_start"], "{report}");
    assert!(ran.iter().all(|hook| hook["took_ms"].is_number() && hook["path"].is_string()), "{report}");
}

#[test]
fn a_failed_hook_ends_the_start_unless_it_only_warns() {
    let job = Job::new();
    let directory = hooks(&job, "hooks", &[("1.sh", "false"), ("2.sh", "exit 75")]);
    for (on_error, code, out) in [("fail", 117, ""), ("warn", 0, "started\n")] {
        let launch = job.launch(Place::Aside, &["echo", "started"]);
        let launch = launch.env("TRAINIT_HOOKS_BEFORE_START", directory.to_str().unwrap());
        let finished = launch.env("TRAINIT_HOOKS_ON_ERROR", on_error).spawn().finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), out), "{finished:?}");
        assert_eq!(finished.err.matches("1.sh ended with exit code 1").count(), 1, "{finished:?}");
    }
}

#[test]
fn a_stop_ends_a_hook_at_once_and_one_that_does_not_listen_after_five_seconds() {
    for place in places() {
        for (script, seconds) in
            [("touch JOB/here; sleep 100", 0.0), ("trap '' TERM; touch JOB/here; while :; do sleep 1; done", 5.0)]
        {
            let job = Job::new().with("STOP_GRACE", "10m");
            let directory = hooks(&job, "hooks", &[("1.sh", script)]);
            let launch = job.launch(place, &["true", job.word()]);
            let running = launch.env("TRAINIT_HOOKS_BEFORE_START", directory.to_str().unwrap()).spawn();
            let here = job.path().join("here");
            until_true("the hook", || here.exists());
            running.signal(libc::SIGTERM);
            let (finished, took) = timed(|| running.finish());
            assert_about(took, seconds);
            assert_eq!(finished.code, Some(143), "{finished:?}");
            job.assert_nobody_left();
        }
    }
}

#[test]
fn after_stop_runs_once_with_the_exit_code_after_a_stop_too_and_changes_nothing() {
    if python().is_none() {
        return;
    }
    let count = "echo \"$TRAINIT_EXIT_CODE $TRAINIT_RUN_MODE\" >>JOB/after; echo told; exit 9";
    for place in places() {
        let job = Job::new().with("STOP_GRACE", "60s").with("RESTART_MAX", "3");
        let directory = hooks(&job, "hooks", &[("1.sh", count)]);
        let job = job.with("HOOKS_AFTER_STOP", directory.to_str().unwrap());
        let running = job.start(place, &["on=TERM:exit0"]);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.code, Some(143), "{finished:?}");
        assert!(
            finished.err.contains("trainit: told") && finished.err.contains("ended with exit code 9"),
            "{finished:?}"
        );
        assert_eq!(std::fs::read_to_string(job.path().join("after")).unwrap(), "143 train\n");
    }
}

#[test]
fn after_stop_runs_after_the_last_of_several_runs_and_not_where_nothing_ran() {
    let job = Job::new().with("RESTART_MAX", "1").with("RESTART_BACKOFF", "10ms..10ms");
    let directory = hooks(&job, "hooks", &[("1.sh", "echo \"$TRAINIT_EXIT_CODE\" >>JOB/after")]);
    let job = job.with("HOOKS_AFTER_STOP", directory.to_str().unwrap());
    assert_eq!(job.launch(Place::Aside, &["sh", "-c", "exit 3"]).spawn().code(), 3);
    assert_eq!(job.launch(Place::Aside, &["no-such-program-of-a-test"]).spawn().code(), 127);
    assert_eq!(std::fs::read_to_string(job.path().join("after")).unwrap(), "3\n");
}

#[test]
fn after_stop_is_over_before_the_grace_is_and_before_its_own_time() {
    for (grace, timeout, seconds) in [("8s", "1h", 4.0), ("1h", "1s", 1.0)] {
        let job = Job::new().with("STOP_GRACE", grace).with("HOOKS_TIMEOUT", timeout);
        let directory = hooks(&job, "hooks", &[("1.sh", "sleep 1000")]);
        let job = job.with("HOOKS_AFTER_STOP", directory.to_str().unwrap());
        let running = job.launch(Place::Aside, &["sh", "-c", "echo up; exec sleep 1000", job.word()]).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let (finished, took) = timed(|| running.finish());
        assert_about(took, seconds);
        assert_eq!(finished.code, Some(143), "{finished:?}");
        job.assert_nobody_left();
    }
}

/// A directory such as NVIDIA's images have, with what docs/hooks.md says of it: banners on stderr, what is exported goes on, a failure is
/// ignored, and a file that is there for its shell alone changes nothing.
#[test]
fn a_directory_like_nvidias_works_and_keeps_stdout_clean() {
    let files = [
        ("10-banner.sh", "echo; echo ==== BANNER ===="),
        ("15-copyright.txt", "all rights of a test"),
        ("30-compat.sh", "_STATUS=alone; export LIB_PATH=\"/compat${LIB_PATH:+:$LIB_PATH}\""),
        ("50-driver-check.sh", "if ! no-such-tool-of-a-test 2>/dev/null; then export CPU_ONLY=1; fi; false"),
        ("70-limits.sh", "export SEEN=\"$LIB_PATH $CPU_ONLY ${_STATUS-none}\""),
    ];
    let job = Job::new();
    let directory = hooks(&job, "entrypoint.d", &files);
    let job = job.with("HOOKS_BEFORE_CHECKS", directory.to_str().unwrap()).with("HOOKS_ON_ERROR", "warn");
    let finished = job.launch(Place::Aside, &["sh", "-c", "echo \"$SEEN\""]).env("LIB_PATH", "/own").spawn().finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "/compat:/own 1 none\n"), "{finished:?}");
    assert!(
        ["BANNER", "all rights", "50-driver-check.sh ended with exit code 1"]
            .iter()
            .all(|text| finished.err.contains(text))
    );
}

/// docker-stacks' two directories: one for who starts, one that sees what is about to be started.
#[test]
fn directories_like_docker_stacks_run_scripts_by_a_shell_and_programs_as_they_are() {
    let job = Job::new();
    let first =
        hooks(&job, "start-notebook.d", &[("a.sh", "export FIRST=1"), ("b.txt.disabled", "no"), ("readme", "no")]);
    let second = hooks(
        &job,
        "before-notebook.d",
        &[("10activate.sh", "export SECOND=\"$FIRST-$1\""), ("20program", "#!/bin/sh\necho program ran as $#\nexit 1")],
    );
    std::fs::set_permissions(second.join("20program"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let job =
        job.with("HOOKS_BEFORE_CHECKS", first.to_str().unwrap()).with("HOOKS_BEFORE_START", second.to_str().unwrap());
    let finished =
        job.with("HOOKS_ON_ERROR", "warn").launch(Place::Aside, &["sh", "-c", "echo \"$SECOND\""]).spawn().finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "1-sh\n"), "{finished:?}");
    assert!(
        finished.err.contains("program ran as 3") && finished.err.contains("20program ended with exit code 1"),
        "{finished:?}"
    );
}

#[test]
fn hooks_are_the_workloads_user() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can become another user");
    }
    let job = Job::new().with("USER", "65534:65534");
    std::fs::set_permissions(job.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let all = ["BEFORE_CHECKS", "BEFORE_START", "AFTER_STOP"];
    let tells = |job: Job, name: &str| {
        let directory = hooks(&job, name, &[("1.sh", "echo hook of $(id -u)")]);
        job.with(&format!("HOOKS_{name}"), directory.to_str().unwrap())
    };
    let job = all.into_iter().fold(job, tells);
    let finished = job.launch(Place::Aside, &["true"]).spawn().finish();
    assert_eq!((finished.code, finished.err.matches("hook of 65534").count()), (Some(0), 3), "{finished:?}");
}
