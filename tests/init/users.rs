//! Other users: a stop reaches a workload of another user even from a root without the right to signal it, and a workload that
//! really cannot be signalled does not take PID 1 down.

use crate::support::{Launch, Role, copy_program, ways};
use std::os::unix::fs::PermissionsExt;

/// CAP_KILL, which Docker gives by default.
pub const KILL: i32 = 5;
/// CAP_SYS_PTRACE, which it never gives.
pub const PTRACE: i32 = 19;

const SAVES: &str = "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.02; done";

/// Words that run something as another user.
fn as_other<'a>(words: &[&'a str]) -> Vec<&'a str> {
    ["--", "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"].iter().chain(words).copied().collect()
}

/// Whether there can be processes of other users; if not, says so.
pub fn may_switch() -> bool {
    let root = nix::unistd::geteuid().is_root()
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"));
    if !root {
        crate::support::skip("only a real root can have processes of other users");
    }
    root && crate::support::has("setpriv")
}

#[test]
fn a_stop_reaches_another_users_workload_with_and_without_the_capability() {
    if !may_switch() {
        return;
    }
    for (role, place) in ways() {
        for dropped in [&[][..], &[KILL], &[KILL, PTRACE]] {
            let launch = Launch::of(role, place, &as_other(&["sh", "-c", SAVES]));
            let launch = dropped.iter().fold(launch, |launch, number| launch.without_capability(*number));
            let running = launch.spawn();
            assert_eq!(running.line(), "up");
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            let expected = if role == Role::Run { 143 } else { 0 };
            let told = (finished.code, finished.out.as_str());
            assert_eq!(told, (Some(expected), "saved\n"), "{role:?} {place:?} {dropped:?} {}", finished.err);
        }
    }
}

#[test]
fn another_users_shell_script_is_seen_through() {
    if !may_switch() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = directory.path().join("train.sh");
    std::fs::write(&script, format!("#!/bin/sh\nsh -c \"{SAVES}\"\necho the next one begins\n")).unwrap();
    open(&script);
    open(directory.path());
    for place in ways().into_iter().filter(|(role, _)| *role == Role::Run).map(|(_, place)| place) {
        let words = as_other(&[script.to_str().unwrap()]);
        let running = Launch::of(Role::Run, place, &words).without_capability(KILL).without_capability(PTRACE).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(143), "saved\n"), "{place:?} {}", finished.err);
    }
}

#[test]
fn a_workload_that_may_not_be_signalled_does_not_end_pid_1() {
    if !may_switch() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tool = directory.path().join("become-root");
    let found = std::process::Command::new("sh").args(["-c", "command -v setpriv"]).output().unwrap().stdout;
    copy_program(String::from_utf8(found).unwrap().trim(), &tool);
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o4755)).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = tool.to_str().unwrap();
    for (role, place) in ways() {
        let script = "trap 'echo reached' TERM; echo up; sleep 0.5; exit 9";
        let words = ["--", path, "--reuid=0", "--regid=0", "--clear-groups", "sh", "-c", script];
        let running = Launch::of(role, place, &words).before_exec(become_other).spawn();
        assert_eq!(running.line(), "up");
        running.signal(libc::SIGTERM);
        running.signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(9), ""), "{role:?} {place:?} {}", finished.err);
    }
}

/// Leaves root behind just before exec; the namespaces are made by then.
pub fn become_other() -> std::io::Result<()> {
    nix::unistd::setgid(12345.into())?;
    nix::unistd::setuid(12345.into())?;
    Ok(())
}
