//! A trainer behind whatever people start it with: it hears of a stop once, its loader does not, nothing above it ends before it has saved,
//! and nothing is left afterwards.

use crate::job::{Job, kill, places, python};
use crate::support::{Place, has};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;

/// What the trainer does: it saves for a while, and its loader tells what it hears.
const TRAINER: [&str; 3] = ["on=TERM:save+exit0", "takes=0.7", "child=g"];

/// A launcher that reads what its child writes, as `conda run` does.
const READER: &str = "import subprocess,sys; p=subprocess.Popen(sys.argv[1:],stdout=subprocess.PIPE)\nfor l in p.stdout: \
                      sys.stdout.buffer.write(l); sys.stdout.flush()\nsys.exit(p.wait())";
/// A launcher of two ranks, as `torch.multiprocessing.spawn` is.
const SPAWNER: &str =
    "import subprocess,sys; ps=[subprocess.Popen(sys.argv[1:]) for _ in range(2)]; sys.exit(max(p.wait() for p in ps))";

/// Stops a job, and returns the lines that it wrote meanwhile.
#[track_caller]
fn stopped(job: &Job, place: Place, command: &[&str]) -> Vec<String> {
    let running = job.launch(place, command).spawn();
    assert!(running.line().starts_with("up"), "{command:?}");
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    job.assert_nobody_left();
    finished.out.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// A line for a shell with the trainer at `@`.
#[track_caller]
fn saves_behind(needs: &str, line: &str) {
    if python().is_none() || !has(needs) {
        return;
    }
    for place in places() {
        let job = Job::new();
        let line = line.replace('@', &job.trainer_line(&TRAINER));
        let mut heard = stopped(&job, place, &["sh", "-c", &format!("exec {line}")]);
        // What a wrapper says of its own, and a second process that was told to wait.
        heard.retain(|line| ["TERM", "saved 1", "child TERM"].contains(&line.as_str()));
        let (before, after) = heard.split_at(heard.len().min(2));
        assert_eq!(before, ["TERM", "saved 1"], "{line} {place:?}");
        assert!(after.iter().all(|line| line == "child TERM"), "{line}: {heard:?}");
    }
}

#[test]
fn a_wrapper_that_passes_the_signal_on_to_a_group_costs_no_checkpoint() {
    saves_behind("timeout", "timeout 1h @");
}

#[test]
fn a_wrapper_that_kills_after_two_seconds_costs_no_checkpoint() {
    for line in ["su -s /bin/sh -c '@' root", "su -s /bin/bash -c '@; true' root", "runuser -u root -- @"] {
        saves_behind("runuser", line);
    }
}

#[test]
fn a_program_that_only_waits_is_looked_through() {
    for (needs, line) in
        [("setsid", "setsid -w @"), ("xargs", "sh -c 'echo | xargs @'"), ("flock", "flock /dev/null @")]
    {
        saves_behind(needs, line);
    }
}

#[test]
fn a_program_that_ends_its_children_is_looked_through() {
    saves_behind("make", "sh -c 'printf \"all:\\n\\t@\\n\" | make -s -f -'");
}

#[test]
fn a_terminal_of_a_wrapper_lives_until_the_trainer_has_saved() {
    saves_behind("script", "script -q -c '@' /dev/null");
}

#[test]
fn a_launcher_that_reads_its_childs_output_reads_it_to_the_end() {
    let Some(python) = python() else { return };
    for place in places() {
        let job = Job::new();
        let mut command = vec![python, "-c", READER];
        let trainer = job.trainer(&TRAINER);
        command.extend(trainer.iter().map(String::as_str));
        assert_eq!(stopped(&job, place, &command)[..2], ["TERM", "saved 1"]);
    }
}

#[test]
fn all_ranks_of_a_launcher_without_a_handler_are_told() {
    let Some(python) = python() else { return };
    let job = Job::new();
    let mut command = vec![python, "-c", SPAWNER];
    let trainer = job.trainer(&["on=TERM:exit0"]);
    command.extend(trainer.iter().map(String::as_str));
    let running = job.launch(Place::First, &command).spawn();
    assert!(running.line().starts_with("up") && running.line().starts_with("up"));
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    let count = |word: &str| finished.out.lines().filter(|line| *line == word).count();
    assert_eq!((count("TERM"), finished.code), (2, Some(143)), "{finished:?}");
}

#[test]
fn a_trap_behind_a_trainer_in_the_foreground_lets_it_save_and_runs_afterwards() {
    if python().is_none() || !has("bash") {
        return;
    }
    for (shell, signals) in [("bash", "TERM"), ("sh", "TERM"), ("bash", "EXIT TERM"), ("bash", "EXIT")] {
        let job = Job::new();
        let line = format!("trap 'echo cleanup' {signals}; {}; echo end", job.trainer_line(&TRAINER));
        let heard = stopped(&job, Place::First, &[shell, "-c", &line]);
        let at = |word: &str| heard.iter().position(|line| line == word);
        assert_eq!(heard[..2], ["TERM", "saved 1"], "{shell} {signals}");
        assert!(at("cleanup").is_some_and(|at| at > 1), "{shell} {signals}: {heard:?}");
    }
}

/// The usual last lines of an entrypoint, with and without passing the signal on; the trainer would lose its checkpoint by a second one.
#[test]
fn behind_a_trap_a_job_in_the_background_hears_of_the_stop_exactly_once() {
    if python().is_none() || !has("bash") {
        return;
    }
    let traps = [
        "kill -TERM $p",
        "kill -TERM $p; wait $p",
        "kill $(jobs -p); exit 3",
        "echo nothing",
        "exit 3",
        "kill -USR1 $p",
    ];
    for (shell, trap) in
        [("bash", traps), ("sh", traps)].into_iter().flat_map(|(shell, traps)| traps.map(|trap| (shell, trap)))
    {
        let job = Job::new();
        let trainer = job.trainer_line(&["on=TERM:save+exit0,USR1:save+exit0", "takes=0.5"]);
        let line = format!("trap '{trap}' TERM; {trainer} & p=$!; wait $p");
        let running = job.launch(Place::First, &[shell, "-c", &line]).spawn();
        assert!(running.line().starts_with("up"));
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        let heard: Vec<&str> = finished.out.lines().filter(|line| *line != "nothing").collect();
        let signal = if trap.contains("USR1") { "USR1" } else { "TERM" };
        assert_eq!(heard, [signal, "saved 1"], "{shell}: {trap}");
    }
}

/// A program by this name that says when it hears of the stop.
fn helper(job: &Job, name: &str) -> String {
    let path = job.path().join(name);
    let text = "import os,signal,time\nsignal.signal(15, lambda *a: (os.write(1, b'helper\\n'), os._exit(0)))\n\
                open(__file__ + '.up', 'w')\ntime.sleep(90)\n";
    std::fs::write(&path, format!("#!{}\n{text}", python().unwrap())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.display();
    format!("{path} & while [ ! -e {path}.up ]; do sleep 0.05; done")
}

#[test]
fn a_display_server_beside_the_trainer_ends_after_it() {
    if python().is_none() {
        return;
    }
    for end in ["", "; true", " & wait"] {
        let job = Job::new();
        let line = format!("{}; {}{end}", helper(&job, "Xvfb"), job.trainer_line(&TRAINER[..2]));
        assert_eq!(stopped(&job, Place::First, &["sh", "-c", &line]), ["TERM", "saved 1", "helper"], "{end}");
    }
}

#[test]
fn a_follower_of_the_log_does_not_keep_a_stopped_job_open() {
    if python().is_none() || !has("tail") {
        return;
    }
    for end in ["tail -F @", "exec tail -F @", "tail -F @; true"] {
        let job = Job::new();
        let log = job.path().join("log");
        let line = format!(
            "{} | tee {log} & while [ ! -s {log} ]; do sleep 0.05; done; {end}",
            job.trainer_line(&TRAINER[..2]),
            log = log.display()
        );
        stopped(&job, Place::First, &["sh", "-c", &line.replace('@', &log.display().to_string())]);
        assert!(std::fs::read_to_string(log).unwrap().ends_with("TERM\nsaved 1\n"), "{end}");
    }
}

#[test]
fn an_interrupt_that_a_job_ignores_does_not_swallow_the_term_after_it() {
    if python().is_none() {
        return;
    }
    for place in places() {
        let job = Job::new();
        let trainer = job.trainer_line(&["on=TERM:save+exit0", "takes=0.3"]);
        let running = job.launch(place, &["sh", "-c", &format!("trap '' INT; exec {trainer}")]).spawn();
        assert!(running.line().starts_with("up"));
        running.signal(libc::SIGINT);
        running.error_with("SIGINT from");
        running.signal(libc::SIGTERM);
        running.error_with("SIGTERM after SIGINT: passed on");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), "TERM\nsaved 1\n"), "{finished:?}");
    }
}

#[test]
fn a_term_after_an_interrupt_that_the_job_acts_on_does_not_kill_it() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let running = job.start(Place::First, &["on=INT:save+exit0", "takes=1"]);
    running.signal(libc::SIGINT);
    assert_eq!(running.line(), "INT");
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved 1\n"), "{finished:?}");
}

#[test]
fn what_a_main_process_leaves_behind_is_named_before_and_when_it_is_killed() {
    if python().is_none() {
        return;
    }
    let job = Job::new().with("STOP_DRAIN", "2s");
    let trainer = job.trainer_line(&["on=TERM:quiet"]);
    let line = format!("{trainer} & while [ ! -e {}/state ]; do sleep 0.1; done; exit 0", job.word());
    let running = job.launch(Place::First, &["sh", "-c", &line]).spawn();
    assert!(running.line().starts_with("up"));
    std::fs::write(job.path().join("state"), "").unwrap();
    running.error_with("the workload has ended; waiting for what it left: ");
    running.error_with("SIGKILL to what the workload left: ");
    assert_eq!(running.code(), 0);
    job.assert_nobody_left();
}

#[test]
fn a_hang_after_training_was_complete_ends_with_0_and_is_not_started_again() {
    if python().is_none() {
        return;
    }
    let job = Job::new();
    let done = job.path().join("done");
    std::fs::write(&done, "").unwrap();
    let job = job.with("STOP_DONE_FILE", done.to_str().unwrap()).with("RESTART_MAX", "3");
    let job = job.with("WATCHDOG_OUTPUT", "1s").with("WATCHDOG_ACTION", "restart");
    let running = job.start(Place::First, &["on=TERM:quiet"]);
    running.error_with("training was complete (stop.done_file)");
    assert_eq!(running.code(), 0);
}

/// A tmux server is nobody's descendant but PID 1's, and would hang up on the trainer.
#[test]
fn a_trainer_in_a_detached_session_of_tmux_saves() {
    if python().is_none() || !has("tmux") {
        return;
    }
    let job = Job::new();
    let (log, socket) = (job.path().join("log"), job.path().join("tmux"));
    let trainer = job.trainer_line(&TRAINER[..2]);
    let line = format!(
        "tmux -S {} new-session -d '{trainer} >{log}'; while [ ! -s {log} ]; do sleep 0.05; done; echo up; exec sleep 90",
        socket.display(),
        log = log.display()
    );
    stopped(&job, Place::First, &["sh", "-c", &line]);
    assert!(std::fs::read_to_string(log).unwrap().ends_with("TERM\nsaved 1\n"));
}

#[test]
fn a_suspended_wrapper_does_not_keep_the_trainer_from_hearing() {
    let Some(python) = python() else { return };
    let job = Job::new();
    let mut command = vec![python, "-c", READER];
    let trainer = job.trainer(&TRAINER);
    command.extend(trainer.iter().map(String::as_str));
    let running = job.launch(Place::Aside, &command).spawn();
    assert!(running.line().starts_with("up"));
    kill(running.workload(), Signal::SIGSTOP);
    running.signal(libc::SIGTERM);
    running.finish();
    assert!(job.path().join("ckpt-1.npz").exists());
}
