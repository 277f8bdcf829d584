//! How it ended, as it is told: the last line, its JSON form, the termination log, and the start after one that could not tell.

use crate::job::{Job, LATE, assert_about, places, python, timed};
use crate::support::look::{children, until, until_true};
use crate::support::{Finished, Launch, Place, can_unshare, skip};
use crate::world::{Dev, Ice, Memory};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The last line that trainit wrote.
#[track_caller]
fn last_line(finished: &Finished) -> String {
    let line = finished.err.lines().rev().find(|line| line.contains("end   "));
    line.unwrap_or_else(|| panic!("no last line: {finished:?}")).to_owned()
}

#[test]
fn the_last_line_has_code_sender_checkpoint_and_times() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new().watched().with("STOP_EXIT_CODE", "85");
        let running = job.start(place, &["on=TERM:save+exit0", "takes=0.5"]);
        running.signal(libc::SIGTERM);
        let line = last_line(&running.finish());
        let who = if place == Place::First { "from outside of the container;" } else { "from pid " };
        for part in [
            "trainer.py",
            ": exit code 0; stopped by SIGTERM ",
            who,
            "newest checkpoint ",
            "ckpt-1.npz (step 1, 1000 B), ",
            " s old; prepared ",
            ", ran ",
            ", stopping took ",
            "; ends with 85",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        for before in ["1000 B), ", "prepared ", "ran ", "stopping took "] {
            assert!(seconds_after(&line, before) < LATE.as_secs_f64(), "{before}: {line}");
        }
    }
}

/// The time that a line tells behind some words.
#[track_caller]
fn seconds_after(line: &str, before: &str) -> f64 {
    let told = line.split_once(before).and_then(|(_, rest)| rest.split(' ').next());
    told.and_then(|told| told.parse().ok()).unwrap_or_else(|| panic!("no time behind '{before}': {line}"))
}

#[test]
fn a_stop_without_a_new_checkpoint_says_so_and_what_there_is() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched();
    std::fs::write(job.path().join("ckpt-5.npz"), "old").unwrap();
    let running = job.start_aside(&["on=TERM:exit0"]);
    job.tells("the old one", |state| state["saved"]["step"] == 5);
    running.signal(libc::SIGTERM);
    let line = last_line(&running.finish());
    assert!(line.contains("NO checkpoint since the stop, newest checkpoint ") && line.contains("ckpt-5.npz"), "{line}");
}

#[test]
fn who_sent_it_is_told_even_when_it_is_gone() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let running = job.start_aside(&["on=TERM:save+exit0", "takes=0.5"]);
    let mut sender = std::process::Command::new("sh");
    sender.args(["-c", &format!("kill -TERM {}; exec sleep 0.1", running.pid)]);
    let mut sender = sender.spawn().unwrap();
    let pid = sender.id();
    let told = running.error_with("stopping");
    sender.wait().unwrap();
    assert!(told.contains(&format!("SIGTERM from pid {pid} (s")), "{told}");
    let finished = running.finish();
    assert!(last_line(&finished).contains(&format!("stopped by SIGTERM from pid {pid} (s")), "{finished:?}");
}

#[test]
fn an_end_by_a_signal_of_its_own_names_it() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let finished = job.launch(Place::Aside, &["sh", "-c", "kill -SEGV $$"]).finish();
    assert_eq!(finished.code, Some(139));
    assert!(last_line(&finished).contains("killed by SIGSEGV; prepared"), "{finished:?}");
}

#[test]
fn with_json_every_line_is_an_object_and_the_last_tells_everything() {
    if python().is_none() {
        return;
    }
    let job = Job::new().watched().with("LOG_FORMAT", "json").with("CHECKPOINT_SIGNAL", "USR1");
    let running = job.start_aside(&["on=USR1:save+exit0"]);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    let lines: Vec<Value> = finished.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let told = ["time", "trainit", "level", "event"].iter().all(|name| line[name].is_string());
        assert!(told, "{line}");
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["trainit"], &last["event"]), (&"supervise".into(), &"end".into()), "{last}");
    let end = &last["end"];
    assert_eq!((&end["exit_code"], &end["attempt"], &end["nothing_saved"]), (&143.into(), &1.into(), &false.into()));
    assert_eq!((&end["how"], &end["checkpoint"][0]["step"]), (&"exit code 0".into(), &1.into()));
    assert!(end["stopped_by"].as_str().unwrap().starts_with("SIGTERM from pid "), "{end}");
    assert!(end["ran_s"].is_f64() && end["stopping_s"].is_f64() && end["prepared_s"].is_f64(), "{end}");
}

#[test]
fn the_level_holds_for_pid_1_as_well() {
    if python().is_none() {
        return;
    }
    for (level, heard) in
        [("info", ["stopping", "no handler", "end   "].as_slice()), ("warn", &["no handler"]), ("error", &[])]
    {
        let job = Job::new().with("LOG_LEVEL", level).with("STOP_SIGNAL", "USR1");
        let running = job.start_aside(&["on=TERM:exit0"]);
        running.signal(libc::SIGTERM);
        let told = running.finish().err;
        let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("trainit: ")).collect();
        assert_eq!(lines.len(), heard.len(), "{level}: {told}");
        assert!(lines.iter().zip(heard).all(|(line, part)| line.contains(part)), "{level}: {told}");
    }
}

/// A start in a namespace, with a /dev of its own.
fn with_dev(job: &Job, command: &[&str]) -> Option<(Dev, Launch)> {
    if !can_unshare() {
        return None;
    }
    let dev = Dev::new(job.path().join("dev"));
    let launch = dev.is_seen_by(job.launch(Place::First, command));
    Some((dev, launch))
}

#[test]
fn kubernetes_finds_the_last_line_in_the_termination_log() {
    let job = Job::new().with("STOP_GRACE", "1s");
    let Some((dev, launch)) = with_dev(&job, &["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    else {
        return;
    };
    let running = launch.spawn();
    assert_eq!(running.line(), "up");
    running.signal(libc::SIGTERM);
    assert_eq!(running.code(), 137);
    let told = dev.last_words();
    assert!(told.starts_with("end   sh -c") && told.contains("killed by SIGKILL; stopped by SIGTERM"), "{told}");

    let job = Job::new().with("DATA", "/no/such/directory");
    let (dev, launch) = with_dev(&job, &["true"]).unwrap();
    assert_eq!(launch.spawn().code(), 111);
    let told = dev.last_words();
    assert!(told.contains("exit code 111") && told.contains("/no/such/directory"), "{told}");
}

#[test]
fn a_full_shared_memory_is_named_when_it_kills() {
    let Some(python) = python() else { return };
    let program = "import mmap, os
file = os.open('/dev/shm/loader', os.O_CREAT | os.O_RDWR)
os.ftruncate(file, 4 << 20)
memory = mmap.mmap(file, 4 << 20)
for page in range(0, 4 << 20, 4096): memory[page] = 1";
    let job = Job::new().with("CHECKS", "host.shm=off");
    let Some((dev, launch)) = with_dev(&job, &[python, "-S", "-c", program]) else { return };
    let finished = launch.finish();
    assert_eq!(finished.code, Some(135), "{finished:?}");
    let line = last_line(&finished);
    assert!(line.contains("killed by SIGBUS; /dev/shm is full (start with a larger one"), "{line}");
    assert!(dev.last_words().contains("/dev/shm is full"));
}

#[test]
fn want_of_memory_is_told_by_the_kernels_own_count() {
    let Some(python) = python() else { return };
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can make a control group");
    }
    let Some(memory) = Memory::limited_to(96 << 20) else { return };
    let job = Job::new();
    // Who kills and when is counted from the first words of the state on: a trainer loads longer than that before it takes memory.
    let hungry = "import os, time
while not os.path.exists(os.environ['TRAINIT_RUN_DIR'] + '/state.json'): time.sleep(0.01)
hoard = [bytearray(1 << 20) for each in range(400)]; print(len(hoard))";
    let finished = memory.holds(job.launch(Place::Aside, &[python, "-S", "-c", hungry])).finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(137), ""), "{finished:?}");
    let line = last_line(&finished);
    assert!(line.contains("killed by SIGKILL; out of memory: the kernel killed a process of this container"), "{line}");

    // A worker that was killed ends the trainer with another code, and an earlier kill is not this run's.
    let worker =
        format!("import os, subprocess, sys; sys.exit(subprocess.call([sys.executable, '-S', '-c', {hungry:?}]) != 0)");
    let finished = memory.holds(job.launch(Place::Aside, &[python, "-S", "-c", &worker])).finish();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let line = last_line(&finished);
    assert!(line.contains("exit code 1; out of memory: the kernel killed a process of this container"), "{line}");
    let finished = memory.holds(job.launch(Place::Aside, &["false"])).finish();
    assert!(!last_line(&finished).contains("memory"), "{finished:?}");
}

#[test]
fn want_of_memory_is_told_of_a_container_that_was_over_at_once_too() {
    let Some(python) = python() else { return };
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can make a control group");
    }
    let Some(memory) = Memory::limited_to(32 << 20) else { return };
    if !can_unshare() {
        return;
    }
    let job = Job::new();
    let hungry = [python, "-S", "-c", "b'x' * (1 << 30)"];
    let finished = memory.holds(job.launch(Place::First, &hungry)).finish();
    assert_eq!(finished.code, Some(137), "{finished:?}");
    let line = last_line(&finished);
    assert!(line.contains("killed by SIGKILL; out of memory: the kernel killed a process of this container"), "{line}");
}

#[test]
fn a_container_that_was_killed_whole_is_told_of_at_the_next_start_once() {
    if python().is_none() || !can_unshare() {
        return;
    }
    let job = Job::new().watched();
    let launch = |words: &[&str]| job.launch(Place::First, &job.trainer(words)).env("container", "podman");
    let running = launch(&["saves=0.2", "stops=0.3"]).spawn();
    running.error_with("ckpt-1.npz (step 1, 1000 B) is complete");
    job.is_in_phase("running");
    job.tells("the checkpoint", |state| state["saved"]["step"] == 1);
    crate::job::kill(running.pid, Signal::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));

    let next = launch(&["ends=0:0"]).finish();
    let told = next.err.lines().find(|line| line.contains("ended without a word"));
    let told = told.unwrap_or_else(|| panic!("{next:?}"));
    for part in ["trainer.py", "running since", "killed from outside, or out of memory", "ckpt-1.npz"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let third = launch(&["ends=0:0"]).finish();
    assert!(!third.err.contains("ended without a word"), "{third:?}");
    until_true("an empty home", || std::fs::read_dir(job.path().join("trainit-0")).unwrap().count() == 0);
}

#[test]
fn an_errand_that_cannot_be_killed_holds_nobody_up() {
    if python().is_none() {
        return;
    }
    let Some(ice) = Ice::new("errand") else { return };
    let job = Job::new().watched();
    let running = job.start_aside(&["on=TERM:exit0"]);
    let trainer = running.workload();
    let errand =
        until("the watching errand", || children(running.supervisor()).into_iter().find(|pid| *pid != trainer));
    ice.freezes(errand);
    running.signal(libc::SIGTERM);
    let (code, took) = timed(|| running.code());
    assert_eq!(code, 143);
    assert_about(took, 2.0);
}

#[test]
fn a_workload_that_cannot_be_killed_is_named_and_given_up() {
    if python().is_none() {
        return;
    }
    let Some(ice) = Ice::new("workload") else { return };
    let job = Job::new().with("STOP_GRACE", "1s");
    let running = job.start_aside(&["on=TERM:exit0"]);
    let trainer = running.workload();
    ice.freezes(trainer);
    running.signal(libc::SIGTERM);
    let begun = std::time::Instant::now();
    let told = running.error_with("these processes cannot be killed and are left behind");
    assert!(told.contains(&trainer.to_string()), "{told}");
    assert_eq!(running.code(), 137);
    assert_about(begun.elapsed(), 4.0);
}

#[test]
fn an_unknown_grace_is_told_once_where_it_is_short_and_a_known_one_is_named() {
    let start = |job: &Job, more: &[(&str, &str)], words: &[&str]| {
        let launch = job.launch_words(Place::Aside, words);
        more.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).finish().err
    };
    let (docker, pod) = (("container", "docker"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1"));
    let train = ["--mode", "train", "--", "sh", "-c", "exit $((TRAINIT_ATTEMPT == 1))"];
    let job = Job::new().with("RESTART_MAX", "1").with("RESTART_BACKOFF", "100ms..100ms");
    let told = start(&job, &[docker], &train);
    assert_eq!(told.matches("stop.grace is not set: docker stop kills after 10 s").count(), 1, "{told}");
    assert!(start(&Job::new(), &[pod], &train).contains("stop.grace is not set: Kubernetes kills after 30 s"));
    for (job, more, words) in [
        (Job::new(), vec![docker], ["--mode", "shell", "--", "sh", "-c", "true"]),
        (Job::new().with("STOP_GRACE", "off"), vec![docker], train),
        (Job::new().with("STOP_GRACE", "1m"), vec![docker], train),
        (Job::new(), vec![docker, ("SM_CURRENT_HOST", "algo-1")], train),
    ] {
        let told = start(&job, &more, &words);
        assert!(!told.contains("stop.grace is not set"), "{more:?} {told}");
    }

    if python().is_some() {
        let job = Job::new();
        let running =
            job.launch(Place::Aside, &job.trainer(&["on=TERM:exit0"])).env("SM_CURRENT_HOST", "algo-1").spawn();
        assert!(running.line().starts_with("up"));
        running.signal(libc::SIGTERM);
        running.error_with("stopping, 2 min 00 s until SIGKILL (SageMaker)");
        assert_eq!(running.code(), 143);
    }
}

#[test]
fn a_job_without_a_module_ends_with_what_was_left_alone_and_which_python_has_the_packages() {
    use std::os::unix::fs::PermissionsExt;
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    ["code/src", "bin", "three"].iter().for_each(|name| std::fs::create_dir_all(at(name)).unwrap());
    let script = |name: &str, text: &str| {
        std::fs::write(at(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("bin/python", &format!("exec {python} -S \"$@\""));
    std::os::unix::fs::symlink(python, at("three/python3")).unwrap();
    script("code/run.sh", "python3 -S -c 'import no_such_module'");
    std::fs::write(at("code/src/requirements.txt"), "pip\n").unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", at("three").display(), at("bin").display());
    let end = |requirements: &str| {
        let mut launch = Launch::of(crate::support::Role::Run, Place::Aside, &["train", "--", "./run.sh"]);
        launch.command.current_dir(at("code")).env("PATH", &path).env("TRAINIT_DEPS_REQUIREMENTS", requirements);
        let ended = launch.env("TRAINIT_CHECKS", "code=off").finish();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        last_line(&ended)
    };
    let (file, other) = (at("code/src/requirements.txt"), at("bin/python"));
    let left =
        format!("if a module was missing: not installed was {0} (TRAINIT_DEPS_REQUIREMENTS={0})", file.display());
    assert!(end("auto").contains(&left), "{left}");
    let line = end("src/requirements.txt");
    let told = format!("if a module was missing: packages are for {}, ", at("three/python3").display());
    assert!(line.contains(&told) && line.contains(&format!("TRAINIT_DEPS_PYTHON={}", other.display())), "{line}");
}
